//! Windows and watermarks against models too simple to be wrong.

use std::time::Duration;

use lakehead_model::{TimeRange, Timestamp};
use proptest::prelude::*;

use crate::{ResultPeriod, Timeliness, Tumble, Watermark, classify};

mod calendar;
mod hop;
mod session;
mod windows;

/// Small enough that a model may count through it.
fn near() -> impl Strategy<Value = i64> {
    -5_000_i64..5_000
}

/// Any time, the ends among them.
fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<i64>(),
        near(),
        Just(i64::MIN),
        Just(i64::MIN + 1),
        Just(i64::MAX - 1),
        Just(i64::MAX),
        Just(-1),
        Just(0)
    ]
    .prop_map(Timestamp)
}

fn any_size() -> impl Strategy<Value = Duration> {
    prop_oneof![1_u64..5_000, Just(1_000_000), Just(3_600_000_000), Just(86_400_000_000), 1_u64..3_155_760_000_000_000]
        .prop_map(Duration::from_micros)
}

proptest! {
    #[test]
    fn a_window_is_found_as_by_counting(size in 1_i64..300, time in near()) {
        let mut start = -6_000 / size * size;
        while start + size <= time {
            start += size;
        }
        let tumble = Tumble::new(Duration::from_micros(size.unsigned_abs())).expect("a size");
        prop_assert_eq!(
            tumble.window(Timestamp(time)),
            TimeRange { start: Timestamp(start), end: Timestamp(start + size) }
        );
    }

    #[test]
    fn windows_lie_side_by_side(size in any_size(), time in any_time()) {
        let tumble = Tumble::new(size).expect("a size");
        let window = tumble.window(time);
        prop_assert!(window.start <= time);
        prop_assert!(time < window.end || time.0 == i64::MAX);
        if window.start.0 > i64::MIN {
            prop_assert_eq!(tumble.window(Timestamp(window.start.0 - 1)).end, window.start);
            prop_assert_eq!(tumble.window(window.start), window);
        }
        if window.start.0 > i64::MIN && window.end.0 < i64::MAX {
            prop_assert_eq!(window.end.since(window.start), size);
            prop_assert_eq!(tumble.window(window.end).start, window.end);
            prop_assert_eq!(window.start.0 % i64::try_from(size.as_micros()).expect("bounded"), 0);
        }
    }

    #[test]
    fn every_window_has_one_period_and_it_holds_its_start(size in any_size(), time in any_time()) {
        let period = ResultPeriod::for_window(size).expect("a size");
        let window = Tumble::new(size).expect("a size").window(time);
        let range = period.range(window.start);
        prop_assert!(range.start <= window.start);
        prop_assert!(window.start < range.end || range.end.0 == i64::MAX);
        if range.start.0 > i64::MIN {
            prop_assert_eq!(period.range(range.start), range);
            prop_assert_eq!(period.range(Timestamp(range.start.0 - 1)).end, range.start);
        }
        if let ResultPeriod::Window(_) = period {
            prop_assert_eq!(range, window);
        }
    }

    #[test]
    fn a_watermark_is_the_greatest_of_all_that_was_ever_true(
        delay in 0_u64..200,
        steps in prop::collection::vec((prop::option::of(near()), prop::option::of(near()), 0_i64..100), 0..40),
        starts in near(),
    ) {
        let mut watermark = Watermark::new(Duration::from_micros(delay));
        let mut by_received = Watermark::for_received_time();
        let delay = i64::try_from(delay).expect("small");
        let (mut received, mut seen, mut truths) = (starts, Vec::new(), Vec::new());
        for (progress, greatest, later) in steps {
            received += later;
            seen.extend(greatest.map(|time| time.min(received)));
            let base = progress.or(seen.iter().max().copied());
            truths.extend(base.map(|base| base.min(received) - delay));

            let time = Timestamp(received);
            let observed = watermark.observe(progress.map(Timestamp), greatest.map(Timestamp), time);
            let expected = truths.iter().max().copied().map(Timestamp);
            prop_assert_eq!(watermark.current(), expected);
            prop_assert_eq!(observed, expected.unwrap_or(Timestamp(i64::MIN)));
            prop_assert!(expected.is_none_or(|mark| mark <= time.minus(watermark.delay())));
            prop_assert_eq!(by_received.observe(progress.map(Timestamp), None, time), time);
        }
    }

    #[test]
    fn no_watermark_overflows(
        delay in any::<u64>().prop_map(Duration::from_micros),
        steps in prop::collection::vec((prop::option::of(any_time()), prop::option::of(any_time()), any_time()), 0..20),
    ) {
        let mut watermark = Watermark::new(delay);
        let mut last = Timestamp(i64::MIN);
        for (progress, greatest, received) in steps {
            let mark = watermark.observe(progress, greatest, received);
            prop_assert!(last <= mark);
            last = mark;
        }
    }

    /// An event that a closed window misses is never judged on time, and one of an open window always is.
    #[test]
    fn an_event_is_on_time_exactly_while_its_window_is_open(
        size in 1_i64..300, time in near(), closed_until in near(), ahead in 0_i64..1_000, lateness in 0_i64..1_000,
    ) {
        let window = Tumble::new(Duration::from_micros(size.unsigned_abs())).expect("a size").window(Timestamp(time));
        let open = (closed_until..closed_until + 300).map(Timestamp).any(|moment| window.contains(moment));
        let open = open || closed_until < window.start.0;
        let watermark = closed_until + ahead;
        let judged = classify(
            window.end, Timestamp(closed_until), Duration::from_micros(lateness.unsigned_abs()), Timestamp(watermark),
        );
        let expected = match (open, watermark - window.end.0 < lateness) {
            (true, _) => Timeliness::OnTime,
            (false, true) => Timeliness::Late,
            (false, false) => Timeliness::TooLate,
        };
        prop_assert_eq!(judged, expected);
    }
}
