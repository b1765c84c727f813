//! Many files: what is kept of them is bounded, in memory and in the cursor.

use std::fs;

use serde_json::json;

use super::{super::ledger::ENTRIES_MAX, world::SpoolWorld};

#[test]
fn ten_thousand_files_are_taken_in_order_with_a_small_cursor() {
    let mut world = SpoolWorld::new(json!({ "when_done": "delete" }));
    let count = 10_500;
    for n in 0..count {
        world.put(&format!("change_{n:06}.json"), format!("{{\n\"n\": {n}\n}}"));
    }
    let mut spool = world.open();
    let (mut chunks, mut cursor_bytes) = (0, 0);
    for _ in 0..3 {
        while let Some(chunk) = world.next(&mut spool) {
            cursor_bytes = cursor_bytes.max(chunk.cursor.as_ref().map_or(0, |cursor| cursor.position.len()));
            world.commit(chunk);
            chunks += 1;
            // Acknowledged late, so that the ledger is as full as it gets.
            if world.due(&spool).len() == ENTRIES_MAX {
                world.acknowledge(&spool);
            }
        }
        world.acknowledge(&spool);
        world.pass(1);
    }
    let expected: Vec<String> = (0..count).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert!(world.events == expected, "{} events", world.events.len());
    assert!(world.names("in").is_empty() && chunks >= count / 64, "{chunks}");
    assert!(cursor_bytes < 12 << 10, "{cursor_bytes}");
    assert_eq!(world.committed().text().len(), 2, "and nothing in the end");
}

#[test]
fn a_full_ledger_waits_and_says_nothing() {
    let mut world = SpoolWorld::new(json!({}));
    for n in 0..ENTRIES_MAX + 10 {
        world.put(&format!("{n:04}.json"), "1");
    }
    let mut spool = world.open();
    while let Some(chunk) = world.next(&mut spool) {
        world.commit(chunk);
    }
    assert_eq!(world.events.len(), ENTRIES_MAX);
    world.acknowledge(&spool);
    world.drain(&mut spool);
    assert_eq!(world.events.len(), ENTRIES_MAX + 10);
    assert!(fs::read_dir(world.inbox()).expect("a folder").count() == ENTRIES_MAX + 10);
}

#[test]
fn what_is_out_of_the_way_leaves_the_cursor_with_the_next_file_or_once_it_is_quiet() {
    let mut world = SpoolWorld::new(json!({}));
    let mut spool = world.open();
    for n in 0..3 {
        world.put(&format!("{n}.json"), "1");
        world.pass(1);
        let chunk = world.next(&mut spool).expect("an event");
        world.commit(chunk);
        assert_eq!(world.committed().taken.len(), 1, "only the last");
        world.acknowledge(&spool);
        assert!(world.next(&mut spool).is_none_or(|chunk| chunk.cursor.is_none()), "no block for that alone");
    }
    world.pass(1);
    let quiet = world.next(&mut spool).expect("a cursor");
    assert!(quiet.events.is_empty() && quiet.cursor.is_some_and(|cursor| &*cursor.position == "{}"));
    world.pass(1);
    assert!(world.next(&mut spool).is_none());
}
