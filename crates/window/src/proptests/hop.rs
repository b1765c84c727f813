//! Hopping windows against trying every one of them.

use std::time::Duration;

use lakehead_model::{TimeRange, Timestamp};
use proptest::prelude::*;

use super::{any_time, near};
use crate::Hop;

/// Windows of few microseconds.
fn small() -> impl Strategy<Value = Hop> {
    (1_u64..200)
        .prop_flat_map(|size| (1..=size, Just(size)))
        .prop_map(|(slide, size)| Hop::new(Duration::from_micros(slide), Duration::from_micros(size)).expect("windows"))
}

pub(super) fn any_hop() -> impl Strategy<Value = Hop> {
    let unit = prop_oneof![Just(1_u64), Just(1_000_000), Just(60_000_000), Just(3_600_000_000)];
    (1_u64..200).prop_flat_map(move |size| (1..=size, Just(size), unit.clone())).prop_map(|(slide, size, unit)| {
        Hop::new(Duration::from_micros(slide * unit), Duration::from_micros(size * unit)).expect("windows")
    })
}

proptest! {
    #[test]
    fn windows_over_a_time_are_found_as_by_trying_all(hop in small(), time in near()) {
        let (slide, size) = (micros(hop.slide()), micros(hop.size()));
        let all = (-6_000..6_000).map(|k| TimeRange { start: Timestamp(k * slide), end: Timestamp(k * slide + size) });
        let expected: Vec<_> = all.filter(|window| window.contains(Timestamp(time))).collect();
        let found: Vec<_> = hop.windows_over(Timestamp(time)).collect();
        prop_assert_eq!(Some(&hop.first_over(Timestamp(time))), expected.first());
        prop_assert_eq!(Some(&hop.last_over(Timestamp(time))), expected.last());
        prop_assert!(found.iter().all(|window| hop.window(window.start) == *window));
        prop_assert_eq!(found, expected);
    }

    /// So what is counted for a pane is right for each of its windows.
    #[test]
    fn all_moments_of_a_pane_are_in_the_same_windows(hop in small(), time in near()) {
        let pane = hop.pane().window(Timestamp(time));
        let over: Vec<_> = hop.windows_over(Timestamp(time)).collect();
        for moment in (pane.start.0..pane.end.0).map(Timestamp) {
            prop_assert_eq!(&hop.windows_over(moment).collect::<Vec<_>>(), &over);
        }
        let whole = |pane: &i64| micros(hop.slide()) % pane == 0 && micros(hop.size()) % pane == 0;
        prop_assert_eq!(Some(micros(hop.pane().size())), (1..=micros(hop.size())).rev().find(whole));
    }

    #[test]
    fn every_moment_is_in_a_window(hop in any_hop(), time in any_time()) {
        let windows: Vec<_> = hop.windows_over(time).collect();
        prop_assert!(!windows.is_empty());
        prop_assert!(windows.iter().all(|window| window.contains(time) || time.0 == i64::MAX));
        prop_assert!(windows.is_sorted_by_key(|window| (window.start, window.end)));
        prop_assert_eq!((Some(&hop.first_over(time)), Some(&hop.last_over(time))), (windows.first(), windows.last()));
        let most = micros(hop.size()).div_euclid(micros(hop.slide())) + 1;
        prop_assert!(i64::try_from(windows.len()).expect("few") <= most);
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).expect("small")
}
