//! What becomes of each frame: an event of the next chunk, a reject, a gap, something known, or a reason to ask again.
//!
//! It stands between the parser and the engine, owns all that is known of the partitions, and does no I/O but for
//! looking into the log. Nothing here waits.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use lakehead_connector_api::{Activity, Chunk, Error, Gap, Move, TailReader};
use lakehead_json::EventTimes;
use lakehead_model::{Clock, Cursor, EventBatch, EventTimeRule, Reject, StreamSchema, TimeRule, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    cursor::{Entry, PARTITIONS_MAX, TOPICS_BYTES_MAX, Written},
    event::{FactReader, Facts, Key},
    partition::{Hole, Memory, Mode, OVERLAP, Partition, Request, Verdict, Why},
    progress::Progress,
    seen::{History, Nameless, Recent},
};
use crate::sse::{Data, Frame};

/// Events handed over at once: what the contract of a source asks for.
const CHUNK_BYTES: usize = 256 << 10;

/// Most rejects and gaps in one chunk, since each is kept in memory until it is stored.
const REFUSED_MAX: usize = 64;

/// A partition that brought nothing yet is asked this far before its beginning: two intervals of the hourly canaries,
/// so that one comes, and from then on there is an offset to go on from.
const IDLE_OVERLAP: Duration = Duration::from_secs(2 * 3600);

/// What is to be done after a frame.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Read on.
    Next,
    /// Give up this connection and ask anew.
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
    pub(super) partitions: Vec<Partition>,
    /// The partition of the last event, which is likely that of the next.
    last: usize,
    /// Where a partition begins that nothing is known of.
    since: Timestamp,
    /// The cursor was written for other streams: nothing is taken before their topics are known.
    learning: bool,
    /// Whether the id of this connection, which names all partitions, was read.
    ids_read: bool,
    /// It was said that there are partitions that are not followed.
    unfollowed_told: bool,
    memory: Log,
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

/// What was taken before: in memory, and in the log.
struct Log {
    recent: Recent,
    history: Option<History>,
    nameless: Nameless,
    /// This connection was asked for what may have come before. Until it pauses, the upstream may repeat itself.
    asked_back: bool,
    /// Where to read back to, when the topics changed.
    since: Option<Timestamp>,
    tail: Box<dyn TailReader>,
    reader: FactReader,
}

impl Memory for Log {
    fn contains(&mut self, facts: &Facts<'_>) -> Result<bool, Error> {
        if self.recent.contains(facts.key) {
            return Ok(true);
        }
        let Self { history, tail, reader, .. } = self;
        match history {
            Some(history) => blocking(|| history.contains(facts.key, facts.kafka_time, tail.as_mut(), reader)),
            None => Ok(false),
        }
    }

    fn remember(&mut self, facts: &Facts<'_>) -> Result<bool, Error> {
        if !facts.named {
            return self.remember_nameless(facts, self.history.is_some());
        }
        if self.history.is_some() && self.contains(facts)? {
            return Ok(false);
        }
        Ok(self.recent.insert(facts.key))
    }
}

impl Log {
    /// Remembers an event whose place is not followed, and whose SSE id is `id`; false when it is known to be one that
    /// was taken before.
    fn remember_unplaced(&mut self, facts: &Facts<'_>, id: Option<&[u8]>) -> Result<bool, Error> {
        if facts.named {
            return self.remember(facts);
        }
        match identity(facts, id) {
            Some(key) => Ok(self.recent.insert(key)),
            None => self.remember_nameless(facts, self.asked_back || self.history.is_some()),
        }
    }

    /// That an event looks like another proves nothing, but where the upstream `repeats` itself.
    fn remember_nameless(&mut self, facts: &Facts<'_>, repeats: bool) -> Result<bool, Error> {
        if repeats {
            let held = self.contains(facts)?;
            if self.nameless.came_again(facts.key, held) {
                return Ok(false);
            }
        }
        self.nameless.keep(facts.key);
        self.recent.insert(facts.key);
        Ok(true)
    }

    /// Nothing came for a second: what the upstream had to repeat has come.
    fn paused(&mut self) {
        self.asked_back &= !self.nameless.any_came();
    }
}

/// What tells an event without `meta.id` from all others: its place, though it is not followed, or else its SSE id.
fn identity(facts: &Facts<'_>, id: Option<&[u8]>) -> Option<Key> {
    let text = facts.key.0.to_le_bytes();
    if let (Some(topic), Some(offset)) = (facts.topic, facts.offset) {
        return Some(Key::hash([topic, &facts.partition.to_le_bytes(), &offset.to_le_bytes(), &text]));
    }
    let id = id.filter(|id| is_identity(id))?;
    Some(Key::hash([id, &text]))
}

/// Whether no other event has this SSE id. Of EventStreams' own only one that names one place by its offset: many
/// events share a time, and of several places it is not known which one is the event's.
fn is_identity(id: &[u8]) -> bool {
    match serde_json::from_slice::<Vec<Named>>(id) {
        Ok(named) => matches!(&named[..], [one] if one.offset.is_u64()),
        Err(_) => !id.is_empty(),
    }
}

/// One entry of an `id:` line.
#[derive(Deserialize)]
struct Named {
    topic: String,
    partition: i32,
    #[serde(default)]
    offset: serde_json::Value,
}

/// One entry of `Last-Event-ID`.
#[derive(Serialize)]
struct Asked<'a> {
    topic: &'a str,
    partition: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
}

impl Intake {
    pub(super) fn new(
        streams: &str,
        event_bytes_max: usize,
        since: Timestamp,
        cursor: Option<&Cursor>,
        event_time: &[EventTimeRule],
        clock: Arc<dyn Clock>,
        tail: Box<dyn TailReader>,
    ) -> Result<Self, Error> {
        let schema = StreamSchema { event_time: event_time.to_vec(), columns: Vec::new() };
        let usual = StreamSchema::builtin("mediawiki/recentchange").unwrap_or_default().event_time;
        let times = (schema.event_time != usual).then(|| EventTimes::new(&schema));
        let rule = schema.time_rule();
        let by = times.is_some().then_some(rule);
        let mut written = cursor.map(|cursor| Written::read(&cursor.position)).transpose()?;
        // Times of another rule say nothing of how far this one has come.
        let read_alike = written.as_ref().is_none_or(|written| written.time_rule == by);
        if let Some(written) = written.as_mut().filter(|_| !read_alike) {
            written.forget_times();
        }
        let reached = cursor.and_then(|cursor| cursor.progress).filter(|_| read_alike);
        let learning = written.as_ref().is_some_and(|written| written.streams != streams);
        let partitions = written.map(|written| written.partitions).unwrap_or_default();
        let memory = Log {
            recent: Recent::default(),
            history: None,
            nameless: Nameless::default(),
            asked_back: false,
            since: None,
            tail,
            reader: FactReader::new(),
        };
        Ok(Self {
            streams: streams.to_owned(),
            event_bytes_max,
            clock,
            reader: FactReader::new(),
            partitions: partitions.into_iter().map(Partition::new).collect(),
            last: 0,
            since: since.minus(IDLE_OVERLAP),
            learning,
            ids_read: false,
            unfollowed_told: false,
            memory,
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

    /// Made ready for a new connection; gives its `Last-Event-ID`. `None` on the very first one, and when the topics
    /// have to be learned first; then the upstream is asked by a time if `by_since`.
    pub(super) fn connect(&mut self, by_since: bool) -> Result<Option<String>, Error> {
        self.progress.disconnected();
        self.ids_read = false;
        self.kafka_time = None;
        self.refused = 0;
        self.memory.history = None;
        self.memory.nameless.connect();
        self.memory.asked_back = by_since;
        for partition in &mut self.partitions {
            partition.connect();
        }
        if self.learning || self.partitions.is_empty() {
            return Ok(None);
        }
        let overlaps = self.partitions.iter().filter_map(|partition| match partition.mode {
            Mode::Overlapping { width, .. } => Some(partition.overlap_start(width)),
            _ => None,
        });
        if let Some(start) = overlaps.chain(self.memory.since).min() {
            // Disorder in the log: the first overlap again is room enough for it.
            let Log { tail, reader, .. } = &mut self.memory;
            let history = blocking(|| History::read_back(tail.as_mut(), reader, start.minus(OVERLAP)))?;
            self.memory.history = Some(history);
        }
        let asked: Vec<Asked<'_>> = self
            .partitions
            .iter()
            .map(|partition| {
                let (offset, timestamp) = match partition.request() {
                    Request::Offset(offset) => (Some(offset), None),
                    Request::Time(time) => (None, Some(time.millis())),
                };
                Asked { topic: &partition.entry.topic, partition: partition.entry.partition, offset, timestamp }
            })
            .collect();
        self.memory.asked_back = asked.iter().any(|partition| partition.timestamp.is_some());
        Ok(Some(serde_json::to_string(&asked).expect("strings and numbers are always JSON")))
    }

    /// Whether the next chunk should be handed over before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.chunk.events.payload().len() >= CHUNK_BYTES
            || self.chunk.rejects.len() + self.chunk.gaps.len() + self.chunk.moves.len() >= REFUSED_MAX
    }

    /// Takes one frame.
    pub(super) fn take(&mut self, frame: &Frame<'_>, now: Instant) -> Result<Step, Error> {
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
        self.take_document(document, frame.id, now)
    }

    fn take_document(&mut self, document: &[u8], id: Option<&[u8]>, now: Instant) -> Result<Step, Error> {
        // The reader borrows nothing of what the rest changes.
        let mut facts = self.reader.read(document);
        if let Some(times) = &self.times {
            facts.event_time = times.of(document);
        }
        let followed = match (facts.topic, facts.offset) {
            (Some(topic), Some(offset)) => {
                self.place(topic, facts.partition, offset, document).map(|place| (place, offset))
            }
            _ => None,
        };
        let Some((place, offset)) = followed else {
            // Nobody can say where it stood, or it is not noted: it is kept, and it moves no position.
            if self.memory.remember_unplaced(&facts, id)? {
                self.fruitful = true;
                self.new_bytes += document.len() as u64;
                self.push(document, facts.event_time);
            } else {
                self.chunk.duplicates += 1;
            }
            return Ok(Step::Next);
        };
        let partition = &mut self.partitions[place];
        let was_overlapping = matches!(partition.mode, Mode::Overlapping { .. });
        // An older cursor does not say which.
        let taken_unsaid = partition.entry.unproven && partition.entry.taken.is_none();
        let expected = partition.entry.next();
        let verdict = partition.judge(offset, &facts, self.refused, &mut self.memory)?;
        if let Verdict::AskAgain(why) = verdict {
            if why == Why::OtherCluster {
                // One consumer reads them all: what was not proven yet would not be either.
                let proving = self.partitions.iter_mut().filter(|partition| partition.mode == Mode::Proving);
                proving.for_each(|partition| {
                    partition.ask_by_time();
                });
            }
            return Ok(Step::AskAgain(why));
        }
        partition.heard = Some(now);
        let proven = was_overlapping && !partition.is_unproven();
        self.refused = 0;
        self.kafka_time = facts.kafka_time;
        match verdict {
            Verdict::Take(hole) => {
                self.fruitful = true;
                self.new_bytes += document.len() as u64;
                if let Some(expected) = expected.filter(|expected| was_overlapping && *expected != offset) {
                    self.note_move(place, expected, offset, "the last event held is looked for, and this one is new");
                }
                self.note(place, hole, &facts);
                self.push(document, facts.event_time);
            }
            Verdict::Duplicate(hole) => {
                // Only in order does it take a place that nothing else will take.
                if !was_overlapping && expected.is_some_and(|expected| offset >= expected) {
                    self.note_move(place, offset, offset.saturating_add(1), "an event that is kept already");
                }
                self.note(place, hole, &facts);
                self.chunk.duplicates += 1;
                self.moved = true;
            }
            Verdict::Known => {
                let next = offset.saturating_add(1);
                if let Some(expected) = expected.filter(|expected| proven && (taken_unsaid || *expected != next)) {
                    self.note_move(place, expected, next, "the last event held was found again under this offset");
                }
                self.moved |= proven;
            }
            Verdict::AskAgain(_) => {}
        }
        Ok(Step::Next)
    }

    fn push(&mut self, document: &[u8], event_time: Option<Timestamp>) {
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

    fn note(&mut self, place: usize, hole: Option<Hole>, facts: &Facts<'_>) {
        let Some(hole) = hole else { return };
        let entry = &self.partitions[place].entry;
        self.chunk.gaps.push(Gap {
            partition: format!("{}/{}", entry.topic, entry.partition),
            from: hole.from,
            to: hole.to,
            after: hole.after,
            before: facts.event_time,
            reason: hole.reason.to_owned(),
        });
    }

    fn note_move(&mut self, place: usize, from: i64, to: i64, reason: &'static str) {
        let entry = &self.partitions[place].entry;
        let partition = format!("{}/{}", entry.topic, entry.partition);
        match self.chunk.moves.last_mut() {
            Some(last) if last.partition == partition && last.reason == reason && last.to == from => last.to = to,
            _ => self.chunk.moves.push(Move { partition, from, to, reason }),
        }
    }

    /// Refuses a frame. `document` is what may tell its place: the head of it, mostly, since `meta` comes first.
    fn reject(&mut self, reason: String, frame: &Frame<'_>, payload: &[u8], document: Option<&[u8]>) {
        // Where it is broken nothing can be relied on, so a place is believed only if it is the very next one.
        let placed = document.map(|document| self.reader.read(document)).and_then(|facts| {
            let (topic, offset) = (facts.topic?, facts.offset?);
            let place = self.find(topic, facts.partition)?;
            let through = self.partitions[place].entry.through?;
            (offset <= through + 1).then_some((place, offset))
        });
        let position = match placed {
            Some((place, offset)) => {
                if !self.partitions[place].refuse(offset) {
                    self.chunk.duplicates += 1;
                    return;
                }
                let entry = &self.partitions[place].entry;
                format!("{}/{}/{offset}", entry.topic, entry.partition)
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
        if !self.memory.recent.insert(Key::hash([b"refused".as_slice(), &bytes.to_le_bytes(), payload])) {
            self.chunk.duplicates += 1;
            return;
        }
        self.fruitful = true;
        self.chunk.rejects.push(Reject { reason, position, payload: kept(payload) });
    }

    /// Says once that there are places that are not followed; the first of them, and what names it.
    fn tell_unfollowed(&mut self, topic: &str, partition: i32, offset: i64, payload: &[u8]) {
        if std::mem::replace(&mut self.unfollowed_told, true) {
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

    /// The partition of the event at `offset`; none when it is not followed.
    fn place(&mut self, raw_topic: &[u8], partition: i32, offset: i64, document: &[u8]) -> Option<usize> {
        if let Some(place) = self.find(raw_topic, partition) {
            self.last = place;
            return Some(place);
        }
        let topic = lakehead_json::Raw::new(raw_topic).as_str().unwrap_or_default().into_owned();
        if !self.has_room([topic.as_str()]) {
            self.tell_unfollowed(&topic, partition, offset, document);
            return None;
        }
        let place = self.partitions.len();
        self.add(topic, partition);
        // As it is written here, should that be with escapes.
        self.partitions[place].raw_topic = raw_topic.to_vec();
        self.last = place;
        Some(place)
    }

    fn find(&self, raw_topic: &[u8], partition: i32) -> Option<usize> {
        let is = |known: &Partition| known.entry.partition == partition && known.raw_topic == raw_topic;
        if self.partitions.get(self.last).is_some_and(is) {
            return Some(self.last);
        }
        self.partitions.iter().position(is)
    }

    fn add(&mut self, topic: String, partition: i32) {
        self.partitions.push(Partition::new(Entry::new(topic, partition, self.since)));
    }

    /// Whether partitions of `topics` can be followed beside those that are: kept in a cursor, asked for in a header.
    fn has_room<'t>(&self, topics: impl IntoIterator<Item = &'t str>) -> bool {
        let mut count = self.partitions.len();
        let mut bytes: usize = self.partitions.iter().map(|partition| partition.entry.topic.len()).sum();
        for topic in topics {
            if topic.is_empty() || topic.bytes().any(|byte| byte < b' ' || b"\"\\\x7f".contains(&byte)) {
                return false;
            }
            count += 1;
            bytes += topic.len();
        }
        count <= PARTITIONS_MAX && bytes <= TOPICS_BYTES_MAX
    }

    /// Reads the partitions that an id names: all of the subscription's, whichever the event came from. False when they
    /// are more than can be followed. Then none is added, lest one odd id take the room of all that follow it.
    fn learn(&mut self, id: &[u8]) -> bool {
        let Ok(mut named) = serde_json::from_slice::<Vec<Named>>(id) else { return true };
        if self.learning {
            let names: BTreeSet<(&str, i32)> = named.iter().map(|n| (n.topic.as_str(), n.partition)).collect();
            self.partitions.retain(|p| names.contains(&(p.entry.topic.as_str(), p.entry.partition)));
            // The log may hold events of a topic that was left out for a while.
            self.memory.since = Some(self.since);
            self.moved = true;
        }
        let mut new = BTreeSet::new();
        named.retain(|n| {
            let is = |known: &Partition| known.entry.partition == n.partition && known.entry.topic == n.topic;
            !self.partitions.iter().any(is) && new.insert((n.topic.clone(), n.partition))
        });
        if let Some(Named { topic, partition, offset }) = named.first()
            && !self.has_room(named.iter().map(|n| n.topic.as_str()))
        {
            self.tell_unfollowed(topic, *partition, offset.as_i64().unwrap_or(-1), id);
            return false;
        }
        for Named { topic, partition, .. } in named {
            self.add(topic, partition);
            self.moved = true;
        }
        true
    }

    /// A piece was parsed.
    pub(super) fn heard(&mut self, now: Instant) {
        let clock = self.clock.now();
        self.progress.heard(self.kafka_time, clock, now);
        // Well past what the log held when the overlap began: nothing of it will come again.
        if let Some(history) = &self.memory.history
            && !self.partitions.iter().any(Partition::is_unproven)
            && match (self.kafka_time, history.greatest()) {
                (Some(time), Some(greatest)) => time > greatest.plus(OVERLAP),
                (_, greatest) => greatest.is_none(),
            }
        {
            self.memory.history = None;
            self.memory.since = None;
        }
    }

    /// Nothing came for a second.
    pub(super) fn paused(&mut self, now: Instant) {
        self.progress.paused(now);
        self.memory.paused();
    }

    /// Nothing was heard of a partition whose held event should have come, since `before`: how to ask now, if at all.
    pub(super) fn not_found(&mut self, before: Instant) -> Option<Why> {
        let late = |p: &&mut Partition| p.is_unproven() && p.heard.is_none_or(|heard| heard < before);
        self.partitions.iter_mut().filter(late).filter_map(Partition::not_found).last()
    }

    /// Whether a partition still waits for its held event.
    pub(super) fn is_unproven(&self) -> bool {
        self.partitions.iter().any(Partition::is_unproven)
    }

    /// What has gathered, if it is worth handing over.
    pub(super) fn hand_over(&mut self, now: Instant) -> Option<Chunk> {
        let activity = if self.progress.is_at_head() { Activity::Live } else { Activity::CatchingUp };
        if (self.ids_read || self.unfollowed_told) && self.activity.as_ref() != Some(&activity) {
            self.activity = Some(activity.clone());
            self.chunk.activity = Some(activity);
        }
        let Chunk { events, rejects, gaps, duplicates, activity, .. } = &self.chunk;
        let is_empty = events.is_empty() && rejects.is_empty() && gaps.is_empty() && *duplicates == 0;
        if is_empty && activity.is_none() && !self.moved {
            return None;
        }
        self.moved = false;
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.events.set_time_rule(self.rule);
        if !self.partitions.is_empty() {
            let progress = self.progress.reached(&self.partitions, now);
            let entries = self.partitions.iter().map(|partition| partition.entry.clone()).collect();
            let by = self.times.is_some().then_some(self.rule);
            let position = Written::new(self.streams.clone(), entries).by(by).text();
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

/// Runs what reads files: on a runtime of several threads the others go on meanwhile.
fn blocking<T>(read: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(read),
        _ => read(),
    }
}
