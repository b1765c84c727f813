//! Sealed segments hold the same blocks, whatever fails while they are made and whatever happens to them afterwards.

use std::{io::ErrorKind, io::Read, ops::ControlFlow, path::PathBuf, sync::Arc};

use lakehead_model::{ByteSize, Cursor, Kind, Offset, Timestamp};

use super::{
    memory::{Fate, Memory, Op},
    rig::{ManualClock, append, batch, cursor, hand_over, name, open_for, options, read, segments, try_open, try_read},
};
use crate::{
    Append, Block, BlockDecoder, Error, Options, SealOptions, SealedSegment, Stream, Sync, disk::files::Access,
};

pub(super) fn small() -> Options {
    Options {
        block_bytes: ByteSize(24),
        segment_bytes: ByteSize(1_000),
        tail_bytes: ByteSize(0),
        seal: SealOptions { block_bytes: ByteSize(60), ..SealOptions::default() },
        ..options()
    }
}

pub(super) fn seal_all(stream: &Stream) -> Result<Vec<SealedSegment>, Error> {
    let mut sealed = Vec::new();
    while let Some(one) = stream.seal_next(&mut |_| ControlFlow::Continue(()))? {
        sealed.push(one);
    }
    Ok(sealed)
}

fn blocks(stream: &Stream) -> Vec<Block> {
    let mut reader = stream.reader(stream.head().start);
    let mut blocks = Vec::new();
    while let Some(block) = reader.next().expect("reads") {
        blocks.push(Block::clone(&block));
    }
    blocks
}

/// A stream over three hours with events with and without event times, empty blocks, cursors with progress, and keys.
fn filled(files: &Memory, clock: &Arc<ManualClock>) -> Stream {
    let stream = try_open(files, small(), clock).expect("opens");
    let appender = stream.appender();
    for n in 0..60_i64 {
        let mut events = batch(&[]);
        for i in 0..n % 4 {
            let time = (n % 3 != 0).then_some(Timestamp(n * 1_000_000 - i));
            events.push(format!("{{\"n\":{n},\"i\":{i}}}").as_bytes(), time);
        }
        let progress = (n % 5 != 0).then_some(Timestamp(n * 999));
        let append = Append {
            source: name("a"),
            events,
            cursor: Some(Cursor { position: n.to_string().into(), progress }),
            keys: vec![format!("key {n}")],
            urgent: false,
        };
        hand_over(&appender, append).expect("taken").wait().expect("kept");
        clock.advance(180_000_000);
    }
    stream
}

#[test]
fn blocks_that_are_found_first_and_decoded_later_are_those_that_a_reader_gives() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    for _ in 0..2 {
        for from in [0, 1, 17, stream.head().end.0] {
            let mut reader = stream.reader(Offset(from));
            let expected: Vec<_> = std::iter::from_fn(|| reader.next().expect("reads")).collect();
            let mut reader = stream.reader(Offset(from));
            let mut found = Vec::new();
            while let Some(encoded) = reader.next_encoded().expect("finds") {
                assert_eq!(encoded.end_offset(), reader.position());
                found.push(encoded);
            }
            // Each with another's memory, and the last first: they stand for themselves.
            let mut block_decoders = [BlockDecoder::default(), BlockDecoder::default()];
            let mut decoded = Vec::new();
            for (n, encoded) in found.iter().enumerate().rev() {
                let mut blocks = Vec::new();
                block_decoders[n % 2].decode(encoded, |block| blocks.push(block)).expect("unpacks");
                decoded.splice(0..0, blocks);
            }
            assert_eq!(decoded, expected, "from {from}");
        }
        seal_all(&stream).expect("seals");
    }
}

#[test]
fn blocks_offsets_bytes_times_cursors_and_keys_stay_as_they_were() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    let (before, head, stats) = (blocks(&stream), stream.head(), stream.stats());
    let paths = segments(&files);
    assert!(paths.len() > 6, "{paths:?}");
    let sealed = seal_all(&stream).expect("seals");
    assert_eq!(sealed.len(), paths.len() - 1, "all but the last");
    assert_eq!(segments(&files), paths, "under the same names");
    assert!(files.paths("/data/temporary").is_empty(), "nothing is left over");

    assert_eq!(blocks(&stream), before);
    assert_eq!(stream.head(), head);
    let after = stream.stats();
    assert_eq!((after.events, after.raw_bytes, after.blocks), (stats.events, stats.raw_bytes, stats.blocks));
    let on_disk: usize = segments(&files).iter().map(|path| files.bytes(path).len()).sum();
    assert_eq!(after.stored_bytes, on_disk as u64);
    let whole = read(&stream, 0);
    for from in 0..=whole.len() {
        assert_eq!(read(&stream, from as u64), whole[from..], "from {from}");
    }
    assert_eq!(seal_all(&stream).expect("nothing left"), []);

    for access in [Access::Read, Access::Write] {
        let killed = files.after_kill();
        let again = open_for(&killed, small(), &clock, access).expect("opens");
        assert_eq!(blocks(&again), before);
        assert_eq!(again.head(), head);
        assert_eq!(again.stats(), after);
        let keys: Vec<String> = again.recent_keys().iter().map(|key| key.key.to_string()).collect();
        assert!(keys.len() >= 2 && keys.ends_with(&["key 58".to_owned(), "key 59".to_owned()]), "{keys:?}");
    }
}

#[test]
fn a_plain_zstd_decoder_prints_exactly_the_events_of_a_sealed_segment() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    let expected: Vec<u8> = blocks(&stream).iter().flat_map(|block| block.payload.to_vec()).collect();
    seal_all(&stream).expect("seals");
    let mut text = Vec::new();
    for path in segments(&files) {
        let bytes = files.bytes(&path);
        zstd::stream::read::Decoder::new(&*bytes).expect("zstd").read_to_end(&mut text).expect("whole frames");
    }
    assert_eq!(text, expected);
    let sealed = files.bytes(&segments(&files)[0]);
    assert_eq!(&sealed[..4], [0x28, 0xb5, 0x2f, 0xfd], "a data frame first: RFC 8878, 3.1.1");
    assert_eq!(&sealed[sealed.len() - 8..], b"LHIDXEND");
}

// docs/evidence/known-bugs.md, 7.
#[test]
fn whatever_fails_while_sealing_leaves_the_segment_and_the_next_try_succeeds() {
    for op in [Op::Create, Op::Write, Op::Sync, Op::Rename, Op::SyncFolder] {
        for nth in 1..4 {
            let (files, clock) = (Memory::default(), ManualClock::new());
            let stream = filled(&files, &clock);
            let before = blocks(&stream);
            files.fail(op, nth, ErrorKind::StorageFull);
            let first = seal_all(&stream);
            if let Err(error) = &first {
                assert_eq!(error.kind(), Kind::Unavailable, "{op:?} {nth}: {error}");
            }
            assert_eq!(blocks(&stream), before, "{op:?} {nth}");
            for keeps_names in [false, true] {
                let cut = files.after_power_cut(keeps_names, || Fate::Lost);
                let again = try_open(&cut, small(), &clock).expect("opens");
                assert_eq!(blocks(&again), before, "{op:?} {nth} after a power cut");
                assert!(cut.paths("/data/temporary").is_empty(), "opening tidies up");
            }
            files.mend();
            seal_all(&stream).expect("the next try");
            assert_eq!(stream.unsealed(), 0);
            assert_eq!(blocks(&stream), before);
        }
    }
}

#[test]
fn a_power_cut_at_any_moment_of_sealing_leaves_one_whole_segment() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    let before = blocks(&stream);
    let mut moments = 0;
    let check = |files: &Memory| {
        for fate in [Fate::Lost, Fate::Kept, Fate::Torn(7), Fate::Zeroed] {
            for keeps_names in [false, true] {
                let cut = files.after_power_cut(keeps_names, || fate);
                let again = try_open(&cut, small(), &clock).expect("opens");
                assert_eq!(blocks(&again), before, "{fate:?}");
            }
        }
    };
    loop {
        let sealed = stream.seal_next(&mut |_| {
            check(&files);
            moments += 1;
            ControlFlow::Continue(())
        });
        check(&files);
        if sealed.expect("seals").is_none() {
            break;
        }
    }
    assert!(moments > 10, "{moments}");
}

#[test]
fn sealing_that_is_told_to_stop_has_not_happened() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    let before: Vec<Vec<u8>> = segments(&files).iter().map(|path| files.bytes(path)).collect();
    assert_eq!(stream.seal_next(&mut |_| ControlFlow::Break(())).expect("stops"), None);
    assert_eq!(segments(&files).iter().map(|path| files.bytes(path)).collect::<Vec<_>>(), before);
    assert!(files.paths("/data/temporary").is_empty());
}

#[test]
fn readers_go_on_across_the_swap() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    let whole = blocks(&stream);
    for read_before in [0, 1, 7, 20] {
        let (files, clock) = (Memory::default(), ManualClock::new());
        let stream = filled(&files, &clock);
        let mut reader = stream.reader(Offset(0));
        let mut blocks: Vec<Block> =
            (0..read_before).map(|_| Block::clone(&reader.next().expect("reads").expect("more"))).collect();
        seal_all(&stream).expect("seals");
        while let Some(block) = reader.next().expect("reads") {
            blocks.push(Block::clone(&block));
        }
        assert_eq!(blocks, whole, "{read_before} blocks read before");
    }
}

#[test]
fn any_flipped_bit_in_a_sealed_segment_is_never_read_as_an_event() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    seal_all(&stream).expect("seals");
    let expected = read(&stream, 0);
    stream.close().expect("closes");
    for path in [
        segments(&files)[0].clone(),
        segments(&files)[3].clone(),
        segments(&files).iter().rev().nth(1).expect("several").clone(),
    ] {
        let whole = files.bytes(&path);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let damaged = files.after_kill();
            damaged.put(&path, bytes.clone());
            let error = match open_for(&damaged, small(), &clock, Access::Write) {
                Ok(stream) => match try_read(&stream, 0) {
                    Ok(found) => panic!("byte {at} of {}: read {} of {}", path.display(), found.len(), expected.len()),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            assert_eq!(error.kind(), Kind::Corrupt, "byte {at}: {error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert_eq!(damaged.bytes(&path), bytes, "nothing is cut");
        }
    }
}

#[test]
fn a_sealed_segment_may_turn_out_to_be_the_last() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let off = Options { sync: Sync::Off, ..small() };
    let stream = try_open(&files, off.clone(), &clock).expect("opens");
    for n in 0..20 {
        append(&stream, &[&n.to_string()]).expect("kept");
        clock.advance(600_000_000);
    }
    seal_all(&stream).expect("seals");
    let last = segments(&files).pop().expect("a segment");
    let end = files.after_kill();
    end.remove_file(&last);
    let again = try_open(&end, off.clone(), &clock).expect("opens");
    let kept = read(&again, 0);
    assert!(!kept.is_empty() && kept.len() < 20);
    assert_eq!(append(&again, &["more"]).expect("goes on").first_offset, Offset(kept.len() as u64));
    assert_eq!(read(&again, 0).len(), kept.len() + 1);
    // The same with a damaged index is damage, not a crash before the first block.
    let torn = files.after_kill();
    torn.remove_file(&last);
    let sealed = segments(&torn).pop().expect("a segment");
    let mut bytes = torn.bytes(&sealed);
    let len = bytes.len();
    bytes[len - 3] ^= 1;
    torn.put(&sealed, bytes);
    let error = try_open(&torn, off, &clock).expect_err("damaged");
    assert!(error.to_string().contains("was sealed"), "{error}");
}

#[test]
fn a_damaged_segment_is_not_sealed() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    let path = segments(&files)[0].clone();
    let mut bytes = files.bytes(&path);
    bytes[20] ^= 1;
    files.put(&path, bytes.clone());
    let error = seal_all(&stream).expect_err("damaged");
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(files.bytes(&path), bytes);
    assert!(files.paths("/data/temporary").is_empty());
}

#[test]
fn sealing_waits_for_room_above_the_reserve() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    files.leave_free(small().reserve_bytes.0 + 10);
    let error = seal_all(&stream).expect_err("no room for a copy");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("needs room"), "{error}");
}

#[test]
fn an_index_of_a_newer_version_is_refused_by_name() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    let sealed = seal_all(&stream).expect("seals").swap_remove(0);
    let path = PathBuf::from(&sealed.path);
    let mut bytes = files.bytes(&path);
    let index = crate::format::index::len_by_trailer(&bytes).expect("an index");
    let start = bytes.len() - index;
    bytes[start + 15] = 9;
    let at = bytes.len() - crate::format::envelope::TRAILER_LEN + 8;
    let seed = crate::format::checksum::seed(&name("s"), Offset(0));
    let checksum = crate::format::checksum::Running::after(seed).over(&bytes[start..at]).value().to_le_bytes();
    bytes.splice(at..at + 8, checksum);
    files.put(&path, bytes);
    let error = try_read(&stream, 0).expect_err("newer");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("index of version 9"), "{error}");
    assert_eq!(stream.head().cursors.values().next().map(|c| c.position.clone()), Some(cursor("59").position));
}
