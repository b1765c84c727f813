//! What becomes of each frame: an event of the next chunk, a reject, a gap, something known, or a reason to ask again.
//!
//! It stands between the parser and the engine, owns all that is known of the partitions, and does no I/O but for
//! looking into the log, before an event is placed. Nothing else here waits.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::Bytes;
use lakehead_connector_api::{Activity, Chunk, Error, StreamIndex, StreamResume};
use lakehead_eventstreams_wire::{Data, Frame, read_id};
use lakehead_json::{Paths, Raw};
use lakehead_model::{Clock, Name, Reject, Timestamp};

use super::{
    cursor::{Asked, Begun, Entry, PARTITIONS_MAX, SavedCursor, TOPICS_BYTES_MAX},
    event::{FactReader, Facts, scope_of},
    memory::EventMemory,
    outlet::{Outlet, ReadTimes},
    partition::{Decision, Logs, Missing, Partition, Why},
    partitions::{IDLE_OVERLAP, Partitions},
    renumbering::{Before, FoundRenumbering},
    routes::Routes,
    standing::{Beginnings, Standing},
};
use crate::{event_key::Key, progress::Progress};

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

/// What a source is to read.
pub(super) struct Reads<'c> {
    /// The upstream streams as the path has them, and one by one.
    pub(super) path: &'c str,
    pub(super) names: Vec<String>,
    pub(super) routes: Routes,
    pub(super) event_bytes_max: usize,
    /// Where it begins.
    pub(super) since: Timestamp,
}

/// Everything known about the upstream and about what was taken.
pub(super) struct Intake {
    asked: Asked,
    event_bytes_max: usize,
    clock: Arc<dyn Clock>,
    reader: FactReader,
    /// Finds the stream of an event that has no topic.
    stream_path: Paths,
    partitions: Partitions,
    /// There are cursors that were written for other upstream streams: nothing is taken before their topics are known.
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
    /// What gathers for each stream.
    outlets: Vec<Outlet>,
    /// What is to be handed over first.
    ready: VecDeque<Chunk>,
    activity: Option<Activity>,
    kafka_time: Option<Timestamp>,
}

impl Intake {
    pub(super) fn new(reads: Reads<'_>, streams: Vec<StreamResume>, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let Reads { path, names, routes, event_bytes_max, since } = reads;
        let fed: Vec<Name> = streams.iter().map(|resume| resume.stream.clone()).collect();
        let asked = Asked::new(path, &fed, &routes);
        let (mut saved, mut reached, mut times, mut tails) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for StreamResume { cursor, event_time, tail, .. } in streams {
            let read = ReadTimes::new(event_time);
            let mut of = cursor.as_ref().map(|cursor| SavedCursor::read(&cursor.position)).transpose()?;
            // Times of another rule say nothing of how far this one has come.
            let read_alike = of.as_ref().is_none_or(|saved| saved.time_rule == read.saved());
            if let Some(saved) = of.as_mut().filter(|_| !read_alike) {
                saved.forget_times();
                saved.time_rule = read.saved();
            }
            reached.push(cursor.and_then(|cursor| cursor.progress).filter(|_| read_alike));
            saved.push(of);
            times.push(read);
            tails.push(tail);
        }
        let standing = Standing::new(&asked, &routes, &saved);
        let beginnings = Beginnings::new(&names, &asked, &saved, since);
        let is_begun = saved.iter().any(Option::is_some);
        let mut outlets: Vec<Outlet> = Vec::new();
        for (((saved, reached), times), left) in saved.into_iter().zip(reached).zip(times).zip(standing.left) {
            // A stream that is new beside others is one whose topics are not known yet.
            let said = match saved {
                Some(saved) => saved.asked(),
                None if is_begun && standing.learning => Asked::default(),
                None => asked.clone(),
            };
            outlets.push(Outlet::new(said, reached, left, times));
        }
        standing.returned.into_iter().for_each(|(to, lead)| outlets[to].note_returned(lead));
        let moved = outlets.iter_mut().zip(standing.moved).filter(|(_, moved)| *moved);
        moved.for_each(|(outlet, _)| outlet.note_moved());
        Ok(Self {
            asked,
            event_bytes_max,
            clock,
            reader: FactReader::new(),
            stream_path: Paths::new(&[["meta", "stream"].map(str::to_owned).to_vec()]),
            partitions: Partitions::new(standing.partitions, routes, beginnings),
            learning: standing.learning,
            ids_read: false,
            unfollowed_reported: false,
            memory: EventMemory::new(tails),
            progress: Progress::default(),
            refused: 0,
            fruitful: false,
            new_bytes: 0,
            outlets,
            ready: VecDeque::new(),
            activity: None,
            kafka_time: None,
        })
    }

    /// Where to begin a connection that only has to say which topics there are: so far back that something comes at once.
    /// `None` where another one is to be made.
    pub(super) fn learns_since(&self) -> Option<Timestamp> {
        let back = self.clock.now().minus(IDLE_OVERLAP);
        self.learning.then(|| self.partitions.beginnings().named().values().copied().fold(back, Timestamp::min))
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
        !self.ready.is_empty() || self.outlets.iter().any(Outlet::is_full)
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
        if self.learning && frame.id.is_none() {
            // It has no ids. What it has is known by the events themselves.
            self.learning = false;
            self.outlets.iter_mut().for_each(|outlet| outlet.learned(&self.asked, |_| true));
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
        let place = self.place(&facts, document);
        let logs = match place {
            Some((place, _)) => self.partitions[place].logs(),
            None => Logs::Of(self.stream_of(&facts, document)),
        };
        facts.scope = match place {
            Some((place, _)) => self.partitions[place].scope,
            None => facts.topic.map_or(0, scope_of),
        };
        facts.event_time = self.outlets[logs.to()].event_time(document, facts.event_time);
        self.memory.look_up(&facts, logs).await?;
        Ok(match place {
            Some((place, offset)) => self.take_placed(place, offset, &facts, document, now),
            None => self.take_unplaced(&facts, logs, document, id),
        })
    }

    /// Takes an event whose place nobody knows, or is not followed: it is kept, and it moves no position.
    fn take_unplaced(&mut self, facts: &Facts<'_>, logs: Logs, document: &[u8], id: Option<&[u8]>) -> Step {
        if self.memory.remember_unplaced(facts, logs, id) {
            self.push(logs.to(), document, facts.event_time);
        } else {
            self.outlets[logs.to()].note_duplicate();
        }
        Step::Next
    }

    /// Takes the event at `offset` of the partition `place`.
    fn take_placed(&mut self, place: usize, offset: i64, facts: &Facts<'_>, document: &[u8], now: Instant) -> Step {
        let partition = &mut self.partitions[place];
        let (before, to) = (Before::of(partition), partition.to);
        let decision = partition.classify(offset, facts, self.refused, &mut self.memory.of(partition.logs()));
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
                self.push(to, document, facts.event_time);
            }
            Decision::Duplicate(missing) => {
                self.note_missing(place, missing, facts);
                self.outlets[to].note_duplicate();
                self.outlets[to].note_moved();
            }
            Decision::Known if proven => self.outlets[to].note_moved(),
            Decision::Known | Decision::AskAgain(_) => {}
        }
        Step::Next
    }

    /// Adds a new event to what gathers for its stream.
    fn push(&mut self, to: usize, document: &[u8], event_time: Option<Timestamp>) {
        self.fruitful = true;
        self.new_bytes += document.len() as u64;
        self.outlets[to].push(document, event_time);
    }

    fn note_missing(&mut self, place: usize, missing: Option<Missing>, facts: &Facts<'_>) {
        let (Some(missing), partition) = (missing, &self.partitions[place]) else { return };
        self.outlets[partition.to].note_missing(partition.name(), missing, facts.event_time);
    }

    fn note_renumbering(&mut self, place: usize, renumbering: FoundRenumbering) {
        let partition = &self.partitions[place];
        self.outlets[partition.to].note_renumbering(partition.name(), renumbering);
    }

    /// The stream of an event, or of what was to be one, that has no place: that of its topic, else of the upstream stream that
    /// it names, else the first.
    fn stream_of(&self, facts: &Facts<'_>, document: &[u8]) -> usize {
        if self.outlets.len() == 1 {
            return 0;
        }
        let named = match facts.topic {
            Some(topic) => Raw::new(topic).as_str(),
            None => {
                let mut found = [None];
                self.stream_path.extract(document, &mut found);
                found[0].and_then(Raw::as_str)
            }
        };
        named.map_or(0, |name| self.partitions.stream_of(&name))
    }

    /// Refuses a frame. `document` is what may tell its place: the head of it, mostly, since `meta` comes first.
    fn reject(&mut self, reason: String, frame: &Frame<'_>, payload: &[u8], document: Option<&[u8]>) {
        let facts = document.map(|document| (self.reader.read(document), document));
        let to = facts.as_ref().map_or(0, |(facts, document)| self.stream_of(facts, document));
        // Where it is broken nothing can be relied on, so a place is believed only if it is the very next one.
        let placed = facts.and_then(|(facts, _)| {
            let (topic, offset) = (facts.topic?, facts.offset?);
            let place = self.partitions.find(topic, facts.partition)?;
            let through = self.partitions[place].entry.through?;
            (offset <= through + 1).then_some((place, offset))
        });
        let (to, position) = match placed {
            Some((place, offset)) => {
                let partition = &mut self.partitions[place];
                if !partition.refuse(offset) {
                    self.outlets[partition.to].note_duplicate();
                    return;
                }
                (partition.to, format!("{}/{offset}", partition.name()))
            }
            None => {
                self.refused += 1;
                (to, frame.id.map_or_else(|| "no id".to_owned(), shown))
            }
        };
        // Asked for again, it comes again: it is refused once.
        let bytes = match frame.data {
            Data::Whole(_) => 0,
            Data::TooLarge { frame_bytes, .. } => frame_bytes,
        };
        if !self.memory.remember_refused(Key::hash([b"refused".as_slice(), &bytes.to_le_bytes(), payload])) {
            self.outlets[to].note_duplicate();
            return;
        }
        self.fruitful = true;
        self.outlets[to].reject(Reject { reason, position, payload: kept(payload) }, placed.is_some());
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
        tracing::warn!("{}: {position}: {reason}", self.asked.path);
        let to = self.partitions.stream_of(topic);
        self.outlets[to].reject(Reject { reason, position, payload: kept(payload) }, true);
    }

    /// Reports partitions that were added though no route names their topics, each once.
    fn report_unrouted(&mut self, payload: &[u8]) {
        while let Some(position) = self.partitions.take_unrouted() {
            let reason = "kept, in the first stream of the source: neither url nor routes names the stream of this topic; say in \
                          routes where it goes"
                .to_owned();
            tracing::warn!("{}: {position}: {reason}", self.asked.path);
            self.outlets[0].reject(Reject { reason, position, payload: kept(payload) }, true);
        }
    }

    fn too_large(&self, bytes: u64) -> String {
        format!("expected an event of at most {} bytes (event_bytes_max), found {bytes}", self.event_bytes_max)
    }

    /// The partition and offset of an event; none when they are not known, or not followed.
    fn place(&mut self, facts: &Facts<'_>, document: &[u8]) -> Option<(usize, i64)> {
        let (topic, offset) = (facts.topic?, facts.offset?);
        match self.partitions.find_or_add(topic, facts.partition) {
            Ok(place) => {
                self.report_unrouted(document);
                Some((place, offset))
            }
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
        let was_learning = self.learning;
        if was_learning {
            self.partitions.retain(&named);
            let is_named = |entry: &Entry| named.iter().any(|named| entry.is_of(&named.topic, named.partition));
            self.outlets.iter_mut().for_each(|outlet| outlet.learned(&self.asked, is_named));
        }
        match self.partitions.add_all(named) {
            Ok(None) => true,
            Ok(Some(since)) => {
                if was_learning {
                    self.memory.topics_changed(since);
                }
                self.outlets.iter_mut().for_each(Outlet::note_moved);
                self.report_unrouted(id);
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
        if self.partitions.is_unproven() {
            return;
        }
        for stream in 0..self.outlets.len() {
            self.memory.forget_history(stream, |end| self.partitions.are_past(stream, end, &self.progress, now));
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

    /// What has gathered, if it is worth handing over: a chunk for each stream that has something, one after another.
    pub(super) fn hand_over(&mut self, now: Instant) -> Option<Chunk> {
        if self.ready.is_empty() {
            self.gather(now);
        }
        self.ready.pop_front()
    }

    /// The rest of what was gathered together.
    pub(super) fn ready(&mut self) -> Option<Chunk> {
        self.ready.pop_front()
    }

    fn gather(&mut self, now: Instant) {
        let activity = if self.progress.is_at_head() { Activity::Live } else { Activity::CatchingUp };
        let is_known = self.ids_read || self.unfollowed_reported;
        let activity = Some(activity).filter(|activity| is_known && self.activity.as_ref() != Some(activity));
        let handed: Vec<usize> = (0..self.outlets.len()).filter(|of| self.outlets[*of].has_something()).collect();
        if handed.len() > 1 {
            let refused = handed.iter().filter_map(|of| self.outlets[*of].take_refused(StreamIndex(*of)));
            self.ready.extend(refused);
        }
        let begun = if self.outlets.len() > 1 { self.partitions.beginnings().named().clone() } else { Begun::new() };
        // That the source is at the head now is told without an event, too.
        let handed = if handed.is_empty() && activity.is_some() { vec![0] } else { handed };
        for of in handed {
            let outlet = &mut self.outlets[of];
            outlet.reach(self.progress.reached(self.partitions.of_stream(of).map(Partition::time), now));
            let partitions = (!self.partitions.is_empty()).then(|| self.partitions.entries(of));
            self.ready.push_back(outlet.take(StreamIndex(of), partitions, &begun));
        }
        if let Some(activity) = activity {
            self.activity = Some(activity.clone());
            self.ready.iter_mut().take(1).for_each(|first| first.activity = Some(activity.clone()));
        }
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
