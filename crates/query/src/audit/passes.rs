//! What is compared in one go: a few result periods, by how many rows they have, or some of the windows of a large one.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use datafusion::arrow::array::RecordBatch;
use lakehead_model::{TimeRange, Timestamp};
use lakehead_window::Windows;

use super::{
    blocking::file_name,
    extent::Extent,
    window_counts::{WindowCounts, open_slices, periods_over},
};
use crate::{error::Error, keyed_rows::Comparison, view::Snapshot};

/// Result periods whose files are read in one go.
#[derive(Default)]
pub(super) struct Pass {
    pub(super) periods: Vec<TimeRange>,
    rows: u64,
}

/// What is compared in one go: a pass, or some of the windows of one result period that has more rows than are compared at
/// once.
pub(super) struct PassPart {
    /// What is counted again.
    pub(super) periods: Vec<TimeRange>,
    /// The view's rows whose windows begin then; `None`: all of the pass.
    pub(super) windows: Option<TimeRange>,
}

impl PassPart {
    pub(super) fn has(&self, window: Timestamp) -> bool {
        self.windows.is_none_or(|windows| (windows.start..windows.end).contains(&window))
    }

    /// Those of a view's `rows` whose windows it has.
    pub(super) fn rows_of(&self, rows: &[RecordBatch], comparison: &Comparison) -> Result<Vec<RecordBatch>, Error> {
        match self.windows {
            Some(_) => comparison.rows_in(rows, |window| self.has(window)),
            None => Ok(rows.to_vec()),
        }
    }
}

impl Pass {
    /// The result periods that view or log have anything in and that begin at or after `from`, in order, a few at a time.
    pub(super) fn all(
        snapshot: &Snapshot,
        extent: &Extent,
        from: Option<Timestamp>,
        windows: &WindowCounts,
    ) -> Vec<Self> {
        let plan = snapshot.plan();
        let mut rows: BTreeMap<Timestamp, (TimeRange, u64)> = BTreeMap::new();
        let mut add = |range: TimeRange, count: u64| {
            rows.entry(range.start).or_insert((range, 0)).1 += count;
        };
        for (window, events) in windows {
            // Never more rows than events; mostly far fewer, which the files then say.
            let own = plan.windowed().map(|windowed| windowed.period.range(*window));
            let over = periods_over(plan, *window);
            for period in own.into_iter().chain(over.into_iter().filter(|period| Some(*period) != own)) {
                add(period, (*events).min(1));
            }
        }
        for (slice, rows) in open_slices(snapshot) {
            for period in periods_over(plan, slice) {
                add(period, rows);
            }
        }
        for listed in &snapshot.results.files {
            add(listed.range, listed.rows);
        }
        let open: BTreeSet<Timestamp> = open_periods(snapshot);
        let known: HashSet<Timestamp> = snapshot
            .results
            .files
            .iter()
            .filter(|listed| !open.contains(&listed.range.start) && extent.known.contains(&file_name(listed)))
            .map(|listed| listed.range.start)
            .collect();
        let mut passes: Vec<Self> = Vec::new();
        for (start, (range, count)) in rows {
            if from.is_some_and(|from| start < from) || known.contains(&start) {
                continue;
            }
            match passes.last_mut() {
                Some(pass) if pass.rows + count <= extent.rows_at_once => {
                    pass.rows += count;
                    pass.periods.push(range);
                }
                _ => passes.push(Self { rows: count, periods: vec![range] }),
            }
        }
        passes
    }

    /// A pass as it is compared. Sessions are not cut, since one may reach over any time, nor calendars, whose periods are a few
    /// windows, nor rows that do not say their window.
    pub(super) fn parts(&self, snapshot: &Snapshot, extent: &Extent, comparison: &Comparison) -> Vec<PassPart> {
        let whole = || vec![PassPart { periods: self.periods.clone(), windows: None }];
        let step = match snapshot.plan().windowed().map(|plan| &plan.windows) {
            Some(Windows::Tumble(tumble)) => Some(tumble.size()),
            Some(Windows::Hop(hop)) => Some(hop.slide()),
            _ => None,
        };
        match (self.periods.as_slice(), step.filter(|_| comparison.says_window())) {
            ([period], Some(step)) if self.rows > extent.rows_at_once => {
                let cuts = cuts(*period, step, self.rows.div_ceil(extent.rows_at_once.max(1)));
                // What begins outside of its period is a difference, too, so the first and the last have no bound there.
                let starts = std::iter::once(Timestamp(i64::MIN)).chain(cuts.iter().copied());
                let ends = cuts.iter().copied().chain(std::iter::once(Timestamp(i64::MAX)));
                let part = |(start, end): (Timestamp, Timestamp)| PassPart {
                    periods: vec![TimeRange { start: start.max(period.start), end: end.min(period.end) }],
                    windows: Some(TimeRange { start, end }),
                };
                starts.zip(ends).map(part).collect()
            }
            _ => whole(),
        }
    }
}

fn open_periods(snapshot: &Snapshot) -> BTreeSet<Timestamp> {
    let plan = snapshot.plan();
    open_slices(snapshot).into_keys().flat_map(|slice| periods_over(plan, slice)).map(|period| period.start).collect()
}

/// The start of the first result period that was not compared before.
pub(super) fn first_unknown(snapshot: &Snapshot, extent: &Extent) -> Option<Timestamp> {
    let plan = snapshot.plan();
    let files = snapshot.results.files.iter().filter(|listed| !extent.known.contains(&file_name(listed)));
    let open = open_slices(snapshot).into_keys().flat_map(|slice| periods_over(plan, slice)).map(|period| period.start);
    files.map(|listed| listed.range.start).chain(open).min().or(snapshot.watermark)
}

/// Where a period is cut into `parts`, or as many as windows begin in it, `step` apart. A window that begins before a cut is
/// counted before it, wherever it ends.
fn cuts(period: TimeRange, step: Duration, parts: u64) -> Vec<Timestamp> {
    let step = i64::try_from(step.as_micros()).unwrap_or(i64::MAX).max(1);
    let windows = period.end.0.saturating_sub(period.start.0) / step;
    let parts = i64::try_from(parts).unwrap_or(i64::MAX).clamp(1, windows.max(1));
    let cut = |part: i64| {
        Timestamp(period.start.0.saturating_add((part.saturating_mul(windows) / parts).saturating_mul(step)))
    };
    (1..parts).map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step_seconds: u64, parts: u64, expected: &[i64]) {
        let second = |second: i64| Timestamp(second * 1_000_000);
        let hour = TimeRange { start: second(7_200), end: second(10_800) };
        let found = cuts(hour, Duration::from_secs(step_seconds), parts);
        assert_eq!(found, expected.iter().map(|at| second(7_200 + at)).collect::<Vec<_>>());
    }

    #[test]
    fn a_period_is_cut_between_windows_and_never_into_more_than_it_has() {
        check(600, 1, &[]);
        check(600, 3, &[1_200, 2_400]);
        check(600, 4, &[600, 1_800, 2_400]);
        check(600, u64::MAX, &[600, 1_200, 1_800, 2_400, 3_000]);
        check(3_600, 9, &[]);
        check(7_200, 9, &[]);
        check(420, 2, &[1_680]);
    }
}
