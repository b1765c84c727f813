//! Nothing is answered or shown before it is committed; what is answered survives.

use std::task::{Context, Poll, Waker};

use lakehead_model::{ByteSize, Offset, Span, Timestamp};

use super::{
    memory::{Fate, Memory, Op},
    rig::{
        ManualClock, append, append_at, block_on, cursor, events, hand_over, open, options, read, segments, try_open,
    },
};
use crate::{Append, Error, Options, Sync};

fn is_answered(ticket: &mut crate::Ticket) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(std::pin::Pin::new(ticket).poll(&mut context), Poll::Ready(_))
}

// docs/evidence/known-bugs.md, 1.
#[test]
fn nothing_is_answered_or_shown_before_its_sync_has_returned() {
    let files = Memory::default();
    let stream = open(&files);
    files.hold_syncs();
    let mut ticket = hand_over(&stream.appender(), events(&["1"])).expect("taken");
    files.wait_for_a_held_sync();
    assert!(!is_answered(&mut ticket));
    assert!(read(&stream, 0).is_empty());
    assert_eq!(stream.head().end, Offset(0));
    files.release_syncs();
    assert_eq!(ticket.wait().expect("kept").first_offset, Offset(0));
    assert_eq!(read(&stream, 0), ["1"]);
}

#[test]
fn what_was_answered_is_there_after_a_power_cut_that_takes_all_else() {
    let files = Memory::default();
    let stream = open(&files);
    for text in ["1", "2", "3"] {
        append_at(&stream, &[text], text).expect("kept");
    }
    let after = files.after_power_cut(false, || Fate::Lost);
    let again = open(&after);
    assert_eq!(read(&again, 0), ["1", "2", "3"]);
    assert_eq!(again.head().cursors.values().next(), Some(&cursor("3")));
}

#[test]
fn a_span_between_syncs_does_not_hold_up_what_fills_the_queue() {
    let files = Memory::default();
    let options = Options {
        sync: Sync::Every(Span::millis(3_600_000)),
        block_bytes: ByteSize(1 << 10),
        queue_bytes: ByteSize(8 << 10),
        ..options()
    };
    let stream = try_open(&files, options, &ManualClock::new()).expect("opens");
    append(&stream, &["the first is synced at once"]).expect("kept");
    let large = "x".repeat(1 << 10);
    let appender = stream.appender();
    // More than the queue holds: without a sync on the way the last would never be let in.
    for _ in 0..40 {
        hand_over(&appender, events(&[&large])).expect("taken");
    }
    stream.close().expect("closes");
    assert_eq!(read(&stream, 0).len(), 41);
}

#[test]
fn one_sync_covers_all_that_was_written_meanwhile() {
    let files = Memory::default();
    let stream =
        try_open(&files, Options { block_bytes: ByteSize(1), ..options() }, &ManualClock::new()).expect("opens");
    append(&stream, &["0"]).expect("kept");
    files.hold_syncs();
    let (writes, syncs) = (files.count(Op::Write), files.count(Op::Sync));
    let appender = stream.appender();
    let first = hand_over(&appender, events(&["1"])).expect("taken");
    files.wait_for_a_held_sync();
    let rest: Vec<_> = (0..20).map(|_| hand_over(&appender, events(&["n"])).expect("taken")).collect();
    files.wait_for(Op::Write, writes + 21);
    files.release_syncs();
    first.wait().expect("kept");
    for ticket in rest {
        ticket.wait().expect("kept");
    }
    // One for the first and one for the twenty; the last of them may be handed on a moment after the second has begun.
    assert!(files.count(Op::Sync) - syncs <= 3);
    assert_eq!(stream.head().end, Offset(22));
}

// docs/evidence/known-bugs.md, 12.
#[test]
fn a_block_closes_by_its_age_without_another_event() {
    let files = Memory::default();
    let options = Options { block_age_max: Span::millis(5), ..Options::default() };
    let stream = try_open(&files, options, &ManualClock::new()).expect("opens");
    // Nothing comes after it, and nothing else closes the block: the answer comes by its age, or not at all.
    append(&stream, &["1"]).expect("kept");
    assert_eq!(read(&stream, 0), ["1"]);
}

#[test]
fn an_append_is_never_split_and_fills_what_it_needs() {
    let files = Memory::default();
    let options = Options { block_bytes: ByteSize(8), block_age_max: Span::seconds(60), ..options() };
    let stream = try_open(&files, options, &ManualClock::new()).expect("opens");
    let appender = stream.appender();
    // 6 bytes fit with nothing else of 4; 20 bytes are a block of their own.
    let tickets = ["11111", "222", "3333333333333333333", "4444444"];
    let tickets: Vec<_> = tickets.iter().map(|text| hand_over(&appender, events(&[text])).expect("taken")).collect();
    for ticket in tickets {
        ticket.wait().expect("kept");
    }
    let mut reader = stream.reader(Offset(0));
    let mut sizes = Vec::new();
    while let Some(block) = reader.next().expect("reads") {
        sizes.push(block.payload.len());
    }
    assert_eq!(sizes, [6, 4, 20, 8]);
}

#[test]
fn an_empty_append_moves_the_cursor_and_wakes_readers() {
    let files = Memory::default();
    let stream = open(&files);
    append_at(&stream, &["1"], "one").expect("kept");
    let mut committed = stream.committed();
    committed.mark_unchanged();
    let mut reader = stream.reader(Offset(1));
    assert!(reader.next().expect("reads").is_none());
    let appended = append_at(&stream, &[], "two").expect("kept");
    assert_eq!((appended.first_offset, appended.count), (Offset(1), 0));
    block_on(committed.changed()).expect("open");
    let block = reader.next().expect("reads").expect("a block without events");
    assert!(block.is_empty());
    assert_eq!(open(&files.after_kill()).head().cursors.values().next(), Some(&cursor("two")));
}

#[test]
fn cursors_of_all_sources_are_in_every_block() {
    let files = Memory::default();
    let stream = open(&files);
    append_at(&stream, &["1"], "a1").expect("kept");
    let other = Append { source: super::rig::name("b"), cursor: Some(cursor("b1")), ..events(&["2"]) };
    hand_over(&stream.appender(), other).expect("taken").wait().expect("kept");
    append(&stream, &["3"]).expect("kept");
    let again = open(&files.after_kill());
    let positions: Vec<_> = again.head().cursors.values().map(|c| c.position.to_string()).collect();
    assert_eq!(positions, ["a1", "b1"]);
}

#[test]
fn received_time_never_runs_backwards_also_over_a_restart() {
    let files = Memory::default();
    let clock = ManualClock::new();
    let stream = try_open(&files, options(), &clock).expect("opens");
    let first = append(&stream, &["1"]).expect("kept").received_time;
    clock.advance(-10_000_000);
    assert_eq!(append(&stream, &["2"]).expect("kept").received_time, first);
    stream.close().expect("closes");
    let again = try_open(&files.after_kill(), options(), &clock).expect("opens");
    assert_eq!(append(&again, &["3"]).expect("kept").received_time, first);
    clock.advance(10_000_001);
    assert_eq!(append(&again, &["4"]).expect("kept").received_time, Timestamp(first.0 + 1));
}

#[test]
fn a_segment_ends_with_its_hour_and_at_its_size() {
    let files = Memory::default();
    let clock = ManualClock::new();
    let small = Options { block_bytes: ByteSize(8), segment_bytes: ByteSize(450), ..options() };
    let stream = try_open(&files, small, &clock).expect("opens");
    for text in ["1", "2", "3", "4", "5"] {
        append(&stream, &[text]).expect("kept");
    }
    clock.advance(3_600_000_000);
    append(&stream, &["6"]).expect("kept");
    let names: Vec<_> = segments(&files).iter().map(|p| p.display().to_string()).collect();
    assert_eq!(
        names,
        [
            "/data/streams/s/2026/11/23/07/00000000000000000000.jsonl.zst",
            "/data/streams/s/2026/11/23/07/00000000000000000003.jsonl.zst",
            "/data/streams/s/2026/11/23/08/00000000000000000005.jsonl.zst",
        ]
    );
    assert_eq!(read(&stream, 0), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(stream.stats().segments, 3);
}

#[test]
fn idempotency_keys_come_back_with_their_answers() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["0"]).expect("kept");
    let keyed = Append { keys: vec!["k1".into(), "k2".into()], ..events(&["1", "2"]) };
    hand_over(&stream.appender(), keyed).expect("taken").wait().expect("kept");
    for stream in [stream, open(&files.after_kill())] {
        let keys = stream.recent_keys();
        let found: Vec<_> = keys.iter().map(|k| (&*k.key, k.first_offset.0, k.count)).collect();
        assert_eq!(found, [("k1", 1, 2), ("k2", 1, 2)]);
    }
}

#[test]
fn bounds_are_named_when_they_are_broken() {
    let files = Memory::default();
    let stream = open(&files);
    let long = Append { cursor: Some(cursor(&"x".repeat(70_000))), ..events(&[]) };
    let error = hand_over(&stream.appender(), long).expect_err("too long");
    assert!(error.to_string().contains("the cursor of source a has 70000 bytes"), "{error}");
    let long = Append { keys: vec!["k".repeat(2_000)], ..events(&[]) };
    assert!(hand_over(&stream.appender(), long).is_err());
}

#[test]
fn with_sync_off_a_kill_takes_nothing_and_a_power_cut_may() {
    let files = Memory::default();
    let off = Options { sync: Sync::Off, ..options() };
    let stream = try_open(&files, off, &ManualClock::new()).expect("opens");
    append(&stream, &["1"]).expect("taken by the system");
    assert_eq!(read(&open(&files.after_kill()), 0), ["1"]);
    assert!(read(&open(&files.after_power_cut(false, || Fate::Lost)), 0).is_empty());
    stream.close().expect("closes");
    assert_eq!(read(&open(&files.after_power_cut(false, || Fate::Lost)), 0), ["1"], "a clean stop syncs");
}

#[test]
fn with_an_interval_answers_wait_for_the_sync_all_the_same() {
    let files = Memory::default();
    let every = Options { sync: Sync::Every(Span::millis(1)), ..options() };
    let stream = try_open(&files, every, &ManualClock::new()).expect("opens");
    for text in ["1", "2"] {
        append(&stream, &[text]).expect("kept");
    }
    assert_eq!(read(&open(&files.after_power_cut(false, || Fate::Lost)), 0), ["1", "2"]);
}

#[test]
fn a_closed_stream_says_so() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1"]).expect("kept");
    stream.close().expect("closes");
    assert!(matches!(append(&stream, &["2"]), Err(Error::Closed { .. })));
    assert_eq!(read(&stream, 0), ["1"]);
}

#[test]
fn the_epoch_is_kept() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1"]).expect("kept");
    assert_eq!(block_on(stream.raise_epoch()).expect("kept"), 1);
    append(&stream, &["2"]).expect("kept");
    assert_eq!(open(&files.after_kill()).head().epoch, 1);
}
