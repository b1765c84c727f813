//! `fsck` finds every damage and nothing else; a repair keeps every event that can still be read, at its offset.

use std::{path::PathBuf, sync::Arc};

use lakehead_model::{ByteSize, Timestamp};

use super::{
    memory::Memory,
    rig::{ManualClock, append, name, quarantine, read, segments, try_open},
    sealing::{seal_all, small},
};
use crate::{
    CheckReport, Error, Options, Severity,
    disk::{layout::Layout, log_files::LogFiles},
    fsck::{check::check, mending::Repaired, repair::repair},
};

fn log(files: &Memory) -> LogFiles {
    LogFiles { name: name("s"), files: Arc::new(files.clone()), layout: Layout::new("/data".as_ref()) }
}

fn checked(files: &Memory) -> CheckReport {
    check(&log(files), &[], &mut |_, _| {}).expect("reads")
}

fn mended(files: &Memory) -> Result<Vec<Repaired>, Error> {
    repair(&log(files), &[], Timestamp(0))
}

/// Sixty events in several segments, closed; sealed or not.
fn closed(sealed: bool) -> (Memory, Arc<ManualClock>) {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = try_open(&files, small(), &clock).expect("opens");
    for n in 0..60 {
        append(&stream, &[&format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n % 7))]).expect("kept");
        clock.advance(180_000_000);
    }
    if sealed {
        seal_all(&stream).expect("seals");
    }
    stream.close().expect("closes");
    (files.after_kill(), clock)
}

#[test]
fn a_whole_stream_has_no_finding() {
    for sealed in [false, true] {
        let (files, clock) = closed(sealed);
        let found = checked(&files);
        assert_eq!(found.findings, []);
        assert_eq!((found.events, found.offsets.1.0, found.segments), (60, 60, segments(&files).len() as u64));
        assert_eq!(found.sealed, if sealed { found.segments - 1 } else { 0 });
        // Nor has one that is being written, or that a killed process left.
        let stream = try_open(&files, small(), &clock).expect("opens");
        append(&stream, &["1"]).expect("kept");
        assert_eq!(checked(&files).findings, []);
        assert_eq!(checked(&files.after_kill()).findings, []);
    }
}

#[test]
fn every_flipped_byte_is_found_named_and_repaired_and_all_other_events_stay() {
    for sealed in [false, true] {
        let (files, clock) = closed(sealed);
        let whole = read(&try_open(&files.after_kill(), small(), &clock).expect("opens"), 0);
        let paths = segments(&files);
        let count = paths.len();
        for path in [paths[0].clone(), paths[2].clone(), paths[count - 2].clone(), paths[count - 1].clone()] {
            let bytes = files.bytes(&path);
            for at in (0..bytes.len()).step_by(if path == paths[2] { 1 } else { 7 }) {
                let damaged = files.after_kill();
                let mut changed = bytes.clone();
                changed[at] ^= 0x20;
                damaged.put(&path, changed.clone());
                let found = checked(&damaged);
                let named = found.findings.iter().find(|finding| finding.severity == Severity::Damage);
                // The last block, an empty one that a clean stop leaves, is proven by the inventory.
                let named = named.unwrap_or_else(|| panic!("byte {at} of {}: {found:?}", path.display()));
                assert!(found.findings.iter().any(|finding| finding.path == path), "{found:?}");
                assert!(!named.what.is_empty() && !named.repair.is_empty());

                let done = mended(&damaged).unwrap_or_else(|error| panic!("byte {at}: {error}"));
                assert!(!done.is_empty(), "byte {at} of {}: {found:?}", path.display());
                let kept = quarantine(&damaged).first().map(|kept| damaged.bytes(kept));
                assert!(kept.is_none_or(|kept| kept == changed), "the file is kept");
                let again = checked(&damaged);
                let left: Vec<_> = again.findings.iter().filter(|f| f.severity == Severity::Damage).collect();
                assert!(left.is_empty(), "byte {at} of {}: {left:?} after {:?}", path.display(), found.findings);
                let stream = try_open(&damaged, small(), &clock).expect("opens");
                let repaired = read(&stream, 0);
                assert_eq!(
                    repaired.len(),
                    whole.len(),
                    "byte {at} of {}: every event has its offset: {done:?}",
                    path.display()
                );
                let nulls = repaired.iter().zip(&whole).filter(|(now, before)| now != before).count();
                assert!(repaired.iter().zip(&whole).all(|(now, before)| now == before || now.trim_end() == "null"));
                assert_eq!(nulls as u64, done.iter().map(|done| done.nulls).sum::<u64>(), "byte {at}");
                assert!(nulls <= 20, "no more is lost than must be: {nulls}");
                append(&stream, &["more"]).expect("it goes on");
            }
        }
    }
}

#[test]
fn a_missing_segment_is_named_with_its_offsets_and_filled_with_nulls() {
    for sealed in [false, true] {
        let (files, clock) = closed(sealed);
        let whole = read(&try_open(&files.after_kill(), small(), &clock).expect("opens"), 0);
        let paths = segments(&files);
        for missing in paths.iter().take(paths.len() - 1).skip(1) {
            let damaged = files.after_kill();
            damaged.remove_file(missing);
            let found = checked(&damaged);
            let damage: Vec<_> = found.findings.iter().filter(|f| f.severity == Severity::Damage).collect();
            assert_eq!(damage.len(), 1, "{found:?}");
            let (from, to) = damage[0].lost;
            assert!(from < to && damage[0].what.contains("missing"), "{damage:?}");
            let done = mended(&damaged).expect("repairs");
            assert_eq!(done.len(), 1);
            assert_eq!(done[0].nulls, to.since(from));
            assert!(!checked(&damaged).is_damaged(), "{:?}", checked(&damaged).findings);
            let repaired = read(&try_open(&damaged, small(), &clock).expect("opens"), 0);
            for (n, (now, before)) in repaired.iter().zip(&whole).enumerate() {
                let is_lost = (from.0..to.0).contains(&(n as u64));
                assert!(if is_lost { now.trim_end() == "null" } else { now == before }, "{n}: {now}");
            }
            assert_eq!(repaired.len(), whole.len());
        }
    }
}

#[test]
fn a_sealed_segment_that_has_lost_its_index_keeps_its_events() {
    let (files, clock) = closed(true);
    let whole = read(&try_open(&files.after_kill(), small(), &clock).expect("opens"), 0);
    for path in segments(&files).iter().rev().skip(1) {
        let bytes = files.bytes(path);
        let index = crate::format::index::len_by_trailer(&bytes).expect("sealed");
        for len in [bytes.len() - index, bytes.len() - 1] {
            let damaged = files.after_kill();
            damaged.put(path, bytes[..len].to_vec());
            assert!(checked(&damaged).is_damaged());
            let done = mended(&damaged).expect("repairs");
            assert!(!checked(&damaged).is_damaged(), "{done:?} {:?}", checked(&damaged).findings);
            assert_eq!(read(&try_open(&damaged, small(), &clock).expect("opens"), 0), whole);
        }
    }
}

#[test]
fn a_whole_segment_is_not_said_to_be_lost_when_the_one_after_it_is_gone_or_cannot_be_read() {
    for is_removed in [false, true] {
        let (files, _) = closed(false);
        let last = segments(&files).pop().expect("a segment");
        if is_removed {
            files.remove_file(&last);
        } else {
            let mut changed = files.bytes(&last);
            changed[0] ^= 0x20;
            files.put(&last, changed);
        }
        let found = checked(&files);
        let first: u64 =
            last.file_name().and_then(|name| name.to_str()).expect("a name")[..20].parse().expect("digits");
        assert!(found.is_damaged(), "removed {is_removed}");
        assert!(found.findings.iter().all(|finding| finding.lost.0.0 >= first), "{:?}", found.findings);
    }
}

#[test]
fn a_segment_that_only_a_clean_stop_has_ended_is_sealed_by_the_next_run_and_the_empty_one_after_it_is_missed() {
    // The empty block of a clean stop begins a segment where the one before is full by then: that one is finished, and
    // nothing runs any more that could seal it. The size at which it happens depends on the lengths of footers, so it is sought.
    let mut found_one = false;
    for bytes in (800..1_000).step_by(10) {
        let options = || Options { segment_bytes: ByteSize(bytes), ..small() };
        let (files, clock) = (Memory::default(), ManualClock::new());
        let stream = try_open(&files, options(), &clock).expect("opens");
        for n in 0..20 {
            append(&stream, &[&format!("{{\"n\":{n}}}")]).expect("kept");
        }
        seal_all(&stream).expect("seals");
        stream.close().expect("closes");
        let before = checked(&files);
        assert_eq!(before.findings, []);
        if before.sealed + 1 == before.segments {
            continue;
        }
        found_one = true;
        assert_eq!(before.sealed + 2, before.segments, "{before:?}");
        let last = segments(&files).pop().expect("a segment");

        // No event goes with the last, but what it proves.
        for is_removed in [false, true] {
            let damaged = files.after_kill();
            if is_removed {
                damaged.remove_file(&last)
            } else {
                damaged.put(&last, Vec::new())
            }
            assert!(checked(&damaged).is_damaged(), "{bytes}, removed {is_removed}");
            mended(&damaged).expect("repairs");
            assert!(!checked(&damaged).is_damaged(), "{bytes}, removed {is_removed}");
            assert_eq!(read(&try_open(&damaged, options(), &clock).expect("opens"), 0).len(), 20);
        }

        let stream = try_open(&files, options(), &clock).expect("opens");
        assert_eq!((stream.unsealed(), seal_all(&stream).expect("seals").len(), stream.unsealed()), (1, 1, 0));
        append(&stream, &["1"]).expect("it goes on");
        stream.close().expect("closes");
        let after = checked(&files);
        assert_eq!((after.findings.len(), after.segments, after.events), (0, before.segments, 21), "{after:?}");
        assert_eq!(after.sealed + 1, after.segments, "{after:?}");
    }
    assert!(found_one, "no size of segments at which a clean stop begins one");
}

#[test]
fn a_torn_tail_and_a_leftover_are_notices() {
    let (files, _) = closed(true);
    let last = segments(&files).pop().expect("a segment");
    let mut torn = files.bytes(&last);
    torn.extend_from_slice(&[0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]);
    files.put(&last, torn);
    let leftover = PathBuf::from("/data/temporary/s-00000000000000000003.sealing");
    files.put(&leftover, vec![1]);
    let found = checked(&files);
    assert!(!found.is_damaged(), "{found:?}");
    let mut paths: Vec<_> = found.findings.iter().map(|finding| finding.path.clone()).collect();
    paths.sort();
    assert_eq!(paths, [last, leftover]);
    assert_eq!(mended(&files).expect("nothing to do"), []);
}

#[test]
fn a_flipped_byte_of_the_inventory_is_damage_and_it_is_made_anew() {
    let (files, _) = closed(true);
    let path = "/data/inventory/s.json".as_ref();
    let whole = files.bytes(path);
    for at in 0..whole.len() {
        let damaged = files.after_kill();
        let mut changed = whole.clone();
        changed[at] ^= 1;
        damaged.put(path, changed);
        let found = checked(&damaged);
        assert!(found.is_damaged() && found.findings[0].path == path, "byte {at}: {found:?}");
        mended(&damaged).expect("repairs");
        assert_eq!(checked(&damaged).findings, [], "byte {at}");
    }
}
