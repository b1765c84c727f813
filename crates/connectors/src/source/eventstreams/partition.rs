//! One upstream partition: whether what comes from it is new, and whether something is missing. Pure decisions.
//!
//! ```text
//!            nothing held                 asked by the held event's offset
//!   opens ──▶ Fresh ──first event──▶ Exact ◀──first event is the held one── Proving
//!                                     ▲ │                                      │ it is another, or none in 10 s
//!            the held event is seen   │ └─an offset that is unknown runs back─▶│
//!                                     └──────────────── Overlapping ◀──────────┘ asked by time, wider each time
//! ```
//!
//! In `Exact` an offset that follows the last one proves that nothing is missing; one that leaps is a hole, asked for
//! once more and then a gap. In `Overlapping` everything that was not seen is taken, in whatever order, but the
//! position stays where it was until the held event comes by again: a crash in between begins again at the same place.

use std::time::{Duration, Instant};

use lakehead_connector_api::Error;
use lakehead_model::Timestamp;

use super::{
    cursor::{Entry, Held},
    event::{Facts, Key},
};

/// How far before the greatest time held a partition is asked first. Events were at most 64 s behind a newer one in
/// 11,967 contiguous events (2023-01-25, measured on our recordings); the rest is room for mirror lag between clusters.
pub(super) const OVERLAP: Duration = Duration::from_secs(64 + 56);

/// The most that an overlap is widened to: Wikimedia keeps every stream for at least 7 days.
pub(super) const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// An event this much newer than the held one comes after it in every cluster: disorder is 64 s at most.
const DISORDER: Duration = Duration::from_secs(64);

/// After so many holes in a row that stayed when they were asked for again, holes are taken as the stream's nature
/// (a topic with transaction markers has them all the time) and no longer asked for, until one heals or we reconnect.
const LASTING_HOLES_MAX: u32 = 8;

/// What is known of a partition, and how it is being read.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) entry: Entry,
    /// The topic as a raw JSON string, to compare with what stands in an event.
    pub(super) raw_topic: Vec<u8>,
    pub(super) mode: Mode,
    /// The event before the hole that was asked for again.
    asked_again: Option<Key>,
    lasting_holes: u32,
    /// When its last event came.
    pub(super) heard: Option<Instant>,
}

/// How a partition is being read on this connection.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mode {
    /// Nothing is held: whatever comes is new.
    Fresh,
    /// Asked by the offset of the held event, which has to come first.
    Proving,
    /// Asked by time, `width` before the greatest time held. `first` is the first offset that came.
    Overlapping { width: Duration, first: Option<i64> },
    /// Nothing is missing before the held event, and offsets are comparable.
    Exact,
}

/// What is to be done with an event.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is new; what is missing for good before it, if anything.
    Take(Option<Hole>),
    /// It was taken before, and came again; what is missing for good before it, if anything.
    Duplicate(Option<Hole>),
    /// It is the held event, or one that was accounted for: no news.
    Known,
    /// It cannot be placed: leave it, connect again and ask as the partition's mode now says.
    AskAgain(Why),
}

/// Offsets `[from, to)` that did not come.
#[derive(Debug, PartialEq)]
pub(super) struct Hole {
    pub(super) from: i64,
    pub(super) to: i64,
    /// The time of the event before it.
    pub(super) after: Option<Timestamp>,
    pub(super) reason: &'static str,
}

/// What was taken before.
pub(super) trait Memory {
    /// Whether the event was taken before.
    fn contains(&mut self, facts: &Facts<'_>) -> Result<bool, Error>;
    /// Remembers it; false when it is known to be one that was taken before.
    fn remember(&mut self, facts: &Facts<'_>) -> Result<bool, Error>;
}

/// Why a connection is given up to be asked anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The event at the held offset is another one: another cluster, or the offset is out of range.
    OtherCluster,
    /// Offsets are missing.
    Hole,
    /// The held event did not come by: ask further back.
    Wider,
}

impl Partition {
    pub(super) fn new(entry: Entry) -> Self {
        let raw_topic = serde_json::to_vec(&entry.topic).expect("a string is always JSON");
        let mode = Mode::Fresh;
        let mut partition = Self { entry, raw_topic, mode, asked_again: None, lasting_holes: 0, heard: None };
        partition.connect();
        partition
    }

    /// Made ready for a new connection.
    pub(super) fn connect(&mut self) {
        self.mode = match (&self.mode, &self.entry.held) {
            (_, None) => Mode::Fresh,
            (Mode::Overlapping { width, .. }, Some(_)) => overlapping(*width),
            (_, Some(_)) if self.entry.unproven => overlapping(OVERLAP),
            (_, Some(_)) => Mode::Proving,
        };
    }

    /// How it is to be asked for, as `Last-Event-ID` wants it: by offset or by time, never by both.
    pub(super) fn request(&self) -> Request {
        match (&self.mode, &self.entry.held) {
            (Mode::Proving | Mode::Exact, Some(held)) => Request::Offset(held.offset),
            (Mode::Overlapping { width, .. }, _) => Request::Time(self.overlap_start(*width)),
            _ => Request::Time(self.entry.since),
        }
    }

    /// The time from which an overlap of `width` is read.
    pub(super) fn overlap_start(&self, width: Duration) -> Timestamp {
        self.entry.kafka_time.unwrap_or(self.entry.since).minus(width)
    }

    /// Whether the held event was not met on this connection yet.
    pub(super) fn is_unproven(&self) -> bool {
        matches!(self.mode, Mode::Proving | Mode::Overlapping { .. })
    }

    /// Nothing is to be read and the held event was not met: ask by time, or further back. `None` when there is no
    /// further back.
    pub(super) fn not_found(&mut self) -> Option<Why> {
        match self.mode {
            Mode::Proving => Some(self.ask_by_time()),
            Mode::Overlapping { width, .. } => self.widen(width),
            Mode::Fresh | Mode::Exact => None,
        }
    }

    pub(super) fn ask_by_time(&mut self) -> Why {
        self.mode = overlapping(OVERLAP);
        Why::OtherCluster
    }

    fn widen(&mut self, width: Duration) -> Option<Why> {
        if width >= OVERLAP_MAX {
            return None;
        }
        self.mode = overlapping((width * 2).min(OVERLAP_MAX));
        Some(Why::Wider)
    }

    /// Judges the event at `offset`. `refused` is how many frames of unknown place were refused since the last event.
    pub(super) fn judge(
        &mut self,
        offset: i64,
        facts: &Facts<'_>,
        refused: i64,
        memory: &mut dyn Memory,
    ) -> Result<Verdict, Error> {
        let Some(held) = self.entry.held else { return self.take(offset, facts, None, memory) };
        match self.mode {
            Mode::Fresh => self.take(offset, facts, None, memory),
            Mode::Proving if offset == held.offset && facts.key == held.key => {
                self.mode = Mode::Exact;
                Ok(Verdict::Known)
            }
            Mode::Proving => Ok(Verdict::AskAgain(self.ask_by_time())),
            Mode::Overlapping { width, first } => self.judge_overlapping(offset, facts, held, width, first, memory),
            Mode::Exact => self.judge_exact(offset, facts, held, refused, memory),
        }
    }

    fn judge_overlapping(
        &mut self,
        offset: i64,
        facts: &Facts<'_>,
        held: Held,
        width: Duration,
        first: Option<i64>,
        memory: &mut dyn Memory,
    ) -> Result<Verdict, Error> {
        if facts.key == held.key {
            self.prove(offset, facts);
            return Ok(Verdict::Known);
        }
        let first = first.unwrap_or(offset);
        let beyond = match (facts.kafka_time, self.entry.kafka_time) {
            (Some(time), Some(greatest)) => time > greatest.plus(DISORDER),
            _ => false,
        };
        if !beyond {
            self.mode = Mode::Overlapping { width, first: Some(first) };
            self.entry.event_time = self.entry.event_time.max(facts.event_time);
            if !memory.remember(facts)? {
                return Ok(Verdict::Duplicate(None));
            }
            self.entry.unproven = true;
            self.entry.taken = Some(offset);
            return Ok(Verdict::Take(None));
        }
        if let Some(why) = self.widen(width) {
            return Ok(Verdict::AskAgain(why));
        }
        // As far back as it goes, and the held event is not there: what lies between is not known.
        let from = held.offset.saturating_add(1);
        let hole = Hole {
            from,
            to: first.max(from),
            after: held.event_time,
            reason: "the last event held was not found again: the upstream has forgotten it, or lost it",
        };
        self.take(offset, facts, Some(hole), memory)
    }

    fn judge_exact(
        &mut self,
        offset: i64,
        facts: &Facts<'_>,
        held: Held,
        refused: i64,
        memory: &mut dyn Memory,
    ) -> Result<Verdict, Error> {
        let next = self.entry.through.unwrap_or(held.offset).saturating_add(1);
        if offset == next {
            if self.asked_again == Some(held.key) {
                self.lasting_holes = 0;
            }
            return self.take(offset, facts, None, memory);
        }
        if offset > held.offset && offset < next {
            // Refused before; it comes again since the held event lies before it.
            return Ok(Verdict::Known);
        }
        if offset < next {
            return Ok(if memory.contains(facts)? {
                Verdict::Duplicate(None)
            } else {
                // An offset that we are past, with an event that we never had: offsets began anew.
                Verdict::AskAgain(self.ask_by_time())
            });
        }
        if offset - next <= refused {
            return self.take(offset, facts, None, memory);
        }
        if self.asked_again != Some(held.key) && self.lasting_holes < LASTING_HOLES_MAX {
            self.asked_again = Some(held.key);
            return Ok(Verdict::AskAgain(Why::Hole));
        }
        self.lasting_holes += 1;
        let hole = Hole { from: next, to: offset, after: held.event_time, reason: "asked for twice, and did not come" };
        self.take(offset, facts, Some(hole), memory)
    }

    fn take(
        &mut self,
        offset: i64,
        facts: &Facts<'_>,
        hole: Option<Hole>,
        memory: &mut dyn Memory,
    ) -> Result<Verdict, Error> {
        let new = memory.remember(facts)?;
        self.prove(offset, facts);
        Ok(if new { Verdict::Take(hole) } else { Verdict::Duplicate(hole) })
    }

    /// A frame at `offset` was refused: it is accounted for, though it cannot be the held event. False when it was
    /// accounted for before.
    pub(super) fn refuse(&mut self, offset: i64) -> bool {
        let Some(through) = self.entry.through else { return true };
        if !matches!(self.mode, Mode::Exact) {
            return true;
        }
        if offset == through.saturating_add(1) {
            self.entry.through = Some(offset);
        }
        offset > through
    }

    /// The position moves to this event, before which nothing is missing.
    fn prove(&mut self, offset: i64, facts: &Facts<'_>) {
        let held = Held { offset, key: facts.key, event_time: facts.event_time };
        self.mode = Mode::Exact;
        self.entry.unproven = false;
        self.entry.taken = None;
        self.entry.through = Some(offset);
        self.entry.held = Some(held);
        self.entry.kafka_time = self.entry.kafka_time.max(facts.kafka_time);
        self.entry.event_time = self.entry.event_time.max(facts.event_time);
    }
}

fn overlapping(width: Duration) -> Mode {
    Mode::Overlapping { width, first: None }
}

/// One entry of `Last-Event-ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// From this offset on, itself included.
    Offset(i64),
    /// From the first event of this time or later.
    Time(Timestamp),
}

#[cfg(test)]
pub(super) mod tests;
