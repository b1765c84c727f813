//! Files that change, come again, or go away at the wrong time: told by name, once, and never half read in silence.

use std::fs;

use serde_json::json;

use super::world::{SpoolWorld, is_there, numbered};

/// A spool that has handed over the first chunk of `a.jsonl`, and committed it.
fn half_read() -> (SpoolWorld, super::world::OpenSpool, usize) {
    let mut world = SpoolWorld::new(json!({}));
    world.put("a.jsonl", numbered(0, 20_000));
    let mut spool = world.open();
    let chunk = world.next(&mut spool).expect("events");
    world.commit(chunk);
    let count = world.events.len();
    assert!(count > 1_000 && count < 20_000);
    (world, spool, count)
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told_with_how_far_and_set_aside() {
    for is_opened_again in [false, true] {
        let (mut world, mut spool, count) = half_read();
        world.append("a.jsonl", "{}\n");
        if is_opened_again {
            drop(spool);
            spool = world.open();
        }
        world.drain(&mut spool);
        assert_eq!(world.events.len(), count);
        let told = world.reasons();
        assert!(
            told.len() == 1 && told[0].contains(&format!("changed after it was taken: {count} of its lines")),
            "{told:?}"
        );
        assert!(world.rejects[0].position.ends_with("in/a.jsonl"));
        assert_eq!(world.names("in"), ["a.jsonl.REFUSED"]);
        drop(spool);
        world.run();
        assert_eq!(world.rejects.len(), 1, "once");
    }
}

#[test]
fn a_file_that_is_taken_away_while_it_is_read_is_told_when_that_loses_something() {
    let (mut world, mut spool, _) = half_read();
    fs::remove_file(world.at("a.jsonl")).expect("removed");
    world.drain(&mut spool);
    assert_eq!((world.events.len(), world.rejects.len()), (20_000, 0), "it was open");

    let (mut world, spool, count) = half_read();
    drop(spool);
    fs::remove_file(world.at("a.jsonl")).expect("removed");
    world.put("b.jsonl", "1");
    world.run();
    world.run();
    assert_eq!(world.events.len(), count + 1);
    let told = world.reasons();
    assert!(told.len() == 1 && told[0].contains(&format!("taken away while it was being read: {count}")), "{told:?}");
}

#[test]
fn a_file_that_changes_before_it_is_put_away_is_told_once_and_set_aside() {
    for is_opened_again in [false, true] {
        let mut world = SpoolWorld::new(json!({}));
        world.put("a.json", "1");
        let mut spool = world.open();
        let chunk = world.next(&mut spool).expect("an event");
        world.commit(chunk);
        world.put("a.json", "12");
        if is_opened_again {
            drop(spool);
            spool = world.open();
        } else {
            world.acknowledge(&spool);
        }
        assert_eq!(world.names("in"), ["a.json"], "not before it is told");
        world.drain(&mut spool);
        drop(spool);
        world.run();
        assert_eq!((&world.events, world.names("in")), (&vec!["1".to_owned()], vec!["a.json.REFUSED".to_owned()]));
        assert!(
            world.rejects.len() == 1 && world.reasons()[0].contains("changed after it was taken"),
            "{:?}",
            world.rejects
        );
    }
}

#[test]
fn a_name_that_comes_again_is_refused_once_or_numbered() {
    for (settings, events, names) in [
        (json!({}), vec!["1"], vec!["a.json.COMPLETED", "a.json.REFUSED"]),
        (json!({ "name_again": "number" }), vec!["1", "2"], vec!["a.json.1.COMPLETED", "a.json.COMPLETED"]),
        (json!({ "when_done": "move", "done_folder": "done" }), vec!["1"], vec!["a.json.REFUSED"]),
        (json!({ "when_done": "move", "done_folder": "done", "name_again": "number" }), vec!["1", "2"], vec![]),
        (json!({ "when_done": "delete" }), vec!["1", "2"], vec![]),
    ] {
        let mut world = SpoolWorld::new(settings.clone());
        let mut spool = world.open();
        world.put("a.json", "1");
        world.drain(&mut spool);
        world.put("a.json", "2");
        world.drain(&mut spool);
        drop(spool);
        world.run();
        assert_eq!(
            (&world.events, world.names("in")),
            (&events.iter().map(ToString::to_string).collect(), names.iter().map(ToString::to_string).collect()),
            "{settings}"
        );
        let is_refused = events.len() == 1;
        assert_eq!(world.rejects.len(), usize::from(is_refused));
        assert!(
            !is_refused || world.reasons()[0].contains("a file of this name was taken before"),
            "{:?}",
            world.rejects
        );
    }
}

#[test]
fn after_a_crash_behind_the_rename_a_new_file_of_that_name_is_not_taken_for_the_old_one() {
    for (settings, events, rejects) in [
        (json!({}), vec!["1"], 1),
        (json!({ "name_again": "number" }), vec!["1", "2"], 0),
        (json!({ "when_done": "delete" }), vec!["1", "2"], 0),
    ] {
        let mut world = SpoolWorld::new(settings.clone());
        world.put("a.json", "1");
        // So that the new file is another one for sure.
        fs::hard_link(world.at("a.json"), world.at(".kept")).expect("a second name");
        let mut spool = world.open();
        let chunk = world.next(&mut spool).expect("an event");
        world.commit(chunk);
        let due = world.due(&spool);
        spool.acks.put_away.settle(due).expect("put away");
        drop(spool);
        world.put("a.json", "2");
        world.run();
        assert_eq!(
            (&world.events, world.rejects.len()),
            (&events.iter().map(ToString::to_string).collect(), rejects),
            "{settings}"
        );
        assert!(!is_there(&world.at("a.json")), "{settings}: {:?}", world.names("in"));
    }
}

#[test]
fn a_file_that_comes_back_after_it_was_done_is_read_again() {
    let mut world = SpoolWorld::new(json!({}));
    world.put("a.json", "1");
    world.run();
    fs::rename(world.at("a.json.COMPLETED"), world.at("a.json")).expect("renamed");
    world.run();
    assert_eq!((world.events.len(), world.rejects.len()), (2, 0));
}

#[test]
fn a_file_that_somebody_takes_away_before_it_is_put_away_was_read() {
    let mut world = SpoolWorld::new(json!({}));
    world.put("a.json", "1");
    let mut spool = world.open();
    let chunk = world.next(&mut spool).expect("an event");
    world.commit(chunk);
    fs::remove_file(world.at("a.json")).expect("removed");
    world.drain(&mut spool);
    assert_eq!((world.events.len(), world.rejects.len(), world.names("in").len()), (1, 0, 0));
}
