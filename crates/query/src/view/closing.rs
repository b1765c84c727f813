//! Selects the windows that a commit closes, by result period, and bounds how many periods one commit writes.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use lakehead_model::{TimeRange, Timestamp};

use super::{
    state::{PickedRows, Slice, Slices, windows_over},
    transaction::PERIODS_MAX,
};
use crate::{error::Error, plan::Windowed};

/// The windows of one result period that a commit closes.
pub(super) struct Closing {
    pub(super) period: TimeRange,
    /// The end of the first of them.
    pub(super) first_end: Timestamp,
    /// The partial rows that are in them.
    pub(super) rows: PickedRows,
}

/// The result periods of those windows that satisfy `closes`. One pass over the rows finds all of them: a pass for each
/// period would be quadratic where every row is in a period of its own.
pub(super) fn closing_periods(
    plan: &Windowed,
    rows: &[RecordBatch],
    closes: impl Fn(TimeRange) -> bool,
) -> Result<BTreeMap<Timestamp, Closing>, Error> {
    let mut found: BTreeMap<Timestamp, Closing> = BTreeMap::new();
    for (index, batch) in rows.iter().enumerate() {
        // Rows come in runs of one slice.
        let mut last: Option<(Timestamp, Vec<(TimeRange, Timestamp)>)> = None;
        for (row, (slice, _)) in (0_u32..).zip(Slices::of(plan, batch)?.iter()) {
            let Some(slice) = slice else { continue };
            let known = last.take().filter(|(start, _)| *start == slice.start && plan.last.is_none());
            let (_, periods) = last.insert(known.unwrap_or_else(|| (slice.start, periods_over(plan, slice, &closes))));
            for (period, first_end) in periods.iter().copied() {
                let fresh = || Closing { period, first_end, rows: PickedRows::default() };
                let closing = found.entry(period.start).or_insert_with(fresh);
                closing.first_end = closing.first_end.min(first_end);
                closing.rows.add(index, row);
            }
        }
    }
    Ok(found)
}

/// The result periods of those windows over `slice` that satisfy `closes`, each with the end of its first window.
fn periods_over(plan: &Windowed, slice: Slice, closes: impl Fn(TimeRange) -> bool) -> Vec<(TimeRange, Timestamp)> {
    let mut periods: Vec<(TimeRange, Timestamp)> = Vec::new();
    for window in windows_over(&plan.windows, slice).into_iter().filter(|window| closes(*window)) {
        let period = plan.period.range(window.start);
        if periods.last().is_none_or(|(last, _)| *last != period) {
            periods.push((period, window.end));
        }
    }
    periods
}

/// How far a commit closes windows: up to `watermark`, or to where [`PERIODS_MAX`] result periods have closed.
/// `first_ends` has for each period that would close the end of its first window. Periods that late events have opened
/// again, with windows that end at or before `was_closed_until`, are all written: those who follow are told what their
/// rows were before, and no checkpoint says it.
pub(super) fn reach(mut first_ends: Vec<Timestamp>, was_closed_until: Timestamp, watermark: Timestamp) -> Timestamp {
    if first_ends.len() <= PERIODS_MAX {
        return watermark;
    }
    // The first windows of two periods never end at the same time, so each commit closes some.
    let (_, beyond, _) = first_ends.select_nth_unstable(PERIODS_MAX);
    Timestamp(beyond.0.saturating_sub(1)).max(was_closed_until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_closes_so_many_periods_and_all_that_late_events_have_opened_again() {
        let max = i64::try_from(PERIODS_MAX).expect("small");
        let ends = |count: i64| (1..=count).rev().map(Timestamp).collect::<Vec<_>>();
        let (never, watermark) = (Timestamp(i64::MIN), Timestamp(10 * max));
        assert_eq!(reach(Vec::new(), never, watermark), watermark);
        assert_eq!(reach(ends(max), never, watermark), watermark);
        assert_eq!(reach(ends(max + 1), never, watermark), Timestamp(max), "the last one waits");
        assert_eq!(reach(ends(3 * max), Timestamp(1), watermark), Timestamp(max));
        let opened_again = Timestamp(2 * max);
        assert_eq!(reach(ends(3 * max), opened_again, watermark), opened_again, "no other beside them");
    }
}
