//! Readers: from any offset, across memory and files, many at once.

use lakehead_model::{ByteSize, Kind, Offset};

use super::{
    memory::Memory,
    rig::{ManualClock, append, open, open_for, options, read, try_open},
};
use crate::{Options, disk::files::Access};

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[test]
fn every_offset_reads_the_same_from_memory_and_from_files_of_any_size() {
    for (tail_bytes, segment_bytes) in [(1 << 20, 1 << 20), (0, 1 << 20), (0, 700), (400, 700)] {
        let files = Memory::default();
        let clock = ManualClock::new();
        let options = Options {
            tail_bytes: ByteSize(tail_bytes),
            segment_bytes: ByteSize(segment_bytes),
            block_bytes: ByteSize(16),
            ..options()
        };
        let stream = try_open(&files, options.clone(), &clock).expect("opens");
        for chunk in numbers(0..40).chunks(4) {
            append(&stream, &chunk.iter().map(String::as_str).collect::<Vec<_>>()).expect("kept");
            append(&stream, &[]).expect("kept");
        }
        for from in 0..=40 {
            assert_eq!(read(&stream, from as u64), numbers(from..40), "from {from}");
        }
        stream.close().expect("closes");
        let again = try_open(&files.after_kill(), options, &clock).expect("opens");
        for from in 0..=40 {
            assert_eq!(read(&again, from as u64), numbers(from..40), "from {from} after opening again");
        }
    }
}

#[test]
fn what_is_older_than_half_a_minute_is_in_memory_no_more_and_is_read_all_the_same() {
    let files = Memory::default();
    let clock = ManualClock::new();
    let stream = try_open(&files, options(), &clock).expect("opens");
    let held = || stream.inner.read.published().tail_bytes();
    append(&stream, &["1", "2"]).expect("kept");
    let of_one_block = held();
    clock.advance(29_000_000);
    append(&stream, &["3", "4"]).expect("kept");
    assert_eq!(held(), 2 * of_one_block);
    clock.advance(2_000_000);
    append(&stream, &["5", "6"]).expect("kept");
    assert_eq!(held(), 2 * of_one_block, "the first is let go of when the third comes");
    clock.advance(60_000_000);
    stream.drop_old_tail();
    assert_eq!(held(), 0, "a stream that stands still holds nothing");
    assert_eq!(read(&stream, 0), numbers(1..7));
}

#[test]
fn a_slow_reader_falls_back_to_the_file_and_comes_back_to_memory_without_a_seam() {
    let files = Memory::default();
    let clock = ManualClock::new();
    let options =
        Options { tail_bytes: ByteSize(600), segment_bytes: ByteSize(900), block_bytes: ByteSize(8), ..options() };
    let stream = try_open(&files, options, &clock).expect("opens");
    let mut slow = stream.reader(Offset(0));
    let mut seen = Vec::new();
    for n in 0..60 {
        append(&stream, &[&n.to_string()]).expect("kept");
        if n % 7 == 0 {
            let block = slow.next().expect("reads").expect("is behind");
            seen.extend(block.events().map(<[u8]>::to_vec));
        }
        if n == 40 {
            clock.advance(3_600_000_000);
        }
    }
    while let Some(block) = slow.next().expect("reads") {
        seen.extend(block.events().map(<[u8]>::to_vec));
    }
    let expected: Vec<_> = numbers(0..60).into_iter().map(String::into_bytes).collect();
    assert_eq!(seen, expected);
    assert_eq!(slow.position(), Offset(60));
}

#[test]
fn an_offset_that_is_not_there_is_refused_with_those_that_are() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1"]).expect("kept");
    let error = stream.reader(Offset(2)).next().expect_err("beyond the end");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("from 0 up to, and not with, 1: 2 is not among them"), "{error}");
    assert!(stream.reader(Offset(1)).next().expect("the end itself").is_none());
}

#[test]
fn read_only_opening_ignores_a_torn_tail_and_changes_nothing() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1"]).expect("kept");
    append(&stream, &["2"]).expect("kept");
    let killed = files.after_kill();
    let path = super::rig::segments(&killed).pop().expect("a segment");
    let mut bytes = killed.bytes(&path);
    bytes.truncate(bytes.len() - 1);
    killed.put(&path, bytes.clone());
    let reading = open_for(&killed, options(), &ManualClock::new(), Access::Read).expect("opens");
    assert_eq!(read(&reading, 0), ["1"]);
    assert_eq!(killed.bytes(&path), bytes);
    assert!(matches!(append(&reading, &["3"]), Err(crate::Error::ReadOnly { .. })));
}

#[test]
fn figures_add_up_and_come_back() {
    let files = Memory::default();
    let stream = open(&files);
    append(&stream, &["1", "22"]).expect("kept");
    append(&stream, &["333"]).expect("kept");
    let stats = stream.stats();
    assert_eq!((stats.events, stats.raw_bytes, stats.segments, stats.blocks), (3, 9, 1, 2));
    let path = super::rig::segments(&files).pop().expect("a segment");
    assert_eq!(stats.stored_bytes, files.bytes(&path).len() as u64);
    assert_eq!(open(&files.after_kill()).stats(), stats);
}
