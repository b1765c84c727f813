//! A crash at each step: before a commit, within one, before and between the renames, behind them; and then another.

use std::cell::Cell;

use lakehead_connector_api::Chunk;
use serde_json::{Value, json};

use super::world::{OpenSpool, SpoolWorld, gzip, lines, numbered};

/// Counts the steps down to a crash.
struct Fuse(Cell<u64>);

/// The process is gone.
#[derive(Debug)]
struct Crash;

impl Fuse {
    fn step(&self) -> Result<(), Crash> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        if left == 0 { Err(Crash) } else { Ok(()) }
    }
}

/// As [`SpoolWorld::drain`], with a place to crash between any two steps.
fn drain(world: &mut SpoolWorld, spool: &mut OpenSpool, fuse: &Fuse) -> Result<(), Crash> {
    for _ in 0..3 {
        while let Some(mut chunk) = world.next(spool) {
            fuse.step()?;
            let rejects = std::mem::take(&mut chunk.rejects);
            world.commit(Chunk { rejects, ..Chunk::default() });
            fuse.step()?;
            world.commit(chunk);
            for file in world.due(spool) {
                fuse.step()?;
                // Renamed, and nobody knows it yet.
                spool.acks.put_away.settle(vec![file]).expect("put away");
            }
            fuse.step()?;
            world.acknowledge(spool);
        }
        world.pass(1);
    }
    Ok(())
}

/// Runs with a crash after `first` steps and another after `second` more; answers whether the first was reached.
fn crashed(world: &mut SpoolWorld, first: u64, second: Option<u64>) -> bool {
    let mut fuses = [Some(first), second].into_iter().flatten();
    let mut has_crashed = false;
    loop {
        let Some(steps) = fuses.next() else {
            world.run();
            return has_crashed;
        };
        let fuse = Fuse(Cell::new(steps));
        let mut spool = world.open();
        if drain(world, &mut spool, &fuse).is_ok() {
            return has_crashed;
        }
        has_crashed = true;
    }
}

fn filled(settings: &Value) -> SpoolWorld {
    let world = SpoolWorld::new(settings.clone());
    world.put("a.json", "{\n\"n\": -3}");
    world.put("b.json", "");
    world.put("c.jsonl", numbered(0, 9_000));
    world.put("d.jsonl.gz", gzip(&numbered(9_000, 15_000)));
    world.put("e.json", "-1");
    world.put("f.jsonl", "");
    world.put("g.json", "-2");
    world
}

fn expected() -> Vec<String> {
    [vec!["{\"n\":-3}".to_owned()], lines(&numbered(0, 15_000)), vec!["-1".to_owned(), "-2".to_owned()]].concat()
}

#[test]
fn every_event_comes_once_and_every_file_is_put_away_whenever_it_crashes() {
    for settings in [
        json!({}),
        json!({ "when_done": "delete" }),
        json!({ "when_done": "move", "done_folder": "done", "name_again": "number" }),
    ] {
        let expected = expected();
        let mut points = 0;
        for first in 0.. {
            let mut world = filled(&settings);
            let has_crashed = crashed(&mut world, first, (first % 3 > 0).then_some(first / 3));
            assert!(world.events == expected, "{settings}, crash after {first}: {} events", world.events.len());
            assert!(world.rejects.is_empty(), "{settings}, crash after {first}: {:?}", world.rejects);
            let left = world.names("in");
            assert!(left.iter().all(|name| name.ends_with(".COMPLETED")), "{settings}, crash after {first}: {left:?}");
            assert_eq!(world.committed().taken.len(), 0, "the cursor is small again");
            if !has_crashed {
                break;
            }
            points += 1;
        }
        assert!(points > 20, "{points}");
    }
}

#[test]
fn what_is_refused_is_told_and_set_aside_whenever_it_crashes() {
    let fill = || {
        let world = SpoolWorld::new(json!({}));
        world.put("a.json", "1");
        world.put("b.json.COMPLETED", "0");
        world.put("b.json", "2");
        let torn = gzip(&numbered(0, 9_000));
        world.put("c.jsonl.gz", &torn[..torn.len() / 2]);
        world.put("d.json", "{");
        world.put("e.json", "3");
        world
    };
    let mut whole = fill();
    whole.run();
    assert_eq!(whole.rejects.len(), 3);
    for first in 0.. {
        let mut world = fill();
        let has_crashed = crashed(&mut world, first, None);
        assert!(world.events == whole.events, "crash after {first}");
        assert_eq!(world.names("in"), whole.names("in"), "crash after {first}");
        let mut told: Vec<String> = world.rejects.iter().map(|reject| reject.reason[..30].to_owned()).collect();
        assert!(told.len() <= 6, "told once more where the cursor was not committed: {told:?}");
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 3, "crash after {first}: {told:?}");
        if !has_crashed {
            break;
        }
    }
}

#[test]
fn a_file_is_cut_at_every_piece_and_goes_on() {
    let text = numbered(0, 20_000);
    for (name, content) in [("a.jsonl", text.clone().into_bytes()), ("a.jsonl.gz", gzip(&text))] {
        let mut world = SpoolWorld::new(json!({}));
        world.put(name, content);
        let mut openings = 0;
        while !world.names("in").iter().all(|name| name.ends_with(".COMPLETED")) {
            let mut spool = world.open();
            openings += 1;
            assert!(openings < 1_000, "{name}: it does not get on");
            if let Some(chunk) = world.next(&mut spool) {
                world.commit(chunk);
            }
            // Read, and lost.
            drop(world.next(&mut spool));
        }
        assert!(openings > 4 && world.events == lines(&text), "{name}: {openings} openings");
    }
}
