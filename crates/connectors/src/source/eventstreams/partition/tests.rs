//! The decisions of exact resume, one by one.

use super::*;

pub(crate) fn partition(topic: &str) -> Partition {
    Partition::new(Entry::new(topic.to_owned(), 0, Timestamp::from_seconds(0)), Some(0))
}

/// A memory that holds what it is given.
#[derive(Default)]
struct Keys(std::collections::HashSet<Key>);

impl Memory for Keys {
    fn contains(&self, facts: &Facts<'_>) -> bool {
        self.0.contains(&facts.key)
    }
    fn remember(&mut self, facts: &Facts<'_>) -> bool {
        self.0.insert(facts.key)
    }
}

/// The event number `n`, a second after the one before it.
fn facts(n: i64) -> Facts<'static> {
    let time = Some(Timestamp::from_seconds(1_000_000 + n));
    let key = Key(n.unsigned_abs().into());
    Facts { topic: None, partition: 0, offset: None, key, named: true, scope: 0, kafka_time: time, event_time: time }
}

/// A partition that holds the events up to `n`, each at its own number as offset.
fn holding(n: i64, memory: &mut Keys) -> Partition {
    let mut partition = partition("t");
    for n in 0..=n {
        assert_eq!(partition.classify(n, &facts(n), 0, memory), Decision::Take(None));
    }
    partition
}

/// What is decided of the events `(offset, number)` in turn, up to the first that asks again.
fn classify(partition: &mut Partition, memory: &mut Keys, events: &[(i64, i64)]) -> Vec<Decision> {
    events.iter().map(|(offset, n)| partition.classify(*offset, &facts(*n), 0, memory)).collect()
}

const TAKE: Decision = Decision::Take(None);
const AGAIN: Decision = Decision::Duplicate(None);

#[test]
fn the_anchor_event_first_proves_the_cluster() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    partition.connect();
    assert_eq!(partition.asked_position(), Position::Offset(9));
    assert_eq!(classify(&mut partition, memory, &[(9, 9), (10, 10)]), [Decision::Known, TAKE]);
}

#[test]
fn another_event_at_the_anchors_offset_is_another_cluster_and_is_asked_by_time() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    partition.connect();
    assert_eq!(classify(&mut partition, memory, &[(9, 700)]), [Decision::AskAgain(Why::OtherCluster)]);
    partition.connect();
    assert_eq!(partition.asked_position(), Position::Timestamp((1_000_009 - 120) * 1_000));
    // The other cluster's offsets; what was taken comes again, the anchor event proves the place, the rest is new.
    let decisions = classify(&mut partition, memory, &[(507, 7), (508, 8)]);
    assert_eq!(decisions, [AGAIN, AGAIN]);
    assert!(!partition.entry.unproven && partition.entry.through == Some(9));
    let decisions = classify(&mut partition, memory, &[(509, 9), (510, 10), (511, 11)]);
    assert_eq!(decisions, [Decision::Known, TAKE, TAKE]);
    assert!(!partition.entry.unproven && partition.entry.through == Some(511));
}

#[test]
fn an_event_that_was_never_had_is_taken_from_an_overlap_though_it_lies_before_the_anchor() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    partition.ask_by_time();
    assert_eq!(classify(&mut partition, memory, &[(1, 8), (2, 70)]), [AGAIN, TAKE]);
    assert!(partition.entry.unproven);
    assert_eq!(partition.entry.next(), Some(3), "what follows in the log");
    assert_eq!(classify(&mut partition, memory, &[(3, 9)]), [Decision::Known]);
    assert!(!partition.entry.unproven);
    assert_eq!(partition.entry.next(), Some(4));
}

#[test]
fn a_gap_is_asked_for_once_more_and_then_reported() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    assert_eq!(classify(&mut partition, memory, &[(12, 12)]), [Decision::AskAgain(Why::Missing)]);
    partition.connect();
    assert_eq!(partition.asked_position(), Position::Offset(9));
    let reason = "asked for twice, and did not come";
    let after = facts(9).event_time;
    assert_eq!(
        classify(&mut partition, memory, &[(9, 9), (12, 12), (13, 13)]),
        [Decision::Known, Decision::Take(Some(Missing { from: 10, to: 12, after, reason })), TAKE]
    );
}

#[test]
fn missing_events_that_come_after_all_leave_no_gap() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    assert_eq!(classify(&mut partition, memory, &[(12, 12)]), [Decision::AskAgain(Why::Missing)]);
    partition.connect();
    assert_eq!(
        classify(&mut partition, memory, &[(9, 9), (10, 10), (11, 11), (12, 12)]),
        [Decision::Known, TAKE, TAKE, TAKE]
    );
}

#[test]
fn a_topic_that_always_jumps_is_not_asked_again_for_ever() {
    let memory = &mut Keys::default();
    let mut partition = holding(0, memory);
    let mut asked = 0;
    for n in 1..100 {
        while let Decision::AskAgain(_) = partition.classify(2 * n, &facts(n), 0, memory) {
            asked += 1;
            partition.connect();
            assert_eq!(classify(&mut partition, memory, &[(2 * n - 2, n - 1)]), [Decision::Known]);
        }
    }
    assert_eq!(asked, LASTING_GAPS_MAX);
}

#[test]
fn refused_frames_explain_a_gap_as_wide_as_they_are_many() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    assert_eq!(partition.classify(12, &facts(12), 2, memory), TAKE);
    assert_eq!(partition.classify(15, &facts(15), 1, memory), Decision::AskAgain(Why::Missing));
}

#[test]
fn a_refused_event_that_comes_again_is_known() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    assert!(partition.refuse(10));
    partition.connect();
    assert_eq!(classify(&mut partition, memory, &[(9, 9)]), [Decision::Known]);
    assert!(!partition.refuse(10), "it was refused before");
    assert_eq!(classify(&mut partition, memory, &[(11, 11)]), [TAKE]);
}

#[test]
fn what_comes_again_is_dropped_and_offsets_that_begin_anew_are_asked_by_time() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    assert_eq!(classify(&mut partition, memory, &[(8, 8), (9, 9), (10, 10)]), [AGAIN, AGAIN, TAKE]);
    // The same event at another offset.
    assert_eq!(classify(&mut partition, memory, &[(11, 10), (12, 12)]), [AGAIN, TAKE]);
    assert_eq!(classify(&mut partition, memory, &[(0, 13)]), [Decision::AskAgain(Why::OtherCluster)]);
    partition.connect();
    assert_eq!(classify(&mut partition, memory, &[(0, 12), (1, 13)]), [Decision::Known, TAKE]);
}

#[test]
fn an_overlap_is_widened_until_the_anchor_event_is_seen_and_then_given_up_with_a_gap() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    partition.ask_by_time();
    let mut widths = Vec::new();
    let last = loop {
        partition.connect();
        let Mode::Overlapping { width, .. } = partition.mode else { panic!("{:?}", partition.mode) };
        widths.push(width);
        // Long after the anchor event, which this upstream does not have.
        match partition.classify(70, &facts(100), 0, memory) {
            Decision::AskAgain(Why::Wider) => {}
            other => break other,
        }
    };
    assert_eq!(widths[0], OVERLAP);
    assert!(widths.windows(2).all(|two| two[1] == (two[0] * 2).min(OVERLAP_MAX)));
    assert_eq!(widths.last(), Some(&OVERLAP_MAX));
    assert!(matches!(last, Decision::Take(Some(Missing { from: 10, to: 70, .. }))), "{last:?}");
    assert_eq!(classify(&mut partition, memory, &[(71, 101)]), [TAKE]);
}

#[test]
fn a_kill_during_an_overlap_begins_at_the_same_place() {
    let memory = &mut Keys::default();
    let mut partition = holding(9, memory);
    partition.ask_by_time();
    assert_eq!(classify(&mut partition, memory, &[(501, 70)]), [TAKE]);
    let again = Partition::new(partition.entry.clone(), Some(0));
    assert_eq!(again.entry.anchor, partition.entry.anchor);
    assert!(matches!(again.asked_position(), Position::Timestamp(_)), "the log holds more than the anchor event says");
}

#[test]
fn an_idle_topic_is_asked_by_time_never_from_the_end() {
    assert_eq!(partition("t").asked_position(), Position::Timestamp(0));
}
