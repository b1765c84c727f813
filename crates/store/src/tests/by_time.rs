//! Reading by time gives every block that may be wanted, and leaves the others on the disk.

use std::sync::Arc;

use lakehead_model::{ByteSize, Cursor, Offset, TimeRange, TimeRule, Timestamp};
use proptest::prelude::*;

use super::{
    memory::Memory,
    rig::{ManualClock, START, batch, cursor, events, hand_over, name, options, try_open},
    sealing::{seal_all, small},
};
use crate::{Append, BlockFilter, Options, Stream};

/// By which rule the time of the n-th event was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rules {
    /// By the one that is asked for.
    One,
    /// By that, by another, and by one that nobody knows.
    Mixed,
    /// By another up to the twentieth, as after a change of the rule.
    Changed,
}

impl Rules {
    fn of(self, n: i64) -> Option<TimeRule> {
        match self {
            Self::Mixed if n % 5 == 0 => None,
            Self::Mixed if n % 5 < 3 => TimeRule::kept(2),
            Self::Changed if n < 20 => TimeRule::kept(2),
            _ => Some(asked()),
        }
    }
}

fn asked() -> TimeRule {
    TimeRule::kept(1).expect("above zero")
}

/// One event a block, ten minutes apart; its event time is the hour before, in minutes counted down.
fn stream(files: &Memory, clock: &Arc<ManualClock>, options: Options, rules: Rules) -> Stream {
    let stream = try_open(files, options, clock).expect("opens");
    for n in 0..40_i64 {
        let mut events_of = batch(&[]);
        let time = (n % 4 != 3).then_some(Timestamp(START + (40 - n) * 60_000_000));
        events_of.push(n.to_string().as_bytes(), time);
        rules.of(n).into_iter().for_each(|rule| events_of.set_time_rule(rule));
        let append = Append { events: events_of, ..events(&[]) };
        hand_over(&stream.appender(), append).expect("taken").wait().expect("kept");
        clock.advance(600_000_000);
    }
    stream
}

fn offsets(stream: &Stream, from: u64, block_filter: BlockFilter) -> Vec<u64> {
    let mut reader = stream.reader(Offset(from)).filtered(block_filter);
    let mut found = Vec::new();
    while let Some(block) = reader.next().expect("reads") {
        found.extend((block.first_offset.0..block.end_offset().0).collect::<Vec<_>>());
    }
    assert_eq!(reader.position(), stream.head().end, "it has come to the end");
    found
}

fn range(start: i64, end: i64) -> Option<TimeRange> {
    Some(TimeRange { start: Timestamp(START + start * 60_000_000), end: Timestamp(START + end * 60_000_000) })
}

/// What a reader must give: by received time n × 10 minutes, by event time 40 − n minutes where there is one, and any whose
/// time was read by another rule.
fn wanted(from: u64, block_filter: &BlockFilter, rules: Rules) -> Vec<u64> {
    let within = |range: Option<TimeRange>, time: Option<i64>| {
        range.is_none_or(|range| time.is_some_and(|time| range.start.0 <= time && time < range.end.0))
    };
    (from..40)
        .filter(|n| {
            let n = *n as i64;
            let event = (n % 4 != 3).then_some(START + (40 - n) * 60_000_000);
            let event_time = block_filter.event_time.map(|(_, range)| range).filter(|_| rules.of(n) == Some(asked()));
            within(block_filter.received_time, Some(START + n * 600_000_000)) && within(event_time, event)
        })
        .collect()
}

#[test]
fn only_what_a_block_may_hold_is_read() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = stream(&files, &clock, small(), Rules::One);
    seal_all(&stream).expect("seals");
    // Everything but the wanted hour is gone from the disk: what is skipped is not opened.
    let wanted_hour = "/data/streams/s/2026/11/23/09";
    for path in super::rig::segments(&files) {
        if !path.starts_with(wanted_hour) {
            files.remove_file(&path);
        }
    }
    let block_filter = BlockFilter { received_time: range(120, 180), event_time: None };
    let (from, to) = stream.bounds_for(&block_filter);
    assert_eq!((from, to.min(Offset(18))), (Offset(12), Offset(18)));
    let mut reader = stream.reader(Offset(0)).filtered(block_filter);
    let mut found = Vec::new();
    while found.len() < 6 {
        found.push(reader.next().expect("reads").expect("more").first_offset.0);
    }
    assert_eq!(found, [12, 13, 14, 15, 16, 17]);
}

fn bounds() -> impl Strategy<Value = Option<(i64, i64)>> {
    prop_oneof![Just(None), (-20_i64..420, -20_i64..420).prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_block_that_may_be_wanted_is_given(
        received in bounds(), event in bounds(), from in 0_u64..40, rules in prop_oneof![Just(Rules::One), Just(Rules::Mixed), Just(Rules::Changed)], sealed in any::<bool>(), tail in prop_oneof![Just(0_u64), Just(1500), Just(1 << 20)],
    ) {
        let (files, clock) = (Memory::default(), ManualClock::new());
        let stream = stream(&files, &clock, Options { tail_bytes: ByteSize(tail), ..small() }, rules);
        if sealed {
            seal_all(&stream).expect("seals");
        }
        let block_filter = BlockFilter {
            received_time: received.and_then(|(a, b)| range(a, b)),
            event_time: event.and_then(|(a, b)| Some((asked(), range(a, b)?))),
        };
        let (low, high) = stream.bounds_for(&block_filter);
        let expected = wanted(from, &block_filter, rules);
        prop_assert!(expected.iter().all(|n| low.0 <= *n && *n < high.0), "narrow {low} {high}: {expected:?}");
        prop_assert_eq!(offsets(&stream, from, block_filter), expected);
        let again = try_open(&files.after_kill(), Options { tail_bytes: ByteSize(tail), ..options() }, &clock).expect("opens");
        prop_assert_eq!(offsets(&again, from, block_filter), wanted(from, &block_filter, rules));
    }
}

#[test]
fn blocks_whose_times_were_read_by_another_rule_are_read_whatever_their_range_says() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = stream(&files, &clock, small(), Rules::Changed);
    let block_filter = BlockFilter { received_time: None, event_time: range(1, 6).map(|range| (asked(), range)) };
    let expected: Vec<u64> = (0..20).chain([36, 37, 38]).collect();
    assert_eq!(offsets(&stream, 0, block_filter), expected);
    seal_all(&stream).expect("seals");
    assert_eq!(offsets(&stream, 0, block_filter), expected, "sealed");
    let again = try_open(&files.after_kill(), small(), &clock).expect("opens");
    assert_eq!(offsets(&again, 0, block_filter), expected, "opened again");
}

#[test]
fn progress_that_was_told_by_another_rule_goes_with_it() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = try_open(&files, options(), &clock).expect("opens");
    let take = |source: &str, progress: Option<i64>, rule: u64| {
        let mut events_of = batch(&["1"]);
        TimeRule::kept(rule).into_iter().for_each(|rule| events_of.set_time_rule(rule));
        let cursor = progress.map(|progress| Cursor { progress: Some(Timestamp(progress)), ..cursor("c") });
        let append = Append { source: name(source), cursor, events: events_of, ..events(&[]) };
        hand_over(&stream.appender(), append).expect("taken").wait().expect("kept");
        let mut reader = stream.reader(Offset(stream.head().end.0 - 1));
        let block = reader.next().expect("reads").expect("a block");
        (block.progress.map(|progress| progress.0), block.time_rule.map_or(0, TimeRule::number))
    };
    assert_eq!(take("a", Some(5), 1), (Some(5), 1));
    assert_eq!(take("b", Some(9), 1), (Some(5), 1));
    assert_eq!(take("push", None, 1), (Some(5), 1));
    assert_eq!(take("push", None, 2), (None, 2), "both were told by the old rule");
    assert_eq!(take("b", Some(3), 2), (Some(3), 2));
    assert_eq!(take("a", Some(7), 2), (Some(3), 2));
}
