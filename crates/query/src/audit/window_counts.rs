//! Events by window: what the events of log and view are counted by, and how many the view has there.

use std::{collections::BTreeMap, time::Duration};

use datafusion::arrow::array::RecordBatch;
use lakehead_model::{TimeRange, Timestamp};
use lakehead_window::{ResultPeriod, Tumble, Windows};

use crate::{
    error::Error,
    plan::{ViewPlan, Windowed},
    view::{
        Snapshot,
        state::{Slice, Slices, windows_over},
    },
};

/// How many events each window has. A result period of which the view keeps no partial rows counts as one, since there is
/// nothing to hold its windows against, and a year has thirty million seconds.
pub(super) type WindowCounts = BTreeMap<Timestamp, u64>;

/// What the events of log and view are counted by, where it is not the window itself: the panes of hopping windows, and
/// stretches of time that no session's events straddle.
pub(super) fn counted_by(plan: &Windowed) -> Option<Tumble> {
    match (&plan.windows, &plan.period) {
        (Windows::Hop(hop), _) => Some(hop.pane()),
        (Windows::Session(_), ResultPeriod::Window(slices)) => Some(*slices),
        (Windows::Session(_), _) => Tumble::new(Duration::from_secs(3600)).ok(),
        _ => None,
    }
}

/// What the events of log and view are counted by where the view keeps no partial rows: the result period, if many windows are in
/// one.
pub(super) fn counted_together_by(plan: &Windowed) -> Option<Tumble> {
    let seconds = match (&plan.windows, &plan.period) {
        (Windows::Tumble(_) | Windows::Hop(_), ResultPeriod::Hour) => 3_600,
        (Windows::Tumble(_) | Windows::Hop(_), ResultPeriod::Day) => 86_400,
        _ => return None,
    };
    Tumble::new(Duration::from_secs(seconds)).ok()
}

/// Under which time the events of a slice are counted.
pub(super) fn counted_under(plan: &Windowed, slice: Timestamp) -> Timestamp {
    match plan.windows {
        Windows::Session(_) => plan.period.range(slice).start,
        _ => slice,
    }
}

/// The first moment from which on windows are counted one by one, `first` being the first slice of which the view has
/// partial rows.
pub(super) fn single_from(plan: &ViewPlan, first: Timestamp) -> Timestamp {
    plan.windowed().map_or(first, |windowed| windowed.period.range(first).start)
}

pub(super) fn add_events(plan: &Windowed, windows: &mut WindowCounts, batches: &[RecordBatch]) -> Result<(), Error> {
    for batch in batches {
        for slice in Slices::of(plan, batch)?.iter().filter_map(|(slice, _)| slice) {
            *windows.entry(counted_under(plan, slice.start)).or_default() += slice.events;
        }
    }
    Ok(())
}

/// The starts of the slices that the state has something in, and how many rows each has.
pub(super) fn open_slices(snapshot: &Snapshot) -> BTreeMap<Timestamp, u64> {
    let Some(windowed) = snapshot.plan.windowed() else { return BTreeMap::new() };
    let mut slices = BTreeMap::new();
    for batch in &snapshot.open {
        let Ok(found) = Slices::of(windowed, batch) else { continue };
        for slice in found.iter().filter_map(|(slice, _)| slice) {
            *slices.entry(slice.start).or_default() += 1;
        }
    }
    slices
}

/// The result periods of the windows over a slice.
pub(super) fn periods_over(plan: &ViewPlan, slice: Timestamp) -> Vec<TimeRange> {
    let Some(windowed) = plan.windowed() else { return Vec::new() };
    let slice = Slice { start: slice, last: slice, events: 0 };
    let mut periods: Vec<TimeRange> = Vec::new();
    for window in windows_over(&windowed.windows, slice) {
        let period = windowed.period.range(window.start);
        if !periods.contains(&period) {
            periods.push(period);
        }
    }
    periods
}
