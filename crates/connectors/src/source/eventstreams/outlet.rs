//! What gathers for one stream until it is handed over: events, what was refused, where offsets lead over, and the cursor.

use lakehead_connector_api::{Chunk, Discontinuity, Gap, Renumbering, StreamIndex};
use lakehead_json::EventTimes;
use lakehead_model::{Cursor, EventBatch, EventTimeRule, Reject, StreamSchema, TimeRule, Timestamp};

use super::{
    cursor::{Asked, Begun, Entry, SavedCursor},
    partition::Missing,
    renumbering::FoundRenumbering,
};

/// Events handed over at once: what the contract of a source asks for.
const CHUNK_BYTES: usize = 256 << 10;

/// Most rejects and gaps in one chunk, since each is kept in memory until it is stored.
const REFUSED_MAX: usize = 64;

/// One stream of a source.
pub(super) struct Outlet {
    chunk: Chunk,
    /// The position moved without an event.
    moved: bool,
    /// Something was refused whose place is not known: no stream's cursor may pass it before it is kept.
    refused_unplaced: bool,
    /// The event time up to which everything is here; it never runs back.
    reached: Option<Timestamp>,
    /// What the cursor says that the source is asked. It is the old one until the topics of the new one are known.
    asked: Asked,
    /// What the stream has of partitions whose events go elsewhere now.
    left: Vec<Entry>,
    times: ReadTimes,
}

/// How a stream's event times are read.
pub(super) struct ReadTimes {
    /// Where the stream has them elsewhere than a Wikimedia stream has.
    other: Option<EventTimes>,
    rule: TimeRule,
}

impl ReadTimes {
    pub(super) fn new(event_time: Vec<EventTimeRule>) -> Self {
        let schema = StreamSchema { event_time, columns: Vec::new() };
        let usual = StreamSchema::builtin("mediawiki/recentchange").unwrap_or_default().event_time;
        let other = (schema.event_time != usual).then(|| EventTimes::new(&schema));
        Self { other, rule: schema.time_rule() }
    }

    /// The rule as a cursor has it.
    pub(super) fn saved(&self) -> Option<TimeRule> {
        self.other.is_some().then_some(self.rule)
    }
}

impl Outlet {
    /// Of a stream whose cursor says this of what is asked, of the event time, and of partitions that go elsewhere now.
    pub(super) fn new(asked: Asked, reached: Option<Timestamp>, left: Vec<Entry>, times: ReadTimes) -> Self {
        let (chunk, moved, refused_unplaced) = (Chunk::default(), false, false);
        Self { chunk, moved, refused_unplaced, reached, asked, left, times }
    }

    /// Whether it should be handed over before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.chunk.events.payload().len() >= CHUNK_BYTES
            || self.chunk.rejects.len() + self.chunk.discontinuities.len() >= REFUSED_MAX
    }

    /// An event's time by the stream's rule, where that is not the usual one, which gave `usual`.
    pub(super) fn event_time(&self, document: &[u8], usual: Option<Timestamp>) -> Option<Timestamp> {
        self.times.other.as_ref().map_or(usual, |times| times.of(document))
    }

    /// Adds a new event.
    pub(super) fn push(&mut self, document: &[u8], event_time: Option<Timestamp>) {
        if self.chunk.events.is_empty() {
            self.chunk.events = EventBatch::with_capacity(CHUNK_BYTES / 512, CHUNK_BYTES + (16 << 10));
        }
        // Data of several lines was joined with LF.
        if memchr::memchr(b'\n', document).is_some() {
            self.chunk.events.push(&lakehead_json::compact(document), event_time);
        } else {
            self.chunk.events.push(document, event_time);
        }
    }

    /// The position moves, though there is no event.
    pub(super) fn note_moved(&mut self) {
        self.moved = true;
    }

    /// Something came again.
    pub(super) fn note_duplicate(&mut self) {
        self.chunk.duplicates += 1;
    }

    /// Something was refused; `is_placed` says whether its place is known.
    pub(super) fn reject(&mut self, reject: Reject, is_placed: bool) {
        self.refused_unplaced |= !is_placed;
        self.chunk.rejects.push(reject);
    }

    /// Events of this partition are missing, and the next one is of this time.
    pub(super) fn note_missing(&mut self, partition: String, missing: Missing, before: Option<Timestamp>) {
        self.chunk.discontinuities.push(Discontinuity::Missing(Gap {
            partition,
            from: missing.from,
            to: missing.to,
            after: missing.after,
            before,
            reason: missing.reason.to_owned(),
        }));
    }

    /// An event of this partition has another number than the one that follows.
    pub(super) fn note_renumbering(&mut self, partition: String, renumbering: FoundRenumbering) {
        let FoundRenumbering { from, to, reason } = renumbering;
        let found = &mut self.chunk.discontinuities;
        let mut last = found.iter_mut().rev().find_map(|one| match one {
            Discontinuity::Renumbered(last) => Some(last),
            _ => None,
        });
        match &mut last {
            Some(last) if last.partition == partition && last.reason == reason && last.to == from => last.to = to,
            _ => found.push(Discontinuity::Renumbered(Renumbering { partition, from, to, reason })),
        }
    }

    /// A partition has come back: its numbers lead over what went elsewhere meanwhile.
    pub(super) fn note_returned(&mut self, lead: Renumbering) {
        self.chunk.discontinuities.push(Discontinuity::Renumbered(lead));
    }

    /// The topics of what is asked are known: the cursor is of that from now on, and of these topics alone.
    pub(super) fn learned(&mut self, asked: &Asked, is_named: impl Fn(&Entry) -> bool) {
        asked.clone_into(&mut self.asked);
        self.left.retain(is_named);
        self.moved = true;
    }

    /// Whether there is something that is worth handing over.
    pub(super) fn has_something(&self) -> bool {
        let Chunk { events, rejects, discontinuities, duplicates, .. } = &self.chunk;
        let is_gap = |one: &Discontinuity| matches!(one, Discontinuity::Missing(_));
        let is_empty =
            events.is_empty() && rejects.is_empty() && !discontinuities.iter().any(is_gap) && *duplicates == 0;
        !is_empty || self.moved
    }

    /// The event time has come so far.
    pub(super) fn reach(&mut self, reached: Option<Timestamp>) {
        self.reached = self.reached.max(reached);
    }

    /// What was refused without a place, to be kept before any stream goes on.
    pub(super) fn take_refused(&mut self, to: StreamIndex) -> Option<Chunk> {
        if !std::mem::take(&mut self.refused_unplaced) {
            return None;
        }
        Some(Chunk { to, rejects: std::mem::take(&mut self.chunk.rejects), ..Chunk::default() })
    }

    /// What has gathered, with the cursor of `partitions`, where there is one.
    pub(super) fn take(&mut self, to: StreamIndex, partitions: Option<Vec<Entry>>, begun: &Begun) -> Chunk {
        (self.moved, self.refused_unplaced) = (false, false);
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.to = to;
        chunk.events.set_time_rule(self.times.rule);
        chunk.cursor = partitions.map(|partitions| {
            let saved = SavedCursor::new(self.asked.clone(), partitions, self.times.saved());
            let saved = saved.with(begun.clone(), self.left.clone());
            Cursor { position: saved.text().into(), progress: self.reached }
        });
        chunk
    }
}
