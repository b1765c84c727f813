//! What becomes of each frame: an event of the next chunk, a reject, a gap, something known, or a reason to ask again.
//!
//! It stands between the parser and the engine, owns all that is known of the partitions, and does no I/O but for
//! looking into the log, before an event is placed. Nothing else here waits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lakehead_connector_api::{Activity, Chunk, Discontinuity, Error, Gap, Renumbering, StreamResume};
use lakehead_eventstreams_wire::{Data, Frame, read_id};
use lakehead_json::EventTimes;
use lakehead_model::{Clock, Cursor, EventBatch, Reject, StreamSchema, TimeRule, Timestamp};

use super::{
    cursor::{PARTITIONS_MAX, SavedCursor, TOPICS_BYTES_MAX},
    event::{FactReader, Facts, Key},
    memory::EventMemory,
    partition::{Decision, Missing, Why},
    partitions::Partitions,
    renumbering::{Before, FoundRenumbering},
};
use crate::progress::{PartitionTime, Progress};

/// Events handed over at once: what the contract of a source asks for.
const CHUNK_BYTES: usize = 256 << 10;

/// Most rejects and gaps in one chunk, since each is kept in memory until it is stored.
const REFUSED_MAX: usize = 64;

/// A partition that brought nothing yet is asked this far before its beginning: two intervals of the hourly canaries,
/// so that one comes, and from then on there is an offset to resume from.
const IDLE_OVERLAP: Duration = Duration::from_secs(2 * 3600);

/// What is to be done after a frame.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Read on.
    Next,
    /// Close this connection and ask again.
    AskAgain(Why),
    /// The topics of these streams are known now: connect again and ask for them.
    Learned,
}

/// Everything known about the upstream and about what was taken.
pub(super) struct Intake {
    streams: String,
    event_bytes_max: usize,
    clock: Arc<dyn Clock>,
    reader: FactReader,
    partitions: Partitions,
    /// The cursor was written for other streams: nothing is taken before their topics are known.
    learning: bool,
    /// Whether the id of this connection, which names all partitions, was read.
    ids_read: bool,
    /// A reject has said that there are partitions that are not followed.
    unfollowed_reported: bool,
    memory: EventMemory,
    progress: Progress,
    /// Frames refused since the last event whose place in the sequence is not known.
    refused: i64,
    /// Something was taken since the last reconnect.
    pub(super) fruitful: bool,
    /// Bytes of new events that were taken since then.
    pub(super) new_bytes: u64,
    chunk: Chunk,
    /// The position moved without an event.
    moved: bool,
    activity: Option<Activity>,
    kafka_time: Option<Timestamp>,
    /// Reads event times where the stream has them elsewhere than a Wikimedia stream has.
    times: Option<EventTimes>,
    rule: TimeRule,
}

impl Intake {
    pub(super) fn new(
        streams: &str,
        event_bytes_max: usize,
        since: Timestamp,
        resume: StreamResume,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let StreamResume { cursor, event_time, tail, .. } = resume;
        let schema = StreamSchema { event_time, columns: Vec::new() };
        let usual = StreamSchema::builtin("mediawiki/recentchange").unwrap_or_default().event_time;
        let times = (schema.event_time != usual).then(|| EventTimes::new(&schema));
        let rule = schema.time_rule();
        let by = times.is_some().then_some(rule);
        let mut saved = cursor.as_ref().map(|cursor| SavedCursor::read(&cursor.position)).transpose()?;
        // Times of another rule say nothing of how far this one has come.
        let read_alike = saved.as_ref().is_none_or(|saved| saved.time_rule == by);
        if let Some(saved) = saved.as_mut().filter(|_| !read_alike) {
            saved.forget_times();
        }
        let reached = cursor.and_then(|cursor| cursor.progress).filter(|_| read_alike);
        let learning = saved.as_ref().is_some_and(|saved| saved.streams != streams);
        let entries = saved.map(|saved| saved.partitions).unwrap_or_default();
        Ok(Self {
            streams: streams.to_owned(),
            event_bytes_max,
            clock,
            reader: FactReader::new(),
            partitions: Partitions::new(entries, since.minus(IDLE_OVERLAP)),
            learning,
            ids_read: false,
            unfollowed_reported: false,
            memory: EventMemory::new(tail),
            progress: Progress::resumed(reached),
            times,
            rule,
            refused: 0,
            fruitful: false,
            new_bytes: 0,
            chunk: Chunk::default(),
            moved: false,
            activity: None,
            kafka_time: None,
        })
    }

    /// Prepares for a new connection; gives its `Last-Event-ID`. `None` on the very first one, and when the topics
    /// have to be learned first; then the upstream is asked by a time if `by_since`.
    pub(super) async fn connect(&mut self, by_since: bool) -> Result<Option<String>, Error> {
        self.progress.disconnected();
        self.ids_read = false;
        self.kafka_time = None;
        self.refused = 0;
        self.memory.connect(by_since);
        self.partitions.connect();
        if self.learning || self.partitions.is_empty() {
            return Ok(None);
        }
        self.memory.read_back(self.partitions.overlap_start()).await?;
        let (last_event_id, by_time) = self.partitions.last_event_id();
        self.memory.set_asked_back(by_time);
        Ok(Some(last_event_id))
    }

    /// Whether the next chunk should be handed over before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.chunk.events.payload().len() >= CHUNK_BYTES
            || self.chunk.rejects.len() + self.chunk.discontinuities.len() >= REFUSED_MAX
    }

    /// Takes one frame.
    pub(super) async fn take(&mut self, frame: &Frame<'_>, now: Instant) -> Result<Step, Error> {
        match frame.event {
            b"" | b"message" => {}
            b"error" => return Err(upstream_error(frame)),
            other => {
                let reason = format!("expected event \"message\", found {:?}", shown(other));
                self.reject(reason, frame, data_head(frame), None);
                return Ok(Step::Next);
            }
        }
        if !self.ids_read
            && let Some(id) = frame.id
        {
            self.ids_read = self.learn(id);
            if self.learning {
                self.learning = false;
                return Ok(Step::Learned);
            }
        }
        let document: &[u8] = match &frame.data {
            Data::Whole(data) if data.is_empty() => return Ok(Step::Next),
            Data::Whole(data) if data.len() <= self.event_bytes_max => data,
            Data::Whole(data) => {
                let reason = self.too_large(data.len() as u64);
                self.reject(reason, frame, data, Some(data));
                return Ok(Step::Next);
            }
            Data::TooLarge { head, frame_bytes } => {
                let reason = self.too_large(*frame_bytes);
                self.reject(reason, frame, head, Some(head));
                return Ok(Step::Next);
            }
        };
        if let Err(wrong) = lakehead_json::validate(document) {
            self.reject(format!("not JSON: {wrong}"), frame, document, Some(document));
            return Ok(Step::Next);
        }
        self.take_document(document, frame.id, now).await
    }

    async fn take_document(&mut self, document: &[u8], id: Option<&[u8]>, now: Instant) -> Result<Step, Error> {
        let mut facts = self.reader.read(document);
        if let Some(times) = &self.times {
            facts.event_time = times.of(document);
        }
        self.memory.look_up(&facts).await?;
        Ok(match self.place(&facts, document) {
            Some((place, offset)) => self.take_placed(place, offset, &facts, document, now),
            None => self.take_unplaced(&facts, document, id),
        })
    }

    /// Takes an event whose place nobody knows, or is not followed: it is kept, and it moves no position.
    fn take_unplaced(&mut self, facts: &Facts<'_>, document: &[u8], id: Option<&[u8]>) -> Step {
        if self.memory.remember_unplaced(facts, id) {
            self.push(document, facts.event_time);
        } else {
            self.chunk.duplicates += 1;
        }
        Step::Next
    }

    /// Takes the event at `offset` of the partition `place`.
    fn take_placed(&mut self, place: usize, offset: i64, facts: &Facts<'_>, document: &[u8], now: Instant) -> Step {
        let partition = &mut self.partitions[place];
        let before = Before::of(partition);
        let decision = partition.classify(offset, facts, self.refused, &mut self.memory);
        if let Decision::AskAgain(why) = decision {
            if why == Why::OtherCluster {
                self.partitions.ask_unproven_by_time();
            }
            return Step::AskAgain(why);
        }
        partition.heard = Some(now);
        let proven = before.is_proven_by(partition);
        self.refused = 0;
        self.kafka_time = facts.kafka_time;
        if let Some(renumbering) = before.renumbering(&decision, offset, proven) {
            self.note_renumbering(place, renumbering);
        }
        match decision {
            Decision::Take(missing) => {
                self.note_missing(place, missing, facts);
                self.push(document, facts.event_time);
            }
            Decision::Duplicate(missing) => {
                self.note_missing(place, missing, facts);
                self.chunk.duplicates += 1;
                self.moved = true;
            }
            Decision::Known => self.moved |= proven,
            Decision::AskAgain(_) => {}
        }
        Step::Next
    }

    /// Adds a new event to the chunk.
    fn push(&mut self, document: &[u8], event_time: Option<Timestamp>) {
        self.fruitful = true;
        self.new_bytes += document.len() as u64;
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

    fn note_missing(&mut self, place: usize, missing: Option<Missing>, facts: &Facts<'_>) {
        let Some(missing) = missing else { return };
        self.chunk.discontinuities.push(Discontinuity::Missing(Gap {
            partition: self.partitions[place].name(),
            from: missing.from,
            to: missing.to,
            after: missing.after,
            before: facts.event_time,
            reason: missing.reason.to_owned(),
        }));
    }

    fn note_renumbering(&mut self, place: usize, renumbering: FoundRenumbering) {
        let FoundRenumbering { from, to, reason } = renumbering;
        let partition = self.partitions[place].name();
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

    /// Refuses a frame. `document` is what may tell its place: the head of it, mostly, since `meta` comes first.
    fn reject(&mut self, reason: String, frame: &Frame<'_>, payload: &[u8], document: Option<&[u8]>) {
        // Where it is broken nothing can be relied on, so a place is believed only if it is the very next one.
        let placed = document.map(|document| self.reader.read(document)).and_then(|facts| {
            let (topic, offset) = (facts.topic?, facts.offset?);
            let place = self.partitions.find(topic, facts.partition)?;
            let through = self.partitions[place].entry.through?;
            (offset <= through + 1).then_some((place, offset))
        });
        let position = match placed {
            Some((place, offset)) => {
                if !self.partitions[place].refuse(offset) {
                    self.chunk.duplicates += 1;
                    return;
                }
                format!("{}/{offset}", self.partitions[place].name())
            }
            None => {
                self.refused += 1;
                frame.id.map_or_else(|| "no id".to_owned(), shown)
            }
        };
        // Asked for again, it comes again: it is refused once.
        let bytes = match frame.data {
            Data::Whole(_) => 0,
            Data::TooLarge { frame_bytes, .. } => frame_bytes,
        };
        if !self.memory.remember_refused(Key::hash([b"refused".as_slice(), &bytes.to_le_bytes(), payload])) {
            self.chunk.duplicates += 1;
            return;
        }
        self.fruitful = true;
        self.chunk.rejects.push(Reject { reason, position, payload: kept(payload) });
    }

    /// Reports once that there are places that are not followed: the first of them, and what names it.
    fn report_unfollowed(&mut self, topic: &str, partition: i32, offset: i64, payload: &[u8]) {
        if std::mem::replace(&mut self.unfollowed_reported, true) {
            return;
        }
        let reason = format!(
            "kept, but its place is not followed, so that this topic may not be asked for after a reconnect: a source \
             follows at most {PARTITIONS_MAX} upstream partitions, of topics whose names have {TOPICS_BYTES_MAX} bytes in \
             all and no control characters; split the streams of url over several sources"
        );
        let position = format!("{}/{partition}/{offset}", shown(topic.as_bytes()));
        tracing::warn!("{}: {position}: {reason}", self.streams);
        self.chunk.rejects.push(Reject { reason, position, payload: kept(payload) });
    }

    fn too_large(&self, bytes: u64) -> String {
        format!("expected an event of at most {} bytes (event_bytes_max), found {bytes}", self.event_bytes_max)
    }

    /// The partition and offset of an event; none when they are not known, or not followed.
    fn place(&mut self, facts: &Facts<'_>, document: &[u8]) -> Option<(usize, i64)> {
        let (topic, offset) = (facts.topic?, facts.offset?);
        match self.partitions.find_or_add(topic, facts.partition) {
            Ok(place) => Some((place, offset)),
            Err(topic) => {
                self.report_unfollowed(&topic, facts.partition, offset, document);
                None
            }
        }
    }

    /// Reads the partitions that an id names: all of the subscription's, whichever the event came from. False when they
    /// are more than can be followed.
    fn learn(&mut self, id: &[u8]) -> bool {
        let Some(named) = read_id(id) else { return true };
        if self.learning {
            self.partitions.retain(&named);
            self.memory.topics_changed(self.partitions.since());
            self.moved = true;
        }
        match self.partitions.add_all(named) {
            Ok(is_any) => {
                self.moved |= is_any;
                true
            }
            Err(first) => {
                self.report_unfollowed(&first.topic, first.partition, first.offset.unwrap_or(-1), id);
                false
            }
        }
    }

    /// A piece was parsed.
    pub(super) fn heard(&mut self, now: Instant) {
        let clock = self.clock.now();
        self.progress.heard(self.kafka_time, clock, now);
        if !self.partitions.is_unproven() {
            self.memory.forget_history(self.kafka_time);
        }
    }

    /// Nothing came for a second.
    pub(super) fn paused(&mut self, now: Instant) {
        self.progress.paused(now);
        self.memory.paused();
    }

    /// Nothing came since `before` of a partition whose anchor event should have come: how to ask now, if at all.
    pub(super) fn not_found(&mut self, before: Instant) -> Option<Why> {
        self.partitions.not_found(before)
    }

    /// Whether a partition still waits for its anchor event.
    pub(super) fn is_unproven(&self) -> bool {
        self.partitions.is_unproven()
    }

    /// What has gathered, if it is worth handing over.
    pub(super) fn hand_over(&mut self, now: Instant) -> Option<Chunk> {
        let activity = if self.progress.is_at_head() { Activity::Live } else { Activity::CatchingUp };
        if (self.ids_read || self.unfollowed_reported) && self.activity.as_ref() != Some(&activity) {
            self.activity = Some(activity.clone());
            self.chunk.activity = Some(activity);
        }
        let Chunk { events, rejects, discontinuities, duplicates, activity, .. } = &self.chunk;
        let is_gap = |one: &Discontinuity| matches!(one, Discontinuity::Missing(_));
        let is_empty =
            events.is_empty() && rejects.is_empty() && !discontinuities.iter().any(is_gap) && *duplicates == 0;
        if is_empty && activity.is_none() && !self.moved {
            return None;
        }
        self.moved = false;
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.events.set_time_rule(self.rule);
        if !self.partitions.is_empty() {
            let times = self.partitions.as_slice().iter();
            let times = times.map(|one| PartitionTime { event_time: one.entry.event_time, heard: one.heard });
            let progress = self.progress.reached(times, now);
            let by = self.times.is_some().then_some(self.rule);
            let position = SavedCursor::new(self.streams.clone(), self.partitions.entries()).by(by).text();
            chunk.cursor = Some(Cursor { position: position.into(), progress });
        }
        Some(chunk)
    }
}

/// What is kept of something that was refused.
fn kept(payload: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&payload[..payload.len().min(Reject::PAYLOAD_BYTES_MAX)])
}

/// What a field says, as far as a person needs to see it.
fn shown(field: &[u8]) -> String {
    const SHOWN_MAX: usize = 1_000;
    let mut shown = String::from_utf8_lossy(&field[..field.len().min(SHOWN_MAX)]).into_owned();
    if field.len() > SHOWN_MAX {
        shown.push_str(&format!("… ({} bytes)", field.len()));
    }
    shown
}

/// `event: error` says why the upstream is about to hang up.
fn upstream_error(frame: &Frame<'_>) -> Error {
    let text = String::from_utf8_lossy(data_head(frame)).chars().take(400).collect::<String>();
    Error::unavailable(format!("the upstream reports an error: {text}"))
}

fn data_head<'a>(frame: &'a Frame<'_>) -> &'a [u8] {
    match &frame.data {
        Data::Whole(data) => data,
        Data::TooLarge { head, .. } => head,
    }
}
