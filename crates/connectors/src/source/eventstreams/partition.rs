//! One upstream partition: whether what comes from it is new, and whether something is missing. Pure decisions.
//!
//! ```text
//!            no anchor event              asked by the anchor event's offset
//!   opens ──▶ Fresh ──first event──▶ Exact ◀──first event is the anchor──── Proving
//!                                     ▲ │                                      │ it is another, or none in 10 s
//!            the anchor is seen       │ └─an unknown event's offset runs back─▶│
//!                                     └──────────────── Overlapping ◀──────────┘ asked by time, wider each time
//! ```
//!
//! The *anchor event* is the last event before which nothing is missing. In `Exact` an offset that follows the last one
//! proves that nothing is missing; after a jump the missing offsets are asked for once more, and are a gap if they do not
//! come. In `Overlapping` every event that was not taken before is taken, in whatever order, but the position stays where it
//! was until the anchor event comes again: after a crash in between, the source resumes at the same place.

use std::time::{Duration, Instant};

use lakehead_eventstreams_wire::Position;
use lakehead_model::Timestamp;

use super::{
    cursor::{Anchor, Entry},
    event::{Facts, scope_of},
};
use crate::{event_key::Key, progress::PartitionTime};

/// How far before its greatest Kafka time a partition is asked first. Events were at most 64 s behind a newer one in
/// 11,967 contiguous events (2023-01-25, measured on our recordings); the rest is room for mirror lag between clusters.
pub(super) const OVERLAP: Duration = Duration::from_secs(64 + 56);

/// The most that an overlap is widened to: Wikimedia keeps every stream for at least 7 days.
pub(super) const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// An event this much newer than the anchor event comes after it in every cluster: disorder is 64 s at most.
const DISORDER: Duration = Duration::from_secs(64);

/// After so many gaps in a row that stayed when they were asked for again, gaps are taken as the stream's nature (a topic
/// with transaction markers has them all the time) and no longer asked for, until one is filled or the source is opened anew.
const LASTING_GAPS_MAX: u32 = 8;

/// What is known of a partition, and how it is being read.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) entry: Entry,
    /// The topic as a raw JSON string, to compare with what stands in an event.
    pub(super) raw_topic: Vec<u8>,
    /// The stream that its events go to.
    pub(super) to: usize,
    /// No route names its topic, and that was not told yet.
    pub(super) is_unrouted: bool,
    /// Its upstream stream.
    pub(super) scope: u128,
    pub(super) mode: Mode,
    /// The event before the missing offsets that were asked for again.
    asked_again: Option<Key>,
    lasting_gaps: u32,
    /// When its last event came.
    pub(super) heard: Option<Instant>,
}

/// How a partition is being read on this connection.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mode {
    /// There is no anchor event: whatever comes is new.
    Fresh,
    /// Asked by the offset of the anchor event, which has to come first.
    Proving,
    /// Asked by time, `width` before the greatest Kafka time. `first` is the first offset that came.
    Overlapping { width: Duration, first: Option<i64> },
    /// Nothing is missing before the anchor event, and offsets are comparable.
    Exact,
}

/// What is to be done with an event.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// The event is new; what is missing for good before it, if anything.
    Take(Option<Missing>),
    /// The event was taken before, and came again; what is missing for good before it, if anything.
    Duplicate(Option<Missing>),
    /// The event is the anchor event, or one that was accounted for.
    Known,
    /// The event cannot be placed: leave it, connect again and ask as the partition's mode now says.
    AskAgain(Why),
}

/// Offsets `[from, to)` that did not come.
#[derive(Debug, PartialEq)]
pub(super) struct Missing {
    pub(super) from: i64,
    pub(super) to: i64,
    /// The time of the event before it.
    pub(super) after: Option<Timestamp>,
    pub(super) reason: &'static str,
}

/// The logs that may hold an event which goes into a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logs {
    /// That of this stream.
    Of(usize),
    /// That of any stream of the source; it goes into this one.
    AnyFor(usize),
}

impl Logs {
    /// The stream that the event goes into.
    pub(super) fn to(self) -> usize {
        match self {
            Self::Of(to) | Self::AnyFor(to) => to,
        }
    }

    /// Whether the log of this stream is one of them.
    pub(super) fn include(self, stream: usize) -> bool {
        match self {
            Self::Of(to) => to == stream,
            Self::AnyFor(_) => true,
        }
    }
}

/// What was taken before.
pub(super) trait Memory {
    /// Whether the event was taken before.
    fn contains(&self, facts: &Facts<'_>) -> bool;
    /// Remembers it; false when it is known to be one that was taken before.
    fn remember(&mut self, facts: &Facts<'_>) -> bool;
}

/// Why a connection is closed and the upstream asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The event at the anchor's offset is another one: another cluster, or the offset is out of range.
    OtherCluster,
    /// Offsets are missing.
    Missing,
    /// The anchor event did not come: ask further back.
    Wider,
}

impl Partition {
    /// Of a topic whose events go by this `route`; to the first stream where there is none.
    pub(super) fn new(entry: Entry, route: Option<usize>) -> Self {
        let raw_topic = serde_json::to_vec(&entry.topic).expect("a string is always JSON");
        let mut partition = Self {
            entry,
            to: route.unwrap_or(0),
            is_unrouted: route.is_none(),
            scope: scope_of(&raw_topic),
            raw_topic,
            mode: Mode::Fresh,
            asked_again: None,
            lasting_gaps: 0,
            heard: None,
        };
        partition.connect();
        partition
    }

    /// The name that gaps and rejects give it: `eqiad.mediawiki.recentchange/0`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.entry.topic, self.entry.partition)
    }

    /// Which logs may hold its events: that of its stream, and any once it has gone over from another one.
    pub(super) fn logs(&self) -> Logs {
        if self.entry.moves > 0 { Logs::AnyFor(self.to) } else { Logs::Of(self.to) }
    }

    /// What it says of the time.
    pub(super) fn time(&self) -> PartitionTime {
        PartitionTime { event_time: self.entry.event_time, heard: self.heard }
    }

    /// Prepares for a new connection.
    pub(super) fn connect(&mut self) {
        self.mode = match (&self.mode, &self.entry.anchor) {
            (_, None) => Mode::Fresh,
            (Mode::Overlapping { width, .. }, Some(_)) => overlapping(*width),
            (_, Some(_)) if self.entry.unproven => overlapping(OVERLAP),
            (_, Some(_)) => Mode::Proving,
        };
    }

    /// The position that is asked for in `Last-Event-ID`: an offset or a time, never both.
    pub(super) fn asked_position(&self) -> Position {
        match (&self.mode, &self.entry.anchor) {
            (Mode::Proving | Mode::Exact, Some(anchor)) => Position::Offset(anchor.offset),
            (Mode::Overlapping { width, .. }, _) => Position::Timestamp(self.overlap_start(*width).millis()),
            _ => Position::Timestamp(self.entry.since.millis()),
        }
    }

    /// The time from which an overlap of `width` is read.
    pub(super) fn overlap_start(&self, width: Duration) -> Timestamp {
        self.entry.kafka_time.unwrap_or(self.entry.since).minus(width)
    }

    /// Whether the anchor event has not come on this connection yet.
    pub(super) fn is_unproven(&self) -> bool {
        matches!(self.mode, Mode::Proving | Mode::Overlapping { .. })
    }

    /// Nothing is to be read and the anchor event did not come: ask by time, or further back. `None` when there is no
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

    /// Classifies the event at `offset`. `refused` is how many frames of unknown place were refused since the last event.
    pub(super) fn classify(
        &mut self,
        offset: i64,
        facts: &Facts<'_>,
        refused: i64,
        memory: &mut dyn Memory,
    ) -> Decision {
        let Some(anchor) = self.entry.anchor else { return self.take(offset, facts, None, memory) };
        match self.mode {
            Mode::Fresh => self.take(offset, facts, None, memory),
            Mode::Proving if offset == anchor.offset && facts.key == anchor.key => {
                self.mode = Mode::Exact;
                Decision::Known
            }
            Mode::Proving => Decision::AskAgain(self.ask_by_time()),
            Mode::Overlapping { width, first } => {
                self.classify_overlapping(offset, facts, anchor, width, first, memory)
            }
            Mode::Exact => self.classify_exact(offset, facts, anchor, refused, memory),
        }
    }

    fn classify_overlapping(
        &mut self,
        offset: i64,
        facts: &Facts<'_>,
        anchor: Anchor,
        width: Duration,
        first: Option<i64>,
        memory: &mut dyn Memory,
    ) -> Decision {
        if facts.key == anchor.key {
            self.prove(offset, facts);
            return Decision::Known;
        }
        let first = first.unwrap_or(offset);
        let beyond = match (facts.kafka_time, self.entry.kafka_time) {
            (Some(time), Some(greatest)) => time > greatest.plus(DISORDER),
            _ => false,
        };
        if !beyond {
            self.mode = Mode::Overlapping { width, first: Some(first) };
            self.entry.event_time = self.entry.event_time.max(facts.event_time);
            if !memory.remember(facts) {
                return Decision::Duplicate(None);
            }
            self.entry.unproven = true;
            self.entry.taken = Some(offset);
            return Decision::Take(None);
        }
        if let Some(why) = self.widen(width) {
            return Decision::AskAgain(why);
        }
        // As far back as possible, and the anchor event is not there: what lies between is not known.
        let from = anchor.offset.saturating_add(1);
        let missing = Missing {
            from,
            to: first.max(from),
            after: anchor.event_time,
            reason: "the last event held was not found again: the upstream has forgotten it, or lost it",
        };
        self.take(offset, facts, Some(missing), memory)
    }

    fn classify_exact(
        &mut self,
        offset: i64,
        facts: &Facts<'_>,
        anchor: Anchor,
        refused: i64,
        memory: &mut dyn Memory,
    ) -> Decision {
        let next = self.entry.through.unwrap_or(anchor.offset).saturating_add(1);
        if offset == next {
            if self.asked_again == Some(anchor.key) {
                self.lasting_gaps = 0;
            }
            return self.take(offset, facts, None, memory);
        }
        if offset > anchor.offset && offset < next {
            // Refused before; it comes again since the anchor event lies before it.
            return Decision::Known;
        }
        if offset < next {
            return if memory.contains(facts) {
                Decision::Duplicate(None)
            } else {
                // An offset that was passed, with an event that never came: the numbering began again.
                Decision::AskAgain(self.ask_by_time())
            };
        }
        if offset - next <= refused {
            return self.take(offset, facts, None, memory);
        }
        if self.asked_again != Some(anchor.key) && self.lasting_gaps < LASTING_GAPS_MAX {
            self.asked_again = Some(anchor.key);
            return Decision::AskAgain(Why::Missing);
        }
        self.lasting_gaps += 1;
        let missing =
            Missing { from: next, to: offset, after: anchor.event_time, reason: "asked for twice, and did not come" };
        self.take(offset, facts, Some(missing), memory)
    }

    fn take(&mut self, offset: i64, facts: &Facts<'_>, missing: Option<Missing>, memory: &mut dyn Memory) -> Decision {
        let new = memory.remember(facts);
        self.prove(offset, facts);
        if new { Decision::Take(missing) } else { Decision::Duplicate(missing) }
    }

    /// A frame at `offset` was refused: the offset is accounted for, though the frame cannot be the anchor event. False when
    /// the offset was accounted for before.
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
        let anchor = Anchor { offset, key: facts.key, event_time: facts.event_time };
        self.mode = Mode::Exact;
        self.entry.unproven = false;
        self.entry.taken = None;
        self.entry.through = Some(offset);
        self.entry.anchor = Some(anchor);
        self.entry.kafka_time = self.entry.kafka_time.max(facts.kafka_time);
        self.entry.event_time = self.entry.event_time.max(facts.event_time);
    }
}

fn overlapping(width: Duration) -> Mode {
    Mode::Overlapping { width, first: None }
}

#[cfg(test)]
pub(super) mod tests;
