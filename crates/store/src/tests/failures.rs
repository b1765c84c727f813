//! A disk that fills up, writes and syncs that fail: what waits gets the error, nothing committed is touched, it goes on by itself.

use std::{io::ErrorKind, sync::Arc};

use lakehead_model::{ByteSize, Kind, Offset, Span};

use super::{
    memory::{Fate, Memory, Op},
    rig::{
        ManualClock, append, append_at, cursor, events, hand_over, open, options, quarantine, read, segments, try_open,
    },
};
use crate::{Append, Health, Options, Stream, disk::files::Access};

#[test]
fn a_disk_that_cannot_be_read_is_an_error_that_passes_and_changes_nothing() {
    let small =
        Options { block_bytes: ByteSize(16), segment_bytes: ByteSize(700), tail_bytes: ByteSize(0), ..options() };
    let (mut reads, mut reads_at_opening) = (0, 0);
    // Each read in turn, until there is none left that could fail.
    for nth in 1.. {
        let (files, clock) = (Memory::default(), ManualClock::new());
        let stream = try_open(&files, small.clone(), &clock).expect("opens");
        for n in 0..20 {
            append(&stream, &[&n.to_string()]).expect("kept");
        }
        let failed_reading = fail_a_read_while_reading(&files, &stream, nth);
        let failed_opening = fail_a_read_while_opening(&files.after_kill(), &small, &clock, nth);
        reads += u32::from(failed_reading);
        reads_at_opening += u32::from(failed_opening);
        if !failed_reading && !failed_opening {
            break;
        }
    }
    // A block each, and what finds it in its segment; the end of the last segment, and the beginnings of others.
    assert!(reads >= 20 && reads_at_opening >= 5, "{reads} and {reads_at_opening} reads");
}

/// Reads all twenty events while the `nth` read fails; answers whether there was one.
fn fail_a_read_while_reading(files: &Memory, stream: &Stream, nth: u32) -> bool {
    let mut reader = stream.reader(Offset(0));
    files.fail(Op::Read, nth, ErrorKind::Other);
    let mut found = Vec::new();
    let mut failures = 0;
    loop {
        match reader.next() {
            Ok(Some(block)) => {
                found.extend(block.events().map(|event| String::from_utf8(event.to_vec()).expect("tests write text")));
            }
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.kind(), Kind::Unavailable, "{error}");
                failures += 1;
            }
        }
    }
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(found, expected, "the reader goes on where it stood");
    let has_failed = !files.has_a_fault_left();
    assert_eq!(failures, u32::from(has_failed), "a read that fails is told once");
    files.mend();
    has_failed
}

/// Opens a stream of twenty events while the `nth` read fails, and once more; answers whether there was one.
fn fail_a_read_while_opening(files: &Memory, options: &Options, clock: &Arc<ManualClock>, nth: u32) -> bool {
    let bytes = || segments(files).iter().map(|path| files.bytes(path)).collect::<Vec<_>>();
    let before = bytes();
    files.fail(Op::Read, nth, ErrorKind::Other);
    let opened = try_open(files, options.clone(), clock);
    let has_failed = !files.has_a_fault_left();
    assert_eq!(opened.is_err(), has_failed, "a read that fails is told");
    if let Err(error) = opened {
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert_eq!(bytes(), before, "nothing is changed");
        assert!(quarantine(files).is_empty());
    }
    files.mend();
    assert_eq!(read(&try_open(files, options.clone(), clock).expect("opens"), 0).len(), 20);
    has_failed
}

// docs/evidence/known-bugs.md, 11.
#[test]
fn a_full_disk_refuses_with_what_to_do_and_goes_on_by_itself_when_there_is_room() {
    let files = Memory::default();
    let stream = open(&files);
    append_at(&stream, &["1"], "one").expect("kept");
    files.break_down(Op::Write, ErrorKind::StorageFull);
    for _ in 0..3 {
        let error = append_at(&stream, &["2"], "two").expect_err("full");
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.to_string().contains("make room on that disk"), "{error}");
        assert!(matches!(&*stream.health().borrow(), Health::CannotWrite(reason) if reason.contains("make room")));
        assert_eq!(read(&stream, 0), ["1"], "what is kept can be read");
    }
    files.mend();
    assert_eq!(append_at(&stream, &["2"], "two").expect("kept").first_offset, Offset(1));
    assert_eq!(*stream.health().borrow(), Health::Ok);
    for stream in [stream, open(&files.after_power_cut(false, || Fate::Lost))] {
        assert_eq!(read(&stream, 0), ["1", "2"]);
        assert_eq!(stream.head().cursors.values().next(), Some(&cursor("two")));
    }
    assert!(quarantine(&files).is_empty());
}

#[test]
fn after_a_failed_sync_the_file_is_cut_and_never_synced_again() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1"]).expect("kept");
    let path = segments(&files).pop().expect("a segment");
    let committed = files.bytes(&path);
    files.fail(Op::Sync, 1, ErrorKind::Other);
    assert_eq!(append(&stream, &["2"]).expect_err("its sync failed").kind(), Kind::Unavailable);
    append(&stream, &["3"]).expect("kept, in a new file");
    assert_eq!(files.bytes(&path), committed, "cut where the last good sync ended");
    assert_eq!(segments(&files).len(), 2);
    assert_eq!(read(&stream, 0), ["1", "3"]);
    assert_eq!(read(&open(&files.after_power_cut(false, || Fate::Lost)), 0), ["1", "3"]);
}

#[test]
fn a_cut_that_is_impossible_or_undone_does_not_bring_back_what_was_refused() {
    for truncate_fails in [true, false] {
        let files = Memory::default();
        let stream = open(&files);
        append(&stream, &["1"]).expect("kept");
        if truncate_fails {
            files.break_down(Op::Truncate, ErrorKind::Other);
        }
        files.fail(Op::Write, 2, ErrorKind::Other);
        files.hold_syncs();
        let written = hand_over(&stream.appender(), events(&["2"])).expect("taken");
        files.wait_for_a_held_sync();
        let failing = hand_over(&stream.appender(), events(&["3"])).expect("taken");
        files.wait_for(Op::Write, 3);
        files.fail(Op::Sync, 1, ErrorKind::Other);
        files.release_syncs();
        written.wait().expect_err("its sync failed");
        failing.wait().expect_err("its write failed");
        append(&stream, &["4"]).expect("kept");
        assert_eq!(read(&stream, 0), ["1", "4"]);
        files.mend();
        // A power cut that keeps every write but undoes every cut.
        let undone = files.after_power_cut(true, || Fate::Torn(usize::MAX));
        for disk in [files.after_kill(), undone] {
            let again = open(&disk);
            assert_eq!(read(&again, 0), ["1", "4"]);
            let twice = open(&disk.after_kill());
            assert_eq!(read(&twice, 0), ["1", "4"]);
            assert!(twice.quarantined().is_empty(), "cut once");
        }
    }
}

#[test]
fn a_first_block_that_fails_leaves_no_file_in_the_way() {
    for remove_fails in [false, true] {
        let files = Memory::default();
        let stream = open(&files);
        if remove_fails {
            files.fail(Op::Remove, 1, ErrorKind::Other);
        }
        files.fail(Op::Sync, 1, ErrorKind::Other);
        append(&stream, &["1"]).expect_err("its sync failed");
        append(&stream, &["2"]).expect("kept");
        assert_eq!(read(&stream, 0), ["2"]);
        assert_eq!(segments(&files).len(), 1);
        assert_eq!(read(&open(&files.after_power_cut(false, || Fate::Lost)), 0), ["2"]);
    }
}

#[test]
fn a_failed_first_block_that_cannot_be_removed_before_the_hour_ends_does_not_count() {
    let files = Memory::default();
    let clock = ManualClock::new();
    let stream = try_open(&files, options(), &clock).expect("opens");
    files.break_down(Op::Remove, ErrorKind::Other);
    files.fail(Op::Sync, 1, ErrorKind::Other);
    append(&stream, &["1"]).expect_err("its sync failed");
    clock.advance(3_600_000_000);
    append(&stream, &["2"]).expect("kept");
    assert_eq!(segments(&files).len(), 2, "the first could not be removed");
    files.mend();
    read_past_it_in_the_middle(&files, &clock);
    let killed = files.after_kill();
    let again = try_open(&killed, options(), &clock).expect("opens");
    assert_eq!(read(&again, 0), ["2"]);
    assert_eq!((segments(&killed).len(), quarantine(&killed).len()), (1, 1));
}

#[test]
fn a_segment_of_empty_blocks_that_fails_is_renewed_under_its_own_name() {
    let files = Memory::default();
    let stream = open(&files);
    append_at(&stream, &[], "zero").expect("kept");
    files.fail(Op::Sync, 1, ErrorKind::Other);
    append_at(&stream, &["1"], "one").expect_err("its sync failed");
    append_at(&stream, &["1"], "one").expect("kept");
    assert_eq!(segments(&files).len(), 1);
    assert!(files.paths("/data/temporary").is_empty());
    for stream in [stream, open(&files.after_power_cut(false, || Fate::Lost))] {
        assert_eq!(read(&stream, 0), ["1"]);
        assert_eq!(stream.head().cursors.values().next(), Some(&cursor("one")));
    }
}

// docs/evidence/known-bugs.md, 8.
#[test]
fn a_cursor_never_moves_past_events_that_a_failure_took() {
    let files = Memory::default();
    let slow = Options { block_bytes: ByteSize(8), block_age_max: Span::millis(0), ..options() };
    let stream = try_open(&files, slow, &ManualClock::new()).expect("opens");
    append_at(&stream, &["0"], "0").expect("kept");
    let appender = stream.appender();
    let at = |n: u32| Append { cursor: Some(cursor(&n.to_string())), ..events(&[&n.to_string()]) };
    files.hold_syncs();
    let mut tickets = vec![hand_over(&appender, at(1)).expect("taken")];
    files.wait_for_a_held_sync();
    tickets.extend((2..6).map(|n| hand_over(&appender, at(n)).expect("taken")));
    files.fail(Op::Sync, 1, ErrorKind::Other);
    files.release_syncs();
    for ticket in tickets {
        ticket.wait().expect_err("in flight when the sync failed");
    }
    // The source has not looked at its tickets yet and goes on.
    let error = hand_over(&appender, at(6)).expect_err("it must begin again first");
    assert_eq!(error.kind(), Kind::Unavailable);
    let head = stream.head();
    assert_eq!(head.cursors.values().next(), Some(&cursor("0")));
    for n in 1..4 {
        hand_over(&appender, at(n)).expect("taken").wait().expect("kept");
    }
    assert_eq!(read(&stream, 0), ["0", "1", "2", "3"]);
}

#[test]
fn a_folder_that_cannot_be_synced_is_a_failed_write() {
    let files = Memory::default();
    let stream = open(&files);
    files.break_down(Op::SyncFolder, ErrorKind::Other);
    append(&stream, &["1"]).expect_err("its name is not durable");
    append(&stream, &["1"]).expect_err("still");
    files.mend();
    append(&stream, &["1"]).expect("kept");
    assert_eq!(read(&open(&files.after_power_cut(false, || Fate::Lost)), 0), ["1"]);
}

#[test]
fn a_sync_that_fails_at_the_end_of_an_hour_begins_no_segment_over_a_hole() {
    let files = Memory::default();
    let clock = ManualClock::new();
    let stream = try_open(&files, options(), &clock).expect("opens");
    append(&stream, &["1"]).expect("kept");
    files.hold_syncs();
    let lost = hand_over(&stream.appender(), events(&["2"])).expect("taken");
    files.wait_for_a_held_sync();
    clock.advance(3_600_000_000);
    let next_hour = hand_over(&stream.appender(), events(&["3"])).expect("taken");
    files.fail(Op::Sync, 1, ErrorKind::Other);
    files.release_syncs();
    lost.wait().expect_err("its sync failed");
    let _ = next_hour.wait();
    append(&stream, &["4"]).expect("kept");
    let kept = read(&stream, 0);
    assert!(kept == ["1", "4"] || kept == ["1", "3", "4"], "{kept:?}");
    assert_eq!(read(&open(&files.after_power_cut(false, || Fate::Lost)), 0), kept);
}

fn read_past_it_in_the_middle(files: &Memory, clock: &Arc<ManualClock>) {
    let disk = files.after_kill();
    let reading = super::rig::open_for(&disk, options(), clock, Access::Read).expect("opens");
    assert_eq!(read(&reading, 0), ["2"]);
}
