//! The gateway's way in: a body of events, answered when they are on disk.
//!
//! The journey: body → events and refusals ([`body`](crate::body)) → refusals committed to `rejects` → events committed
//! to their stream → the answer. A refusal that was not written yet is never reported as kept.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use lakehead_json::EventTimes;
use lakehead_model::{APPEND_EVENTS_MAX, ByteSize, EventBatch, Name, Offset, Refusals, Reject, StreamSchema};
use lakehead_store::{Appender, Stream, Ticket};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::{
    Error,
    body::{Documents, place},
    conformance::Conformance,
    inlet::{Entry, Inlet, Settled},
    sync::lock,
    untimed::{Untimed, without_time},
};

/// The largest body: 16 MiB, a few times the largest event, so that memory stays bounded by the number of callers.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// Bodies above this are taken apart away from the threads that serve everyone: 64 KiB take about 0.1 ms.
pub(crate) const INLINE_BYTES_MAX: usize = 64 << 10;

/// The longest idempotency key: room for a UUID and a prefix; keys stand in block footers.
pub const KEY_BYTES_MAX: usize = 128;

/// How many of the refused are told in the answer, with their reasons.
pub const INVALID_SHOWN_MAX: usize = 100;

/// What became of a push. All that it says is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// How many events were committed.
    pub accepted: u64,
    /// The offset of the first of them; of a body that came at once the others follow without a gap.
    pub first_offset: Option<Offset>,
    /// How many were refused.
    pub rejected: u64,
    /// The first [`INVALID_SHOWN_MAX`] of these; more of them lie in the stream `rejects`.
    pub invalid: Vec<Rejected>,
    /// How many of the committed events have no event time, and so are in no window over it.
    pub without_event_time: u64,
    /// Why the first of them has none, and what to do.
    pub why_without: Option<String>,
    /// Whether a push with the same idempotency key was committed before: this one did nothing, and what stands here is
    /// what became of that one's events.
    pub repeated: bool,
}

/// A push on its way: what became of it so far.
#[derive(Debug, Default)]
pub struct Pushing {
    /// What became of it so far; all that it says is on disk.
    pub pushed: Pushed,
    /// What was refused, as far as it is to be kept.
    refusals: Refusals,
    /// How many documents came, whatever became of them.
    documents: u64,
}

/// One refused event of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Its place in the body, from 0.
    pub index: u64,
    /// Why.
    pub reason: String,
}

/// Takes pushes for one stream.
pub(crate) struct Gateway {
    stream: Stream,
    inlet: Inlet,
    times: RwLock<Arc<EventTimes>>,
    conformance: Arc<Conformance>,
    in_flight: Mutex<BTreeSet<String>>,
    pushed: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

impl Gateway {
    /// The name under which pushes stand in the store; no source may have it.
    pub(crate) const NAME: &'static str = "push";

    pub(crate) fn new(
        stream: Stream,
        schema: &StreamSchema,
        rejects: Appender,
        untimed: Arc<Untimed>,
        conformance: Arc<Conformance>,
    ) -> Self {
        let name = Name::new(Self::NAME).expect("a constant that is a name");
        Self {
            inlet: Inlet::new(name, &stream, rejects, untimed),
            stream,
            times: RwLock::new(Arc::new(EventTimes::new(schema))),
            conformance,
            in_flight: Mutex::default(),
            pushed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// Reads the event times of what is pushed from now on by `schema`. Keys and counts stay, so that a push that is under
    /// way is known to the next one with its key.
    pub(crate) fn set_schema(&self, schema: &StreamSchema) {
        let times = Arc::new(EventTimes::new(schema));
        let before =
            std::mem::replace(&mut *self.times.write().unwrap_or_else(PoisonError::into_inner), Arc::clone(&times));
        if before.rule() != times.rule() {
            self.inlet.untimed().start_over();
        }
    }

    /// Events accepted, events refused, and events of hasty pushes that were lost on their way to the disk, since the start.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let [pushed, refused, lost] =
            [&self.pushed, &self.refused, &self.lost].map(|count| count.load(Ordering::Relaxed));
        (pushed, refused, lost)
    }

    /// How the event times of what is pushed now are read.
    pub(crate) fn times(&self) -> Arc<EventTimes> {
        Arc::clone(&self.times.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What became of the push with this key, while it is remembered: how many events it has in the stream, and the first.
    pub(crate) fn remembered(&self, key: &str) -> Option<(u64, Offset)> {
        let before = self.stream.recent_keys().into_iter().find(|recent| *recent.key == *key)?;
        Some((before.count.into(), before.first_offset))
    }

    /// Hands events over, whose event times were read by `times` and whose refusals are kept. Waits for room, not for the disk.
    pub(crate) async fn enter(
        &self,
        events: EventBatch,
        key: Option<&str>,
        times: &EventTimes,
    ) -> Result<Ticket, Error> {
        let entry = Entry { events, cursor: None, key: key.map(str::to_owned), urgent: true };
        self.inlet.refuse(&[]).await?.append(entry, times).await
    }

    /// So many events more were committed.
    pub(crate) fn accepted(&self, events: u64) {
        self.pushed.fetch_add(events, Ordering::Relaxed);
    }

    /// So many events more were refused.
    pub(crate) fn refused(&self, events: u64) {
        self.refused.fetch_add(events, Ordering::Relaxed);
    }

    /// So many events of a hasty push more could not be written after it was answered.
    pub(crate) fn lost(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
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
        let _guard = match key {
            None => None,
            Some(key) => Some(self.hold(key)?),
        };
        if let Some((accepted, first)) = key.and_then(|key| self.remembered(key)) {
            return Ok(Pushed { accepted, first_offset: Some(first), repeated: true, ..Pushed::default() });
        }
        let (content_type, mut pushing) = (content_type.map(str::to_owned), Pushing::default());
        let documents =
            blocking_if(body.len() > INLINE_BYTES_MAX, move || Documents::of(&body, content_type.as_deref()));
        if let Err(error) = self.take(documents.await?, key, &mut pushing).await {
            return Err(match pushing.pushed.accepted {
                0 => error,
                accepted => Error::PartlyPushed { accepted, source: Box::new(error) },
            });
        }
        if pushing.documents == 0 {
            return Err(Error::EmptyBody);
        }
        self.finish(&mut pushing).await?;
        Ok(pushing.pushed)
    }

    /// Takes whole lines of a body that goes on.
    pub(crate) async fn push_lines(&self, lines: Bytes, pushing: &mut Pushing) -> Result<(), Error> {
        self.take(Documents::lines(lines, pushing.documents), None, pushing).await
    }

    /// The body is at its end: says in `rejects` how many were refused that are not kept there.
    pub(crate) async fn finish(&self, pushing: &mut Pushing) -> Result<(), Error> {
        let rest: Vec<Reject> = pushing.refusals.rest(place).into_iter().collect();
        self.inlet.refuse(&rest).await.map(|_| ())
    }

    /// Takes documents to their end, as many in one append as fit; all of them, when there is a key.
    async fn take(&self, mut documents: Documents, key: Option<&str>, pushing: &mut Pushing) -> Result<(), Error> {
        loop {
            let times = self.times();
            let mut refusals = std::mem::take(&mut pushing.refusals);
            let (reader, conforms) = (Arc::clone(&times), self.conformance.now());
            let read = blocking_if(documents.bytes_left() > INLINE_BYTES_MAX, move || {
                let mut part = documents.part(conforms.as_deref(), &mut refusals);
                let event_times = part.events.events().map(|event| reader.of(event)).collect();
                part.events.set_event_times(event_times, reader.rule());
                (documents, refusals, part)
            });
            let part;
            (documents, pushing.refusals, part) = read.await?;
            if part.more && key.is_some() {
                return Err(Error::TooManyEvents { limit: APPEND_EVENTS_MAX });
            }
            pushing.documents = documents.index();
            let (numbers, kept): (Vec<u64>, Vec<Reject>) = pushing.refusals.kept.drain(..).unzip();
            let settled = self.inlet.refuse(&kept).await?;
            let pushed = &mut pushing.pushed;
            self.refused(pushing.refusals.count - pushed.rejected);
            pushed.rejected = pushing.refusals.count;
            let room = INVALID_SHOWN_MAX.saturating_sub(pushed.invalid.len());
            let invalid = numbers.into_iter().zip(kept).take(room);
            pushed.invalid.extend(invalid.map(|(index, reject)| Rejected { index, reason: reject.reason }));
            if !part.events.is_empty() {
                self.append(settled, part.events, &times, key, pushed).await?;
            }
            if !part.more {
                return Ok(());
            }
        }
    }

    async fn append(
        &self,
        settled: Settled<'_>,
        events: EventBatch,
        times: &EventTimes,
        key: Option<&str>,
        pushed: &mut Pushed,
    ) -> Result<(), Error> {
        if let Some((count, why)) = without_time(times, &events) {
            pushed.without_event_time += count;
            pushed.why_without.get_or_insert(why);
        }
        let entry = Entry { events, cursor: None, key: key.map(str::to_owned), urgent: true };
        let appended = settled.append(entry, times).await?.await?;
        let accepted = u64::from(appended.count);
        self.accepted(accepted);
        pushed.accepted += accepted;
        pushed.first_offset.get_or_insert(appended.first_offset);
        Ok(())
    }

    /// Keeps `key` to this push until the guard drops.
    pub(crate) fn hold(&self, key: &str) -> Result<KeyGuard<'_>, Error> {
        check_key(key)?;
        let fresh = lock(&self.in_flight).insert(key.to_owned());
        if fresh { Ok(KeyGuard { keys: &self.in_flight, key: key.to_owned() }) } else { Err(Error::KeyInFlight) }
    }
}

/// Checks whether `key` can be an idempotency key.
///
/// # Errors
/// `Invalid` when it is too long, or holds what a header would not bring as it is.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    let is_key = (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key { Ok(()) } else { Err(Error::BadKey { limit: KEY_BYTES_MAX }) }
}

/// How many large bodies are taken apart at once: on half of the cores, so that the rest goes on whatever is pushed.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))));

/// Does `work`, away from the threads that serve everyone and in its turn if it is `much`.
pub(crate) async fn blocking_if<T: Send + 'static>(
    much: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    if !much {
        return Ok(work());
    }
    // It is never closed.
    let _turn = TURNS.acquire().await;
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(format!("taking a body apart: {error}")))
}

/// An idempotency key that is in use; free again when this drops.
pub(crate) struct KeyGuard<'a> {
    keys: &'a Mutex<BTreeSet<String>>,
    key: String,
}

impl Drop for KeyGuard<'_> {
    fn drop(&mut self) {
        lock(self.keys).remove(&self.key);
    }
}
