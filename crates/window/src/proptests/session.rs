//! Sessions against sorting all events and going through them.

use std::time::Duration;

use lakehead_model::Timestamp;
use proptest::prelude::*;

use super::near;
use crate::Session;

/// The sessions' first and last events, when all are known: a new one begins after a silence and in a new slice.
fn by_sorting(times: &[i64], gap: i64, greatest: i64) -> Vec<(i64, i64)> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let mut sessions: Vec<(i64, i64)> = Vec::new();
    for time in sorted {
        match sessions.last_mut() {
            Some((_, last)) if time - *last < gap && time.div_euclid(greatest) == last.div_euclid(greatest) => {
                *last = time
            }
            _ => sessions.push((time, time)),
        }
    }
    sessions
}

/// The same from partial sessions that are put together as they come: two are one if the later follows the earlier, or
/// if they overlap.
fn by_merging(session: Session, partials: impl IntoIterator<Item = (i64, i64)>) -> Vec<(i64, i64)> {
    let mut kept: Vec<(i64, i64)> = Vec::new();
    for mut new in partials {
        kept.retain(|old| {
            let (earlier, later) = if *old <= new { (*old, new) } else { (new, *old) };
            let one = later.0 <= earlier.1 || session.follows(Timestamp(earlier.1), Timestamp(later.0));
            if one {
                new = (earlier.0, earlier.1.max(later.1));
            }
            !one
        });
        kept.push(new);
    }
    kept.sort_unstable();
    kept
}

pub(super) fn any_session() -> impl Strategy<Value = Session> {
    (1_u64..500).prop_flat_map(|greatest| (1..=greatest, Just(greatest))).prop_map(|(gap, greatest)| {
        Session::new(Duration::from_micros(gap), Duration::from_micros(greatest)).expect("sessions")
    })
}

proptest! {
    #[test]
    fn sessions_are_the_same_in_whatever_order_events_come(
        session in any_session(),
        times in prop::collection::vec(-1_000_i64..1_000, 0..60),
        blocks in 1_usize..10,
    ) {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).expect("small");
        let (gap, greatest) = (micros(session.gap()), micros(session.greatest()));
        let expected = by_sorting(&times, gap, greatest);
        // One by one, as they came, which is in no order.
        prop_assert_eq!(&by_merging(session, times.iter().map(|time| (*time, *time))), &expected);
        // Block by block, each with its own partial sessions.
        let partials = times.chunks(blocks).flat_map(|block| by_sorting(block, gap, greatest));
        prop_assert_eq!(&by_merging(session, partials), &expected);
        for (first, last) in expected {
            prop_assert!(last - first < greatest);
            prop_assert_eq!(session.slice(Timestamp(first)), session.slice(Timestamp(last)));
            prop_assert_eq!(session.end(Timestamp(last)), Timestamp(last + gap));
        }
    }

    #[test]
    fn no_event_follows_one_of_another_slice(session in any_session(), last in near(), after in 0_i64..1_000) {
        let (last, next) = (Timestamp(last), Timestamp(last + after));
        let apart = next.since(last) >= session.gap() || !session.slice(last).contains(next);
        prop_assert_eq!(session.follows(last, next), !apart);
        prop_assert!(after == 0 || !session.follows(next, last));
    }
}
