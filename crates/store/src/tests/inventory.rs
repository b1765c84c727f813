//! The inventory makes opening short and is never believed over the files.

use std::io::ErrorKind;

use lakehead_model::{Kind, Offset};

use super::{
    memory::{Memory, Op},
    rig::{ManualClock, append, open_for, read, segments, try_open},
    sealing::{seal_all, small},
};
use crate::disk::files::Access;

const INVENTORY: &str = "/data/inventory/s.json";

/// So many segments, each in an hour of its own, sealed and closed.
fn closed(hours: usize) -> (Memory, std::sync::Arc<ManualClock>) {
    let (files, clock) = (Memory::default(), ManualClock::new());
    let stream = try_open(&files, small(), &clock).expect("opens");
    for n in 0..hours {
        append(&stream, &[&n.to_string()]).expect("kept");
        clock.advance(3_600_000_000);
    }
    seal_all(&stream).expect("seals");
    stream.close().expect("closes");
    (files.after_kill(), clock)
}

// docs/evidence/known-bugs.md, 15 and 16.
#[test]
fn opening_looks_at_as_many_files_and_folders_with_three_hundred_segments_as_with_thirty() {
    let looks = |hours| {
        let (files, clock) = closed(hours);
        let stream = try_open(&files, small(), &clock).expect("opens");
        assert_eq!(stream.head().end, Offset(hours as u64));
        assert_eq!(stream.stats().segments, hours as u64);
        (files.count(Op::List), files.count(Op::Open))
    };
    let (few, many) = (looks(30), looks(300));
    assert!(many.0 <= few.0 + 4 && many.1 <= few.1, "{few:?} {many:?}");
    let (files, clock) = closed(300);
    files.remove_file(INVENTORY.as_ref());
    try_open(&files, small(), &clock).expect("opens");
    assert!(files.count(Op::List) > 300, "without it all folders are listed");
}

// docs/evidence/known-bugs.md, 3.
#[test]
fn a_damaged_missing_or_lying_inventory_changes_nothing() {
    let (files, clock) = closed(12);
    let expected: Vec<String> = (0..12).map(|n: i32| n.to_string()).collect();
    let whole = files.bytes(INVENTORY.as_ref());
    let mut variants: Vec<Vec<u8>> = vec![Vec::new(), b"{}\n".to_vec(), vec![0; 100]];
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        variants.push(changed);
    }
    for bytes in variants {
        let files = files.after_kill();
        files.put(INVENTORY.as_ref(), bytes);
        let stream = try_open(&files, small(), &clock).expect("opens");
        assert_eq!(read(&stream, 0), expected);
        assert_eq!(stream.check_inventory().expect("compares"), None);
        assert_eq!(files.bytes(INVENTORY.as_ref()), whole, "it is made anew, the same");
    }
}

#[test]
fn an_older_inventory_joins_with_the_segments_after_it() {
    let (files, clock) = closed(6);
    let old = files.bytes(INVENTORY.as_ref());
    let stream = try_open(&files, small(), &clock).expect("opens");
    for n in 6..12 {
        append(&stream, &[&n.to_string()]).expect("kept");
        clock.advance(3_600_000_000);
    }
    let killed = files.after_kill();
    killed.put(INVENTORY.as_ref(), old);
    let again = try_open(&killed, small(), &clock).expect("opens");
    assert_eq!(read(&again, 0).len(), 12);
    assert_eq!(again.stats(), stream.stats());
    assert_eq!(again.check_inventory().expect("compares"), None);
    assert_eq!(seal_all(&again).expect("seals").len(), 6, "those that were not sealed before");
}

#[test]
fn segments_that_the_inventory_does_not_name_are_taken_in_after_the_start() {
    let (files, clock) = closed(12);
    let stream = try_open(&files, small(), &clock).expect("opens");
    let plan = stream
        .plan_retention(
            &crate::Retention { age: None, size: Some(lakehead_model::ByteSize(0)) },
            lakehead_model::Timestamp(0),
            &[],
        )
        .expect("plans");
    let few = crate::RetentionPlan { remove: plan.remove[..3].to_vec(), ..plan };
    let kept: Vec<_> = few.remove.iter().map(|gone| (gone.path.clone(), files.bytes(&gone.path))).collect();
    stream.retain(&few).expect("removes");
    stream.close().expect("closes");
    // They come back, as from a copy.
    let files = files.after_kill();
    kept.into_iter().for_each(|(path, bytes)| files.put(&path, bytes));
    let again = try_open(&files, small(), &clock).expect("opens");
    assert_eq!(again.head().start, Offset(3), "the inventory is quick");
    let said = again.check_inventory().expect("compares").expect("the files say otherwise");
    assert!(said.contains("made anew"), "{said}");
    assert_eq!(again.head().start, Offset(0));
    assert_eq!(read(&again, 0).len(), 12);
}

#[test]
fn a_segment_that_is_missing_is_named_when_it_is_read() {
    let (files, clock) = closed(12);
    let missing = segments(&files)[5].clone();
    files.remove_file(&missing);
    let stream = try_open(&files, small(), &clock).expect("opens");
    let error = super::rig::try_read(&stream, 0).expect_err("missing");
    assert!(error.to_string().contains(&missing.display().to_string()), "{error}");
}

#[test]
fn a_disk_that_does_not_give_the_inventory_does_not_make_it_forget_what_is_lost() {
    let (files, clock) = closed(12);
    files.remove_file(&segments(&files)[5].clone());
    let stream = try_open(&files, small(), &clock).expect("opens");
    stream.check_inventory().expect("compares").expect("a segment is missing");
    let lost = stream.losses();
    assert_eq!(lost.len(), 1, "{lost:?}");
    stream.close().expect("closes");
    let mut failures = 0;
    for (op, nth) in [Op::Open, Op::Read].into_iter().flat_map(|op| (1..100).map(move |nth| (op, nth))) {
        let files = files.after_kill();
        files.fail(op, nth, ErrorKind::Other);
        let opened = try_open(&files, small(), &clock);
        if files.has_a_fault_left() {
            continue;
        }
        failures += 1;
        // Whatever it was, the inventory or a segment: nothing is made of it.
        let error = opened.err().unwrap_or_else(|| panic!("{op:?} {nth} failed and nobody was told"));
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        let stream = try_open(&files, small(), &clock).expect("opens");
        assert_eq!(stream.losses(), lost, "after {op:?} {nth}");
    }
    assert!(failures >= 4, "{failures}");
}

#[test]
fn whoever_only_reads_leaves_the_inventory_as_it_is() {
    let (files, clock) = closed(12);
    let before = files.bytes(INVENTORY.as_ref());
    files.remove_file(&segments(&files)[5].clone());
    let reading = open_for(&files, small(), &clock, Access::Read).expect("opens");
    let said = reading.check_inventory().expect("compares").expect("the files say otherwise");
    assert!(said.contains("stays as it is"), "{said}");
    assert_eq!(reading.losses().len(), 1);
    assert_eq!(files.bytes(INVENTORY.as_ref()), before);
}
