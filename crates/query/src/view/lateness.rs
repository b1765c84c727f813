//! Lateness: whether a view accepts a partial row whose windows were closed, and how long windows can be corrected.

use std::collections::HashSet;

use lakehead_model::{TimeRange, Timestamp};
use lakehead_window::{Timeliness, Windows, classify};

use super::{
    counts::Counts,
    settings::{Late, ViewSettings},
    state::{Slice, windows_over},
};
use crate::plan::Windowed;

/// Classifies each partial row as accepted or left out, and updates the counts.
pub(super) struct Classifier<'a> {
    pub(super) plan: &'a Windowed,
    pub(super) settings: &'a ViewSettings,
    pub(super) closed_until: Timestamp,
    /// Periods that end at or before this have no partial rows any more: to correct them would replace them.
    pub(super) settled_until: Timestamp,
    /// The view is built from the log, and every event that lies there is accepted.
    pub(super) takes_all: bool,
    pub(super) watermark: Timestamp,
    pub(super) counts: &'a mut Counts,
    pub(super) touched: HashSet<Timestamp>,
}

impl Classifier<'_> {
    /// Whether the partial rows of a period are gone.
    fn is_settled(&self, period: TimeRange) -> bool {
        last_end_in(self.plan, period) <= self.settled_until
    }

    /// Whether a partial row of so many events is accepted.
    pub(super) fn accepts(&mut self, slice: Option<Slice>, events: u64) -> bool {
        let Some(slice) = slice else {
            self.counts.without_time += events;
            return false;
        };
        let windows = &self.plan.windows;
        let last_end = windows.last_end(slice.start, slice.last);
        let first_end = match windows {
            // An event at or after what was closed can join no session that was: those ended a gap before.
            Windows::Session(_) => Timestamp(slice.start.0.saturating_add(1)),
            _ => windows.first_end(slice.start, slice.last),
        };
        if self.closed_until < first_end {
            self.counts.in_view += events;
            return true;
        }
        let behind = self.watermark.since(first_end);
        self.counts.late_by.count(behind, events);
        let over = windows_over(windows, slice);
        let is_settled = |window: &TimeRange| self.is_settled(self.plan.period.range(window.start));
        let is_too_late = !self.takes_all
            && classify(last_end, self.closed_until, self.settings.lateness, self.watermark) == Timeliness::TooLate
            || last_end <= self.closed_until && over.iter().all(is_settled);
        if is_too_late {
            self.counts.too_late += events;
            return false;
        }
        if self.settings.late == Late::Drop && !self.takes_all {
            if self.closed_until < last_end && !matches!(windows, Windows::Session(_)) {
                // In the windows that are still open, and not in those that are not.
                self.counts.in_view += events;
                self.counts.partly += events;
                return true;
            }
            self.counts.late_dropped += events;
            return false;
        }
        self.counts.in_view += events;
        self.counts.late += events;
        let mut is_partly = false;
        for window in over {
            let period = self.plan.period.range(window.start);
            let is_closed = match windows {
                Windows::Session(_) => true,
                _ => window.end <= self.closed_until,
            };
            if !is_closed {
                continue;
            }
            let lasts = self.takes_all || is_correctable(self.plan, self.settings, self.watermark, period);
            if lasts && !self.is_settled(period) {
                self.touched.insert(period.start);
            } else {
                is_partly = true;
            }
        }
        self.counts.partly += if is_partly { events } else { 0 };
        true
    }
}

/// Whether late events may still correct windows that start in `period`, so that its partial rows are kept.
pub(super) fn is_correctable(
    plan: &Windowed,
    settings: &ViewSettings,
    watermark: Timestamp,
    period: TimeRange,
) -> bool {
    watermark < last_end_in(plan, period).plus(settings.lateness)
}

/// The end of the last window that starts in `period`.
pub(crate) fn last_end_in(plan: &Windowed, period: TimeRange) -> Timestamp {
    let last = Timestamp(period.end.0.saturating_sub(1));
    match &plan.windows {
        Windows::Tumble(tumble) => tumble.window(last).end,
        Windows::Calendar(calendar) => calendar.window(last).end,
        Windows::Hop(hop) => hop.last_over(last).end,
        Windows::Session(session) => session.end(last),
    }
}
