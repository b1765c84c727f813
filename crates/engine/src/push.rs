//! The gateway's way in: a body of events, answered when they are on disk.
//!
//! The journey: body → events and refusals ([`body`](crate::body)) → refusals committed to `rejects` → events committed
//! to their stream → the answer. A refusal that was not written yet is never reported as kept.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use lakehead_json::EventTimes;
use lakehead_model::{ByteSize, EventBatch, Name, Offset, Reject, StreamSchema};
use lakehead_store::{Append, Appender, Stream};
use serde::Serialize;

use crate::{Error, body::Body, rejects, untimed::Untimed};

/// The largest body: 16 MiB, a few times the largest event, so that memory stays bounded by the number of callers.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// Bodies above this are taken apart away from the threads that serve everyone: 64 KiB take about 0.1 ms.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// The longest idempotency key: room for a UUID and a prefix; keys stand in block footers.
pub const KEY_BYTES_MAX: usize = 128;

/// What became of a push. All that it says is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// How many events were committed.
    pub accepted: u64,
    /// The offset of the first of them; the others follow without a gap.
    pub first_offset: Option<Offset>,
    /// What was refused; it lies in the stream `rejects`.
    pub rejected: Vec<Rejected>,
    /// How many of the committed events have no event time, and so are in no window over it.
    pub without_event_time: u64,
    /// Why the first of them has none, and what to do.
    pub why_without: Option<String>,
    /// Whether a push with the same idempotency key was committed before: this one did nothing, and what stands here is
    /// what became of that one's events.
    pub repeated: bool,
}

/// One refused event of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its place in the body, from 0.
    pub index: usize,
    /// Why.
    pub reason: String,
}

/// Takes pushes for one stream.
pub(crate) struct Gateway {
    stream: Stream,
    appender: Appender,
    rejects: Appender,
    times: RwLock<Arc<EventTimes>>,
    untimed: Arc<Untimed>,
    name: Name,
    in_flight: Mutex<BTreeSet<String>>,
    pushed: AtomicU64,
    refused: AtomicU64,
}

impl Gateway {
    /// The name under which pushes stand in the store; no source may have it.
    pub(crate) const NAME: &'static str = "push";

    pub(crate) fn new(stream: Stream, schema: &StreamSchema, rejects: Appender, untimed: Arc<Untimed>) -> Self {
        Self {
            appender: stream.appender(),
            stream,
            rejects,
            times: RwLock::new(Arc::new(EventTimes::new(schema))),
            untimed,
            name: Name::new(Self::NAME).expect("a constant that is a name"),
            in_flight: Mutex::default(),
            pushed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Reads the event times of what is pushed from now on by `schema`. Keys and counts stay, so that a push that is under
    /// way is known to the next one with its key.
    pub(crate) fn set_schema(&self, schema: &StreamSchema) {
        let times = Arc::new(EventTimes::new(schema));
        let before =
            std::mem::replace(&mut *self.times.write().unwrap_or_else(PoisonError::into_inner), Arc::clone(&times));
        if before.rule() != times.rule() {
            self.untimed.begin_anew();
        }
    }

    /// Events accepted, and events refused, since the start.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.pushed.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    pub(crate) async fn push(
        &self,
        body: Bytes,
        content_type: Option<&str>,
        key: Option<&str>,
    ) -> Result<Pushed, Error> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Error::BodyTooLarge { limit: ByteSize(BODY_BYTES_MAX as u64) });
        }
        let _held = match key {
            None => None,
            Some(key) => Some(self.hold(key)?),
        };
        if let Some(before) = key.and_then(|key| self.stream.recent_keys().into_iter().find(|k| *k.key == *key)) {
            let (accepted, first_offset) = (before.count.into(), Some(before.first_offset));
            return Ok(Pushed { accepted, first_offset, repeated: true, ..Pushed::default() });
        }
        let times = Arc::clone(&self.times.read().unwrap_or_else(PoisonError::into_inner));
        let body = self.read(body, content_type, &times).await?;
        if body.events.is_empty() && body.refused.is_empty() {
            return Err(Error::EmptyBody);
        }
        self.keep_refused(&body).await?;
        let rejected: Vec<_> =
            body.refused.into_iter().map(|refused| Rejected { index: refused.index, reason: refused.reason }).collect();
        self.refused.fetch_add(rejected.len() as u64, Ordering::Relaxed);
        if body.events.is_empty() {
            return Ok(Pushed { rejected, ..Pushed::default() });
        }
        let without_event_time = match times.none_wanted() {
            true => 0,
            false => body.events.event_times().iter().filter(|time| time.is_none()).count() as u64,
        };
        let first = body.events.event_times().iter().zip(body.events.events()).find(|(time, _)| time.is_none());
        let why_without = first.filter(|_| without_event_time > 0).map(|(_, event)| times.why_none(event).to_string());
        self.untimed.note(&times, &body.events);
        let keys = key.map(str::to_owned).into_iter().collect();
        let append = Append { source: self.name.clone(), events: body.events, cursor: None, keys, urgent: true };
        let appended = self.appender.append(append).await?.await?;
        let accepted = u64::from(appended.count);
        self.pushed.fetch_add(accepted, Ordering::Relaxed);
        let first_offset = Some(appended.first_offset);
        Ok(Pushed { accepted, first_offset, rejected, without_event_time, why_without, repeated: false })
    }

    /// Takes the body apart and finds the event times.
    async fn read(&self, body: Bytes, content_type: Option<&str>, times: &Arc<EventTimes>) -> Result<Body, Error> {
        if body.len() <= INLINE_BYTES_MAX {
            return Ok(read(&body, content_type, times));
        }
        let times = Arc::clone(times);
        let content_type = content_type.map(str::to_owned);
        tokio::task::spawn_blocking(move || read(&body, content_type.as_deref(), &times))
            .await
            .map_err(|error| Error::Internal(format!("taking a body apart: {error}")))
    }

    async fn keep_refused(&self, body: &Body) -> Result<(), Error> {
        if body.refused.is_empty() {
            return Ok(());
        }
        let mut events = EventBatch::default();
        for refused in &body.refused {
            let reject = Reject {
                reason: refused.reason.clone(),
                position: format!("event {} of a push", refused.index),
                payload: refused.payload.clone(),
            };
            events.push(&reject.to_json(self.stream.name().as_str(), Self::NAME), None);
        }
        rejects::commit(&self.rejects, &self.name, events).await
    }

    /// Keeps `key` to this push until the guard drops.
    fn hold(&self, key: &str) -> Result<Held<'_>, Error> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::BadKey { limit: KEY_BYTES_MAX });
        }
        let fresh = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        if fresh { Ok(Held { keys: &self.in_flight, key: key.to_owned() }) } else { Err(Error::KeyInFlight) }
    }
}

fn read(body: &Bytes, content_type: Option<&str>, times: &EventTimes) -> Body {
    let mut read = Body::read(body, content_type);
    let event_times = read.events.events().map(|event| times.of(event)).collect();
    read.events.set_event_times(event_times, times.rule());
    read
}

struct Held<'a> {
    keys: &'a Mutex<BTreeSet<String>>,
    key: String,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
