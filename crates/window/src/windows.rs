//! The windows of a view, of whichever kind: where partial rows are kept, and when their windows end.
//!
//! A view keeps its partial rows by *slice*, which is what an event is in as soon as it comes:
//!
//! ```text
//! kind       a slice is    a row's first window        its last window             filed by
//! Tumble     the window    the slice                   the slice                   hour, day or window, by size
//! Calendar   the window    the slice                   the slice                   local day, or window
//! Hop        the pane      the first over the pane     the last over the pane      as tumbling windows of the slide
//! Session    the instant   the session                 the session                 hour or day, if its slices fill it
//! ```
//!
//! A session's own slices ([`Session::slice`]) are greater: they bound the sessions of all keys.

use lakehead_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Calendar, Hop, ResultPeriod, Session, Tumble};

/// The windows of a view.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Windows {
    /// Of one size, side by side.
    Tumble(Tumble),
    /// By the calendar of a time zone, side by side.
    Calendar(Calendar),
    /// Of one size, and they overlap.
    Hop(Hop),
    /// As long as events keep coming.
    Session(Session),
}

impl Windows {
    /// The start under which the partial row of an event at `time` is kept. By the minute 13:20:17 is kept under
    /// 13:20:00, 13:21:00 is not; in a session it is kept under 13:20:17.
    #[must_use]
    pub fn slice(&self, time: Timestamp) -> Timestamp {
        match self {
            Self::Tumble(tumble) => tumble.window(time).start,
            Self::Calendar(calendar) => calendar.window(time).start,
            Self::Hop(hop) => hop.pane().window(time).start,
            Self::Session(_) => time,
        }
    }

    /// The end of the first window that a partial row under `slice` belongs to. `last` is the time of a session's last
    /// event so far; it means nothing to windows of other kinds.
    #[must_use]
    pub fn first_end(&self, slice: Timestamp, last: Timestamp) -> Timestamp {
        match self {
            Self::Tumble(tumble) => tumble.window(slice).end,
            Self::Calendar(calendar) => calendar.window(slice).end,
            Self::Hop(hop) => hop.first_over(slice).end,
            Self::Session(session) => session.end(last),
        }
    }

    /// The end of the last window that a partial row under `slice` belongs to: from then on it is needed no more.
    /// `last` is as for [`first_end`](Self::first_end).
    #[must_use]
    pub fn last_end(&self, slice: Timestamp, last: Timestamp) -> Timestamp {
        match self {
            Self::Hop(hop) => hop.last_over(slice).end,
            Self::Tumble(_) | Self::Calendar(_) | Self::Session(_) => self.first_end(slice, last),
        }
    }

    /// By which stretches of time the results are filed. No session's events straddle two of them.
    #[must_use]
    pub fn period(&self) -> ResultPeriod {
        match self {
            Self::Tumble(tumble) => ResultPeriod::for_tumble(*tumble),
            Self::Calendar(calendar) => ResultPeriod::Calendar(calendar.whole_days()),
            Self::Hop(hop) => ResultPeriod::for_tumble(hop.starts()),
            Self::Session(session) => ResultPeriod::for_slices(session.slices()),
        }
    }

    /// A time before which the results are complete at `watermark`: every window that starts before it has ended at or
    /// before `watermark`. By the minute and at 13:20:17 that is 13:20:00.
    ///
    /// For sessions it is the start of a slice, the latest that no session still open can have begun before.
    #[must_use]
    pub fn complete_before(&self, watermark: Timestamp) -> Timestamp {
        match self {
            Self::Tumble(tumble) => tumble.window(watermark).start,
            Self::Calendar(calendar) => calendar.window(watermark).start,
            Self::Hop(hop) => hop.first_over(watermark).start,
            Self::Session(session) => session.slice(watermark.minus(session.gap())).start,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Step;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn tumble(size_seconds: u64) -> Tumble {
        Tumble::new(seconds(size_seconds)).expect("a size")
    }

    fn berlin(step: Step) -> Calendar {
        Calendar::new(step, "Europe/Berlin").expect("a calendar")
    }

    /// One of each kind: by the minute, by Berlin's day, four seconds apart and six long, silences of ten seconds.
    fn each() -> [Windows; 4] {
        [
            Windows::Tumble(tumble(60)),
            Windows::Calendar(berlin(Step::Days(1))),
            Windows::Hop(Hop::new(seconds(4), seconds(6)).expect("windows")),
            Windows::Session(Session::new(seconds(10), seconds(100)).expect("sessions")),
        ]
    }

    #[track_caller]
    fn check(of: fn(&Windows, Timestamp) -> Timestamp, at_seconds: i64, expected_seconds: [i64; 4]) {
        let found = each().map(|windows| of(&windows, Timestamp::from_seconds(at_seconds)));
        assert_eq!(found, expected_seconds.map(Timestamp::from_seconds));
    }

    #[test]
    fn a_partial_row_is_kept_under_its_slice_and_has_a_first_end_and_a_last() {
        check(Windows::slice, 65, [60, -3_600, 64, 65]);
        let first_end = |windows: &Windows, time| windows.first_end(windows.slice(time), time);
        check(first_end, 65, [120, 82_800, 66, 75]);
        let last_end = |windows: &Windows, time| windows.last_end(windows.slice(time), time);
        check(last_end, 65, [120, 82_800, 70, 75]);
    }

    #[test]
    fn results_are_complete_up_to_the_first_window_that_is_open() {
        check(Windows::complete_before, 65, [60, -3_600, 60, 0]);
        check(Windows::complete_before, 66, [60, -3_600, 64, 0]);
        check(Windows::complete_before, 110, [60, -3_600, 108, 100]);
        check(Windows::complete_before, 109, [60, -3_600, 104, 0]);
    }

    #[test]
    fn results_are_filed_by_what_no_window_straddles() {
        let [by_minute, by_day, hop, session] = each().map(|windows| windows.period());
        assert_eq!(by_minute, ResultPeriod::Hour);
        assert_eq!(by_day, ResultPeriod::Calendar(berlin(Step::Days(1))));
        assert_eq!(hop, ResultPeriod::Hour);
        assert_eq!(session, ResultPeriod::Hour);
        let calendar = |step| Windows::Calendar(berlin(step)).period();
        assert_eq!(calendar(Step::Within(seconds(3_600))), by_day);
        assert_eq!(calendar(Step::Months(1)), ResultPeriod::Calendar(berlin(Step::Months(1))));
        let hop = |slide, size| Windows::Hop(Hop::new(seconds(slide), seconds(size)).expect("windows")).period();
        assert_eq!(hop(601, 1_202), ResultPeriod::Day);
        assert_eq!(hop(86_400, 7 * 86_400), ResultPeriod::Window(tumble(86_400)));
        let session =
            |greatest| Windows::Session(Session::new(seconds(10), seconds(greatest)).expect("sessions")).period();
        assert_eq!([3_600, 1_800].map(session), [ResultPeriod::Hour, ResultPeriod::Hour]);
        assert_eq!([7_200, 86_400].map(session), [ResultPeriod::Day, ResultPeriod::Day]);
        assert_eq!([7_000, 172_800].map(session), [7_000, 172_800].map(tumble).map(ResultPeriod::Window));
    }

    #[test]
    fn they_are_read_as_they_were_written() {
        for windows in each() {
            for period in [windows.period(), ResultPeriod::Day] {
                let saved = serde_json::to_string(&(&windows, &period)).expect("JSON");
                assert_eq!(
                    serde_json::from_str::<(Windows, ResultPeriod)>(&saved).expect("windows"),
                    (windows.clone(), period)
                );
            }
        }
    }
}
