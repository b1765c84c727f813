//! Retention removes the start of the log and nothing else, whoever reads and whatever fails.

use std::{io::ErrorKind, sync::Arc, time::Duration};

use lakehead_model::{ByteSize, Clock, Kind, Offset};

use super::{
    memory::{Fate, Memory, Op},
    rig::{ManualClock, append, open_for, read, segments, try_open, try_read},
    sealing::{seal_all, small},
};
use crate::{Claim, Retention, Stream, disk::files::Access};

/// Forty events, one a block, over 40 × 10 minutes.
fn filled(files: &Memory, clock: &Arc<ManualClock>) -> Stream {
    let stream = try_open(files, small(), clock).expect("opens");
    for n in 0..40 {
        append(&stream, &[&n.to_string()]).expect("kept");
        clock.advance(600_000_000);
    }
    stream
}

fn hours(hours: u64) -> Retention {
    Retention { age: Some(Duration::from_secs(hours * 3600)), size: None }
}

fn from(start: usize) -> Vec<String> {
    (start..40).map(|n| n.to_string()).collect()
}

#[test]
fn the_start_of_the_log_goes_with_its_folders_and_the_rest_stays_the_same() {
    for sealed in [false, true] {
        let (files, clock) = (Memory::default(), ManualClock::new());
        let stream = filled(&files, &clock);
        if sealed {
            seal_all(&stream).expect("seals");
        }
        let plan = stream.plan_retention(&hours(3), clock.now(), &[]).expect("plans");
        let start = plan.remove.last().expect("old ones").end_offset;
        assert!(plan.held.is_empty() && start >= Offset(18), "{plan:?}");
        assert_eq!(read(&stream, 0).len(), 40, "a plan removes nothing");
        let bytes = stream.stats().stored_bytes;
        assert_eq!(stream.retain(&plan).expect("removes"), plan.remove);
        assert_eq!(stream.head().start, start);
        assert_eq!(stream.stats().stored_bytes, bytes - plan.bytes());
        assert_eq!(stream.stats().events, 40 - start.0);
        assert_eq!(read(&stream, start.0), from(start.0 as usize));
        let error = try_read(&stream, 0).expect_err("gone");
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(&format!("from {start} up to")), "{error}");
        assert!(!files.folders().iter().any(|folder| folder.ends_with("2026/11/23/07")), "the empty hour is gone");
        assert!(segments(&files).iter().all(|path| !path.starts_with("/data/streams/s/2026/11/23/07")));
        assert_eq!(stream.plan_retention(&hours(3), clock.now(), &[]).expect("plans").remove, []);
        for access in [Access::Read, Access::Write] {
            let again = open_for(&files.after_kill(), small(), &clock, access).expect("opens");
            assert_eq!((again.head(), again.stats()), (stream.head(), stream.stats()));
            assert_eq!(read(&again, start.0), from(start.0 as usize));
        }
        append(&stream, &["40"]).expect("goes on");
        assert_eq!(read(&stream, 39), ["39", "40"]);
    }
}

#[test]
fn open_readers_and_whoever_is_named_keep_what_they_need() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    let everything = Retention { age: None, size: Some(ByteSize(0)) };
    let mut reader = stream.reader_as("the export of a colleague", Offset(10));
    let first = reader.next().expect("reads").expect("more");
    let plan = stream.plan_retention(&everything, clock.now(), &[Claim::new("view v", Offset(30))]);
    let plan = plan.expect("plans");
    assert!(plan.remove.iter().all(|expired| expired.end_offset <= Offset(11)));
    assert!(plan.held.len() > 2);
    assert_eq!(plan.claims[0].by, "the export of a colleague", "{:?}", plan.claims);
    assert!(plan.claims.iter().all(|claim| claim.from < plan.held[0].end_offset));
    stream.retain(&plan).expect("removes");
    let mut rest = vec![first.first_offset];
    while let Some(block) = reader.next().expect("reads on") {
        rest.push(block.first_offset);
    }
    assert_eq!(rest, (10..40).map(Offset).collect::<Vec<_>>());
    drop(reader);
    let plan = stream.plan_retention(&everything, clock.now(), &[Claim::new("view v", Offset(30))]);
    assert_eq!(plan.expect("plans").claims[0].by, "view v", "the reader is gone");
}

#[test]
fn a_reader_that_comes_after_the_plan_keeps_what_it_needs() {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = filled(&files, &clock);
    let plan = stream.plan_retention(&hours(1), clock.now(), &[]).expect("plans");
    let mut reader = stream.reader(Offset(0));
    assert_eq!(stream.retain(&plan).expect("removes"), []);
    assert_eq!(reader.next().expect("reads").expect("more").first_offset, Offset(0));
}

// docs/evidence/known-bugs.md, 2.
#[test]
fn whatever_fails_the_log_has_no_hole() {
    for sealed in [false, true] {
        for op in [Op::Remove, Op::SyncFolder, Op::Create, Op::Rename, Op::Write, Op::Sync] {
            for nth in 1..5 {
                let (files, clock) = (Memory::default(), ManualClock::new());
                let stream = filled(&files, &clock);
                if sealed {
                    seal_all(&stream).expect("seals");
                }
                let plan = stream.plan_retention(&hours(2), clock.now(), &[]).expect("plans");
                files.fail(op, nth, ErrorKind::Other);
                let _ = stream.retain(&plan);
                files.mend();
                let planned = plan.remove.last().expect("old ones").end_offset;
                for after in [
                    files.after_kill(),
                    files.after_power_cut(false, || Fate::Lost),
                    files.after_power_cut(true, || Fate::Lost),
                ] {
                    let again = try_open(&after, small(), &clock).expect("opens");
                    let found = again.check_inventory().expect("compares");
                    let start = again.head().start;
                    assert!(start <= planned, "{op:?} {nth}: {start} {found:?}");
                    assert_eq!(read(&again, start.0), from(start.0 as usize), "{op:?} {nth}");
                    let plan = again.plan_retention(&hours(2), clock.now(), &[]).expect("plans");
                    again.retain(&plan).expect("removes the rest");
                    assert_eq!(again.head().start, planned, "{op:?} {nth}");
                    assert_eq!(read(&again, planned.0), from(planned.0 as usize));
                }
            }
        }
    }
}
