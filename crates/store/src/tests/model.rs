//! The stream against a `Vec`: append, fail, restart, kill, cut the power, read from anywhere.
//!
//! The model knows what was answered well and what is open. After a crash the stream must hold all of the first, then a
//! beginning of the second, in order, and its cursor must be the one of its last event.

use std::{io::ErrorKind, ops::ControlFlow, sync::Arc};

use lakehead_model::{ByteSize, Timestamp};
use proptest::prelude::*;

use super::{
    memory::{Fate, Memory, Op},
    rig::{ManualClock, cursor, events, hand_over, read, try_open},
    sealing::small,
};
use crate::{Append, Error, Options, Retention, Stream, Ticket};

#[derive(Clone, Debug)]
enum Step {
    /// Appends so many events in each of several appends, then waits for all.
    Append(Vec<u8>),
    /// Stops cleanly and starts again.
    Restart,
    /// Hands over appends and, without waiting, ends the process.
    Kill(Vec<u8>),
    /// Hands over appends and, without waiting, cuts the power; the fates decide over what was not synced.
    PowerCut {
        appends: Vec<u8>,
        keeps_names: bool,
        fates: Vec<Fate>,
    },
    /// The nth operation of this kind from now fails.
    Fail(Op, u32, bool),
    Minutes(i64),
    ReadFrom(prop::sample::Index),
    /// Seals so many segments, or as far as it gets.
    Seal(u8),
    /// Removes so many segments from the start.
    Retain(u8),
    /// Compares the inventory with the files.
    CheckInventory,
}

fn appends() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0_u8..5, 1..6)
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::Kept), Just(Fate::Lost), Just(Fate::Zeroed), (0_usize..300).prop_map(Fate::Torn),]
}

fn step() -> impl Strategy<Value = Step> {
    let op = prop_oneof![
        Just(Op::Write),
        Just(Op::Sync),
        Just(Op::Create),
        Just(Op::SyncFolder),
        Just(Op::Truncate),
        Just(Op::Remove),
        Just(Op::Rename),
    ];
    prop_oneof![
        6 => appends().prop_map(Step::Append),
        1 => Just(Step::Restart),
        1 => appends().prop_map(Step::Kill),
        2 => (appends(), any::<bool>(), prop::collection::vec(fate(), 1..8))
            .prop_map(|(appends, keeps_names, fates)| Step::PowerCut { appends, keeps_names, fates }),
        2 => (op, 1_u32..4, any::<bool>()).prop_map(|(op, nth, full)| Step::Fail(op, nth, full)),
        1 => (1_i64..90).prop_map(Step::Minutes),
        3 => any::<prop::sample::Index>().prop_map(Step::ReadFrom),
        3 => (1_u8..6).prop_map(Step::Seal),
        1 => (1_u8..3).prop_map(Step::Retain),
        1 => Just(Step::CheckInventory),
    ]
}

struct World {
    files: Memory,
    clock: Arc<ManualClock>,
    options: Options,
    stream: Stream,
    /// What was answered well, in order: the stream.
    kept: Vec<String>,
    /// How many of them retention was told to remove.
    removed: usize,
    /// What was handed over and not answered well, since the last good answer: each try begins where the stream ends.
    open: Vec<Vec<String>>,
    issued: usize,
}

impl World {
    fn new() -> Self {
        let options = Options { tail_bytes: ByteSize(500), ..small() };
        let (files, clock) = (Memory::default(), ManualClock::new());
        let stream = try_open(&files, options.clone(), &clock).expect("a new disk");
        Self { files, clock, options, stream, kept: Vec::new(), removed: 0, open: Vec::new(), issued: 0 }
    }

    /// Hands over appends whose cursors name the last event that was ever kept with them.
    fn hand_over(&mut self, counts: &[u8]) -> Vec<(Vec<String>, Result<Ticket, Error>)> {
        let appender = self.stream.appender();
        let mut last = self.kept.last().cloned().unwrap_or_default();
        let mut handed = Vec::new();
        for count in counts {
            let texts: Vec<String> = (0..*count).map(|i| (self.issued + usize::from(i)).to_string()).collect();
            self.issued += usize::from(*count);
            last = texts.last().cloned().unwrap_or(last);
            let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
            let append = Append { cursor: Some(cursor(&last)), ..events(&refs) };
            let ticket = hand_over(&appender, append);
            let refused = ticket.is_err();
            handed.push((texts, ticket));
            if refused {
                // A source begins again from the stream's cursor; to go on here would be its own loss.
                break;
            }
        }
        handed
    }

    fn append(&mut self, counts: &[u8]) {
        let mut failed = false;
        let mut open = Vec::new();
        for (texts, ticket) in self.hand_over(counts) {
            match ticket.and_then(Ticket::wait) {
                Ok(appended) => {
                    assert!(!failed, "nothing after a failure is kept until the source begins again");
                    assert_eq!(appended.first_offset.0, self.kept.len() as u64);
                    self.kept.extend(texts);
                    self.open.clear();
                }
                Err(error) => {
                    assert_eq!(error.kind(), lakehead_model::Kind::Unavailable, "{error}");
                    failed = true;
                    open.extend(texts);
                }
            }
        }
        self.open.push(open);
    }

    /// Hands over appends, takes the disk as `crash` leaves it, and opens again there.
    fn crash(&mut self, counts: &[u8], crash: impl FnOnce(&Memory) -> Memory) {
        let handed = self.hand_over(counts);
        let answered_before: Vec<String> = {
            let end = usize::try_from(self.stream.head().end.0).expect("small");
            let known = self.kept.len();
            let all: Vec<String> = handed.iter().flat_map(|(texts, _)| texts.clone()).collect();
            all.into_iter().take(end - known).collect()
        };
        let after = crash(&self.files);
        let answered = answered_before.len();
        let all: Vec<String> = handed.iter().flat_map(|(texts, _)| texts.clone()).collect();
        for (_, ticket) in handed {
            let _ = ticket.and_then(Ticket::wait);
        }
        after.mend();
        // The crashed process is gone; here its threads have to be ended.
        self.stream.close().expect("closes");
        self.files = after;
        self.stream = try_open(&self.files, self.options.clone(), &self.clock).expect("a crash is no corruption");
        self.check_after_crash(&answered_before, &all, answered);
    }

    fn check_after_crash(&mut self, answered: &[String], all: &[String], count: usize) {
        let start = self.stream.head().start.0 as usize;
        assert!(start <= self.removed, "retention removes no more than it was told");
        let mut found = self.kept[..start].to_vec();
        found.extend(read(&self.stream, start as u64));
        let mut must = self.kept.clone();
        must.extend(answered.iter().cloned());
        assert!(found.len() >= must.len(), "lost what was committed: {found:?} of {must:?}");
        assert_eq!(found[..must.len()], must[..]);
        let extra = &found[must.len()..];
        // Either what an earlier failure left on the disk came back, or what was under way got there.
        let under_way = &all[count..];
        let came_back = answered.is_empty() && self.open.iter().any(|open| open.starts_with(extra));
        let got_there = under_way.starts_with(extra);
        assert!(came_back || got_there, "{extra:?} is neither of {:?} nor of {under_way:?}", self.open);
        let at = self.stream.head().cursors.values().next().map(|c| c.position.to_string());
        assert_eq!(at.unwrap_or_default(), found.last().cloned().unwrap_or_default(), "the cursor is the last event's");
        self.kept = found;
        self.open.clear();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append(counts) => self.append(counts),
            Step::Restart => {
                self.files.mend();
                self.stream.close().expect("closes");
                self.stream = try_open(&self.files, self.options.clone(), &self.clock).expect("opens");
                let start = self.stream.head().start.0 as usize;
                assert!(start <= self.removed, "retention removes no more than it was told");
                assert_eq!(read(&self.stream, start as u64), self.kept[start..]);
                self.open.clear();
            }
            Step::Kill(counts) => self.crash(counts, Memory::after_kill),
            Step::PowerCut { appends, keeps_names, fates } => {
                let mut fates = fates.iter().copied().cycle();
                self.crash(appends, |files| files.after_power_cut(*keeps_names, || fates.next().unwrap_or(Fate::Lost)));
            }
            Step::Fail(op, nth, full) => {
                self.files.fail(*op, *nth, if *full { ErrorKind::StorageFull } else { ErrorKind::Other });
            }
            Step::Minutes(minutes) => self.clock.advance(minutes * 60_000_000),
            Step::ReadFrom(index) => {
                let start = self.stream.head().start.0 as usize;
                let from = start + index.index(self.kept.len() + 1 - start);
                assert_eq!(read(&self.stream, from as u64), self.kept[from..]);
            }
            Step::Seal(count) => {
                for _ in 0..*count {
                    match self.stream.seal_next(&mut |_| ControlFlow::Continue(())) {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(error) => assert_eq!(error.kind(), lakehead_model::Kind::Unavailable, "{error}"),
                    }
                }
            }
            Step::Retain(count) => {
                let everything = Retention { age: None, size: Some(ByteSize(0)) };
                // It has to look into segments, and the disk may fail it.
                let Ok(mut plan) = self.stream.plan_retention(&everything, Timestamp(0), &[]) else { return };
                plan.remove.truncate(usize::from(*count));
                let end = plan.remove.last().map_or(0, |last| last.end_offset.0 as usize);
                self.removed = self.removed.max(end);
                if let Err(error) = self.stream.retain(&plan) {
                    assert_eq!(error.kind(), lakehead_model::Kind::Unavailable, "{error}");
                }
            }
            Step::CheckInventory => {
                if let Err(error) = self.stream.check_inventory() {
                    assert_eq!(error.kind(), lakehead_model::Kind::Unavailable, "{error}");
                }
            }
        }
    }
}

/// Enough to meet each kind of crash several times, in about a second; PROPTEST_CASES asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_stream_is_a_vec_that_survives(steps in prop::collection::vec(step(), 1..25)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.files.mend();
        world.step(&Step::Restart);
        for from in world.stream.head().start.0 as usize..=world.kept.len() {
            assert_eq!(read(&world.stream, from as u64), world.kept[from..]);
        }
        world.stream.close().expect("closes");
    }
}
