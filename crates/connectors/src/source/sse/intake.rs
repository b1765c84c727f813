//! What becomes of each frame: an event of the next chunk, a reject, one that came again, or nothing. Pure but for the log's end,
//! which is read when the source opens.
//!
//! It knows what was taken and where the source stands. It waits for nothing, so a frame is taken whole or not at all.

use std::collections::BTreeSet;

use bytes::Bytes;
use lakehead_connector_api::{Activity, Chunk, Error, StreamResume};
use lakehead_eventstreams_wire::{Data, Frame};
use lakehead_json::{check_event, on_one_line};
use lakehead_model::{Cursor, EventBatch, Reject};
use tokio::time::{Duration, Instant};

use super::{
    config::Config,
    identity::{EventName, KeyReader, by_id},
    last_id::{LastId, Moved},
};
use crate::recent_keys::Recent;

/// Events handed over at once: what the contract of a source asks for.
const CHUNK_BYTES: usize = 256 << 10;

/// Most rejects in one chunk, since each is kept in memory until it is stored: 4 MiB with what was refused.
const REJECTS_MAX: usize = 64;

/// A position that moved without an event, as by events that are not taken, is handed over after so long: each is a write.
const MOVED_AFTER: Duration = Duration::from_secs(10);

/// How much of an id or a name is shown, in bytes.
const SHOWN_MAX: usize = 200;

/// What was taken, and where the source stands.
pub(super) struct FeedIntake {
    address: String,
    /// The names of the events that are taken; `None` for all.
    names: Option<BTreeSet<Vec<u8>>>,
    event_bytes_max: usize,
    keys: KeyReader,
    recent: Recent,
    at: LastId,
    chunk: Chunk,
    /// The position moved, and no chunk has it yet.
    moved: bool,
    /// When a chunk was handed over last.
    handed_over: Instant,
    activity: Option<Activity>,
    /// Something was taken on a connection before this one.
    has_begun: bool,
    /// Connected again to a feed that cannot be asked by an id: whether it gives what was missed shows by its first event.
    unproven: bool,
    /// Said once: that events have no name, and that an id cannot be asked by.
    nameless_told: bool,
    unsendable_told: bool,
    /// Something new came on this connection, and how many bytes.
    pub(super) fruitful: bool,
    pub(super) new_bytes: u64,
}

impl FeedIntake {
    /// Of a stream that is held up to its cursor.
    pub(super) async fn open(config: &Config, mut resume: StreamResume, now: Instant) -> Result<Self, Error> {
        let at = match &resume.cursor {
            Some(cursor) => LastId::read(&cursor.position)?,
            None => {
                let mut at = LastId::default();
                at.set(config.start_after.as_deref().unwrap_or_default().as_bytes());
                at
            }
        };
        let keys = KeyReader::new(config.identity.as_ref());
        let mut recent = Recent::default();
        keys.recall(resume.tail.as_mut(), &mut recent).await?;
        for key in at.keys() {
            recent.insert(key);
        }
        Ok(Self {
            address: config.address(),
            names: config.events.as_ref().map(|names| names.iter().map(|name| name.clone().into_bytes()).collect()),
            event_bytes_max: config.event_bytes_max(),
            keys,
            recent,
            at,
            chunk: Chunk::default(),
            moved: false,
            handed_over: now,
            activity: None,
            has_begun: resume.cursor.is_some(),
            unproven: false,
            nameless_told: false,
            unsendable_told: false,
            fruitful: false,
            new_bytes: 0,
        })
    }

    /// Where the source stands.
    pub(super) fn at(&self) -> &LastId {
        &self.at
    }

    /// Connected: what comes first may have happened a while ago, if there is a place to go on from.
    pub(super) fn connected(&mut self) {
        self.at.connected();
        (self.fruitful, self.new_bytes) = (false, 0);
        if self.nameless_told {
            tracing::warn!(
                "{}: connected again; what the feed sent in between is lost, since its events have no id",
                self.address
            );
        }
        self.unproven = std::mem::replace(&mut self.has_begun, true) && self.at.header().is_none();
        self.become_active(if self.at.header().is_some() { Activity::CatchingUp } else { Activity::Live });
    }

    /// Nothing came for a while: the source is at the head.
    pub(super) fn paused(&mut self) {
        self.become_active(Activity::Live);
    }

    fn become_active(&mut self, activity: Activity) {
        if self.activity.as_ref() != Some(&activity) {
            self.activity = Some(activity.clone());
            self.chunk.activity = Some(activity);
        }
    }

    /// Whether the next chunk should be handed over before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.chunk.events.payload().len() >= CHUNK_BYTES || self.chunk.rejects.len() >= REJECTS_MAX
    }

    /// Takes one frame.
    pub(super) fn take(&mut self, frame: &Frame<'_>) {
        let name = if frame.event.is_empty() { b"message" } else { frame.event };
        let is_wanted = self.names.as_ref().is_none_or(|names| names.contains(name));
        // Without data it is no event, and only says where the feed stands.
        if frame.is_empty() || !is_wanted {
            return self.pass(frame.id);
        }
        let document: &[u8] = match &frame.data {
            Data::Whole(data) if data.len() <= self.event_bytes_max => data,
            Data::Whole(data) => return self.reject(self.too_large(data.len() as u64), frame, data),
            Data::TooLarge { head, frame_bytes } => return self.reject(self.too_large(*frame_bytes), frame, head),
        };
        if let Err(wrong) = check_event(document) {
            return self.reject(wrong.to_string(), frame, document);
        }
        let name = self.keys.read(document, frame.id);
        if !self.is_new(name, frame.id) {
            return;
        }
        self.fruitful = true;
        self.new_bytes += document.len() as u64;
        if self.chunk.events.is_empty() {
            self.chunk.events = EventBatch::with_capacity(CHUNK_BYTES / 512, CHUNK_BYTES + (16 << 10));
        }
        // The engine reads the event time, by the stream's rule.
        self.chunk.events.push(&on_one_line(document), None);
        self.pass(frame.id);
    }

    /// Remembers what is taken or refused; false when it was before.
    fn is_new(&mut self, name: EventName, id: Option<&[u8]>) -> bool {
        match name {
            EventName::InEvent(key) if self.recent.insert(key) => {
                if std::mem::take(&mut self.unproven) {
                    tracing::warn!(
                        "{}: connected again, and the first event is none that was taken before: what the feed sent in between \
                         may be lost",
                        self.address
                    );
                }
                true
            }
            EventName::InEvent(_) => {
                self.unproven = false;
                self.chunk.duplicates += 1;
                // The feed may give what it gave before under other ids: those that it knows now.
                self.pass(id);
                false
            }
            EventName::ById(key) if self.recent.insert(key) => {
                self.at.push(key);
                true
            }
            // The position stays: from an earlier id on, more would come again than the cursor knows.
            EventName::ById(_) => {
                self.at.came_again();
                self.chunk.duplicates += 1;
                false
            }
            EventName::Nameless => {
                if !std::mem::replace(&mut self.nameless_told, true) {
                    tracing::warn!(
                        "{}: an event came that says by no id which one it is: when the connection is cut, events up to the \
                         next connection are lost, and what the feed then gives again comes twice; set identity if the events \
                         have a field that is different in each",
                        self.address
                    );
                }
                true
            }
        }
    }

    /// The feed stands at `id` now, if it says one.
    fn pass(&mut self, id: Option<&[u8]>) {
        let Some(id) = id else { return };
        match self.at.set(id) {
            Moved::Yes => {
                self.moved = true;
                self.fruitful = true;
            }
            Moved::No => {}
            Moved::Unsendable => {
                if !std::mem::replace(&mut self.unsendable_told, true) {
                    tracing::warn!(
                        "{}: nobody can ask for what follows the id {}: it has control characters, is not UTF-8, or has more \
                         than 4096 bytes; after a cut the feed is asked by the last id before it",
                        self.address,
                        shown(id)
                    );
                }
            }
        }
    }

    /// Refuses a frame, whose data begins with `payload`.
    fn reject(&mut self, reason: String, frame: &Frame<'_>, payload: &[u8]) {
        if !self.is_new(by_id(payload, frame.id), frame.id) {
            return;
        }
        self.fruitful = true;
        let name = if frame.event.is_empty() { String::new() } else { format!("event {}, ", shown(frame.event)) };
        let id = frame.id.map_or_else(|| "no id".to_owned(), |id| format!("id {}", shown(id)));
        let kept = Bytes::copy_from_slice(&payload[..payload.len().min(Reject::PAYLOAD_BYTES_MAX)]);
        self.chunk.rejects.push(Reject { reason, position: format!("{name}{id}"), payload: kept });
        self.pass(frame.id);
    }

    fn too_large(&self, bytes: u64) -> String {
        format!("expected an event of at most {} bytes (event_bytes_max), found {bytes}", self.event_bytes_max)
    }

    /// What has gathered, if it is worth handing over.
    pub(super) fn hand_over(&mut self, now: Instant) -> Option<Chunk> {
        let Chunk { events, rejects, duplicates, activity, .. } = &self.chunk;
        let is_empty = events.is_empty() && rejects.is_empty() && *duplicates == 0 && activity.is_none();
        if is_empty && !(self.moved && now.duration_since(self.handed_over) >= MOVED_AFTER) {
            return None;
        }
        Some(self.hand_over_all(now))
    }

    /// What has gathered, and where the source stands.
    fn hand_over_all(&mut self, now: Instant) -> Chunk {
        let chunk = std::mem::take(&mut self.chunk);
        let says_more = !chunk.events.is_empty() || !chunk.rejects.is_empty() || chunk.duplicates > 0;
        let cursor = (std::mem::take(&mut self.moved) || says_more)
            .then(|| Cursor { position: self.at.text().into(), progress: None });
        self.handed_over = now;
        Chunk { cursor, ..chunk }
    }

    /// The last of all, when nothing more will come.
    pub(super) fn finish(&mut self, now: Instant) -> Option<Chunk> {
        self.hand_over(now).or_else(|| self.moved.then(|| self.hand_over_all(now)))
    }
}

/// What a field says, as far as a person needs to see it.
fn shown(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(&field[..field.len().min(SHOWN_MAX)]);
    match field.len() {
        ..=SHOWN_MAX => format!("{text:?}"),
        bytes => format!("{text:?}… ({bytes} bytes)"),
    }
}
