//! Opening after a crash, and after damage: what is cut, what is refused, and that nothing committed is ever cut.

use std::path::{Path, PathBuf};

use lakehead_model::{ByteSize, Kind, Offset};

use super::{
    memory::{Fate, Memory, Op},
    rig::{
        ManualClock, append, append_at, block_on, cursor, events, hand_over, open, options, quarantine, read, segments,
        try_open, try_read,
    },
};
use crate::Options;

/// A disk with three blocks of one event each, as a killed process leaves it, the segment's path, and where the blocks end.
fn three_blocks() -> (Memory, PathBuf, Vec<usize>) {
    let files = Memory::default();
    let stream = open(&files);
    let mut ends = Vec::new();
    for text in ["\"one\"", "\"two\"", "\"three\""] {
        append_at(&stream, &[text], text).expect("kept");
        ends.push(files.bytes(&segments(&files).pop().expect("a segment")).len());
    }
    let killed = files.after_kill();
    let path = segments(&killed).pop().expect("a segment");
    (killed, path, ends)
}

fn with(files: &Memory, path: &Path, bytes: Vec<u8>) -> Memory {
    let changed = files.after_kill();
    changed.put(path, bytes);
    changed
}

#[test]
fn a_write_torn_at_every_byte_is_cut_quarantined_and_written_again() {
    let (files, path, ends) = three_blocks();
    let whole = files.bytes(&path);
    let (two, three) = (ends[1], ends[2]);
    for torn in two..three {
        let files = with(&files, &path, whole[..torn].to_vec());
        let stream = open(&files);
        assert_eq!(read(&stream, 0), ["\"one\"", "\"two\""], "torn at {torn}");
        assert_eq!(stream.head().cursors.values().next(), Some(&cursor("\"two\"")));
        let cut = quarantine(&files);
        assert_eq!(cut.len(), usize::from(torn > two));
        if let Some(cut) = cut.first() {
            assert_eq!(files.bytes(cut), whole[two..torn], "what was cut is kept");
        }
        assert_eq!(append(&stream, &["\"four\""]).expect("kept").first_offset, Offset(2));
        assert_eq!(read(&open(&files.after_kill()), 0), ["\"one\"", "\"two\"", "\"four\""]);
    }
}

#[test]
fn a_proof_that_was_cut_with_the_tail_is_written_again() {
    let files = Memory::default();
    let stream = open(&files);
    // Two blocks before the first sync: neither says of the other that it was synced. The third says it of both.
    files.hold_syncs();
    let appender = stream.appender();
    let writes = files.count(Op::Write);
    let tickets = ["\"one\"", "\"two\""].map(|text| {
        let ticket = hand_over(&appender, events(&[text])).expect("taken");
        files.wait_for(Op::Write, writes + 1 + usize::from(text == "\"two\""));
        ticket
    });
    files.release_syncs();
    for ticket in tickets {
        ticket.wait().expect("kept");
    }
    let path = segments(&files).pop().expect("a segment");
    let two = files.bytes(&path).len();
    append(&stream, &["\"three\""]).expect("kept");
    let mut bytes = files.bytes(&path);
    // Damage at rest in the first, and a torn third.
    bytes[10] ^= 1;
    bytes[two + 10] ^= 1;
    let files = with(&files, &path, bytes);
    let stream = open(&files);
    assert_eq!(quarantine(&files).len(), 1);
    assert_eq!(try_read(&stream, 0).expect_err("damaged").kind(), Kind::Corrupt);
    // The proof is the first thing that the writer's thread does: once it has answered anything, it is there.
    block_on(stream.drop_cursors(Vec::new())).expect("there are none");
    assert_eq!(stream.stats().blocks, 3, "two blocks, and the proof that they were synced");
    let killed = files.after_kill();
    let again = try_open(&killed, options(), &ManualClock::new());
    let error = again.and_then(|stream| try_read(&stream, 0)).expect_err("still damaged, and no torn tail");
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(quarantine(&killed).len(), 1, "nothing more is cut");
}

// docs/evidence/known-bugs.md, 4.
#[test]
fn a_tail_of_zeros_is_no_block() {
    let (files, path, ends) = three_blocks();
    let whole = files.bytes(&path);
    for kept in [ends[1], ends[1] + 10, ends[2]] {
        for zeros in [1, 100, 5_000, 3 << 20] {
            let mut bytes = whole[..kept].to_vec();
            bytes.resize(kept + zeros, 0);
            let files = with(&files, &path, bytes);
            let stream = open(&files);
            assert_eq!(read(&stream, 0).len(), if kept == ends[2] { 3 } else { 2 });
            assert_eq!(quarantine(&files).len(), 1);
        }
    }
}

#[test]
fn a_file_of_zeros_alone_is_set_aside() {
    let (files, path, ends) = three_blocks();
    let files = with(&files, &path, vec![0; ends[2]]);
    let stream = open(&files);
    assert_eq!(stream.head().end, Offset(0));
    assert_eq!(quarantine(&files).len(), 1);
    append(&stream, &["1"]).expect("kept");
    assert_eq!(read(&stream, 0), ["1"]);
}

#[test]
fn any_flipped_bit_below_what_is_known_to_be_synced_stops_and_cuts_nothing() {
    let (files, path, ends) = three_blocks();
    let whole = files.bytes(&path);
    // The third footer says that blocks 0 and 1 are synced; both its neighbours and its data prove the rest.
    for at in 0..ends[1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let files = with(&files, &path, bytes.clone());
        let error = match try_open(&files, options(), &ManualClock::new()) {
            Ok(stream) => try_read(&stream, 0).expect_err("a flipped bit is never read"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), Kind::Corrupt, "byte {at}: {error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert_eq!(files.bytes(&path), bytes, "nothing is cut");
        assert!(quarantine(&files).is_empty());
    }
}

#[test]
fn any_flipped_bit_in_an_unproven_block_is_never_read() {
    let (files, path, ends) = three_blocks();
    let whole = files.bytes(&path);
    for at in ends[1]..ends[2] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x01;
        let files = with(&files, &path, bytes);
        let stream = open(&files);
        assert_eq!(read(&stream, 0), ["\"one\"", "\"two\""], "byte {at}");
        assert_eq!(quarantine(&files).len(), 1);
    }
}

#[test]
fn after_a_clean_stop_a_flipped_bit_in_the_last_events_is_corruption_not_a_torn_tail() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1"]).expect("kept");
    append(&stream, &["2"]).expect("kept");
    let path = segments(&files).pop().expect("a segment");
    let events_end = files.bytes(&path).len();
    stream.close().expect("closes");
    let mut bytes = files.bytes(&path);
    assert!(bytes.len() > events_end, "a closing block follows");
    bytes[events_end - 40] ^= 1;
    let files = with(&files, &path, bytes);
    let error = try_open(&files, options(), &ManualClock::new()).expect_err("damaged");
    assert_eq!(error.kind(), Kind::Corrupt);
}

#[test]
fn a_clean_stop_and_start_adds_nothing_when_nothing_was_written() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1"]).expect("kept");
    stream.close().expect("closes");
    let path = segments(&files).pop().expect("a segment");
    let len = files.bytes(&path).len();
    let again = open(&files);
    again.close().expect("closes");
    assert_eq!(files.bytes(&path).len(), len);
}

#[test]
fn a_block_that_is_dropped_swapped_or_repeated_is_noticed() {
    let (files, path, ends) = three_blocks();
    let whole = files.bytes(&path);
    let (one, two, three) = (&whole[..ends[0]], &whole[ends[0]..ends[1]], &whole[ends[1]..]);
    for order in
        [[one, three].concat(), [two, one, three].concat(), [one, one, two, three].concat(), [two, three].concat()]
    {
        let files = with(&files, &path, order);
        let noticed = match try_open(&files, options(), &ManualClock::new()) {
            Ok(stream) => try_read(&stream, 0).expect_err("noticed when read"),
            Err(error) => error,
        };
        assert_eq!(noticed.kind(), Kind::Corrupt);
    }
}

#[test]
fn a_block_from_another_stream_or_place_does_not_fit() {
    let (files, path, ends) = three_blocks();
    let whole = files.bytes(&path);
    let moved = path.with_file_name("00000000000000000002.jsonl.zst");
    let other = with(&files, &path, whole[..ends[1]].to_vec());
    other.put(&moved, whole[ends[1]..].to_vec());
    let stream = open(&other);
    assert_eq!(read(&stream, 0), ["\"one\"", "\"two\""], "the third block belongs to the chain of its own segment");
}

#[test]
fn an_empty_last_segment_is_a_crash_before_its_first_block() {
    let (files, path, _) = three_blocks();
    let begun = PathBuf::from("/data/streams/s/2026/11/23/08/00000000000000000003.jsonl.zst");
    files.put(&begun, Vec::new());
    let clock = ManualClock::new();
    clock.advance(3_600_000_000);
    let stream = try_open(&files, options(), &clock).expect("opens");
    assert_eq!(stream.head().cursors.values().next(), Some(&cursor("\"three\"")), "cursors of the segment before it");
    assert_eq!(segments(&files), [path]);
    assert!(quarantine(&files).is_empty(), "there is nothing to keep");
    append(&stream, &["4"]).expect("kept");
    assert_eq!(read(&stream, 0).len(), 4);
}

#[test]
fn a_torn_first_block_of_the_last_segment_is_set_aside() {
    let (files, _, _) = three_blocks();
    let begun = PathBuf::from("/data/streams/s/2026/11/23/08/00000000000000000003.jsonl.zst");
    files.put(&begun, vec![0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]);
    let stream = open(&files);
    assert_eq!(stream.head().end, Offset(3));
    assert_eq!(quarantine(&files).len(), 1);
}

#[test]
fn a_missing_segment_is_noticed_at_opening_or_when_read() {
    let small = Options { block_bytes: ByteSize(8), segment_bytes: ByteSize(200), ..options() };
    let files = Memory::default();
    let stream = try_open(&files, small.clone(), &ManualClock::new()).expect("opens");
    for text in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        append(&stream, &[text]).expect("kept");
    }
    stream.close().expect("closes");
    let all = segments(&files);
    assert!(all.len() >= 4, "{all:?}");
    for missing in &all[1..all.len() - 1] {
        let files = files.after_kill();
        files.remove_file(missing);
        let noticed = match try_open(&files, small.clone(), &ManualClock::new()) {
            Ok(stream) => try_read(&stream, 0).expect_err("noticed when read"),
            Err(error) => error,
        };
        assert_eq!(noticed.kind(), Kind::Corrupt, "{noticed}");
    }
}

// docs/evidence/known-bugs.md, 5: what a process sees after a failed write-back is no evidence, whichever descriptor is synced.
#[test]
fn the_tail_is_written_again_before_it_is_shown() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1"]).expect("kept");
    files.break_down(Op::Truncate, std::io::ErrorKind::Other);
    files.fail(Op::Sync, 1, std::io::ErrorKind::Other);
    append(&stream, &["2"]).expect_err("its sync failed");
    // The process ends here: the second block is in the cache, is not on the disk, and no sync will bring it there.
    let killed = files.after_kill();
    let again = open(&killed);
    let shown = read(&again, 0);
    assert_eq!(shown, ["1", "2"]);
    let cut = killed.after_power_cut(false, || Fate::Lost);
    assert_eq!(read(&open(&cut), 0), shown, "what was once shown stays");
}

#[test]
fn a_full_disk_at_opening_leaves_the_torn_tail_and_does_not_wedge() {
    let (files, path, ends) = three_blocks();
    let whole = files.bytes(&path);
    let files = with(&files, &path, whole[..ends[2] - 5].to_vec());
    files.break_down(Op::Create, std::io::ErrorKind::StorageFull);
    let stream = open(&files);
    assert_eq!(read(&stream, 0).len(), 2, "reading works");
    let error = append(&stream, &["3"]).expect_err("full");
    assert!(error.to_string().contains("make room"), "{error}");
    files.mend();
    append(&stream, &["3"]).expect("goes on by itself");
    assert_eq!(read(&stream, 0), ["\"one\"", "\"two\"", "3"]);
    assert!(quarantine(&files).is_empty());
    let again = open(&files.after_kill());
    assert_eq!(read(&again, 0), ["\"one\"", "\"two\"", "3"]);
    assert_eq!(again.quarantined().len(), 1, "now there is room to set the torn tail aside");
}

#[test]
fn a_torn_tail_that_ends_as_an_index_does_is_a_torn_tail() {
    let (files, path, ends) = three_blocks();
    let mut torn = files.bytes(&path)[..ends[2] - 3].to_vec();
    torn.extend_from_slice(b"LHIDXEND");
    let stream = open(&with(&files, &path, torn));
    assert_eq!(read(&stream, 0).len(), 2);
    assert_eq!(stream.quarantined().len(), 1);
}
