//! What holds for windows of every kind.

use std::time::Duration;

use lakehead_model::{TimeRange, Timestamp};
use proptest::prelude::*;

use super::{
    any_size,
    calendar::{any_step, any_zone, lived_time},
    hop::any_hop,
    session::any_session,
};
use crate::{Calendar, Session, Tumble, Windows};

fn any_windows() -> impl Strategy<Value = Windows> {
    prop_oneof![
        any_size().prop_map(|size| Windows::Tumble(Tumble::new(size).expect("a size"))),
        (any_step(), any_zone())
            .prop_map(|(step, zone)| Windows::Calendar(Calendar::new(step, &zone).expect("a calendar"))),
        any_hop().prop_map(Windows::Hop),
        any_session().prop_map(Windows::Session),
        (1_u32..4_000, 1_u32..40).prop_map(|(gap, gaps)| {
            let gap = Duration::from_secs(gap.into());
            Windows::Session(Session::new(gap, gap * gaps).expect("sessions"))
        }),
    ]
}

/// All windows that an event at `time` may be in, of which a session's last event is at `last`.
fn over(windows: &Windows, time: Timestamp, last: Timestamp) -> Vec<TimeRange> {
    match windows {
        Windows::Tumble(tumble) => vec![tumble.window(time)],
        Windows::Calendar(calendar) => vec![calendar.window(time)],
        Windows::Hop(hop) => hop.windows_over(time).collect(),
        Windows::Session(session) => vec![TimeRange { start: time, end: session.end(last) }],
    }
}

/// A later event of the same session; `time` itself where windows are no sessions.
fn last_of(windows: &Windows, time: Timestamp, later: i64) -> Timestamp {
    match windows {
        Windows::Session(session) => {
            Timestamp(time.0.saturating_add(later)).min(Timestamp(session.slice(time).end.0 - 1)).max(time)
        }
        _ => time,
    }
}

proptest! {
    #[test]
    fn a_slice_tells_the_windows_of_its_events(windows in any_windows(), time in lived_time(), later in 0_i64..100_000_000) {
        let last = last_of(&windows, time, later);
        let over = over(&windows, time, last);
        let slice = windows.slice(time);
        prop_assert!(slice <= time);
        prop_assert_eq!(windows.slice(slice), slice);
        prop_assert_eq!(Some(windows.first_end(slice, last)), over.first().map(|window| window.end));
        prop_assert_eq!(Some(windows.last_end(slice, last)), over.last().map(|window| window.end));
        prop_assert!(over.iter().all(|window| window.start <= slice));
    }

    #[test]
    fn what_starts_before_the_complete_has_ended(
        windows in any_windows(), watermark in lived_time(), ago in 0_i64..1_000_000_000_000, later in 0_i64..100_000_000,
    ) {
        let complete = windows.complete_before(watermark);
        prop_assert!(complete <= watermark);
        let before = Timestamp(complete.0.saturating_sub(ago % 1_000));
        for time in [watermark, Timestamp(watermark.0.saturating_sub(ago)), before, Timestamp(complete.0.saturating_sub(1))] {
            let last = last_of(&windows, time, later);
            for window in over(&windows, time, last) {
                prop_assert!(complete <= window.start || window.end <= watermark, "{window:?} {complete:?}");
            }
        }
    }

    /// Of windows side by side the first that is open starts there, so that no later answer would be right.
    #[test]
    fn the_complete_is_as_much_as_can_be(windows in any_windows(), watermark in lived_time()) {
        let complete = windows.complete_before(watermark);
        let (open, silence) = match &windows {
            Windows::Session(session) => (session.slice(complete), session.gap()),
            _ => (over(&windows, watermark, watermark)[0], Duration::ZERO),
        };
        prop_assert_eq!(open.start, complete);
        prop_assert!(open.end > watermark.minus(silence) || open.end.0 == i64::MAX);
    }

    #[test]
    fn a_window_is_filed_in_one_period(windows in any_windows(), time in lived_time(), later in 0_i64..100_000_000) {
        let period = windows.period();
        for window in over(&windows, time, time) {
            let range = period.range(window.start);
            prop_assert!(range.contains(window.start) || window.start.0 == i64::MAX);
            prop_assert_eq!(period.range(range.start).start, range.start);
            prop_assert!(range.end.0 == i64::MAX || period.range(Timestamp(range.end.0 - 1)) == range);
            if let Windows::Calendar(_) = &windows {
                prop_assert!(range.start <= window.start && window.end <= range.end);
            }
        }
        if let Windows::Session(session) = &windows {
            let slice = session.slice(time);
            let range = period.range(time);
            prop_assert!(range.start <= slice.start && slice.end <= range.end);
            prop_assert_eq!(period.range(last_of(&windows, time, later)), range);
        }
    }
}
