//! The way in: what is appended, and the ticket that says when it is kept.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use lakehead_model::{Cursor, EventBatch, Name, Offset, Timestamp};
use tokio::sync::oneshot;

use crate::{Error, queue::Room, stream::Inner};

/// Greatest size of one append: it is never split over blocks, and a block is handled in memory.
const APPEND_BYTES_MAX: usize = 256 << 20;
/// Greatest length of a cursor's position; it is repeated in every footer.
const POSITION_BYTES_MAX: usize = 64 << 10;
/// Greatest length of an idempotency key.
const KEY_BYTES_MAX: usize = 1 << 10;
/// Greatest number of keys with one append.
const KEYS_MAX: usize = 4096;

/// What is to be kept: events, and how far their source has got with them. Kept together or not at all.
#[derive(Clone, Debug)]
pub struct Append {
    /// Who brings them; the cursor is kept under this name.
    pub source: Name,
    /// The events. May be empty: the cursor then moves past events that were filtered, refused or seen before.
    pub events: EventBatch,
    /// Where the source stands after these events.
    pub cursor: Option<Cursor>,
    /// Idempotency keys that came with these events.
    pub keys: Vec<String>,
    /// Whether someone waits for the answer: the block then closes early.
    pub urgent: bool,
}

/// The answer to an append that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first event; of the next event to come when it had none.
    pub first_offset: Offset,
    /// How many events it had.
    pub count: u32,
    /// The received time they all have.
    pub received_time: Timestamp,
}

/// Resolves when the append is committed, or has failed. May be dropped: the append goes on all the same.
///
/// An error means that nothing of the append is kept, as far as can be known, and nothing that was handed over after it before the error
/// was seen: begin again from the cursor in [`Stream::head`](crate::Stream::head).
#[derive(Debug)]
pub struct Ticket {
    answer: oneshot::Receiver<Result<Appended, Error>>,
    stream: Name,
}

impl Future for Ticket {
    type Output = Result<Appended, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(context));
        Poll::Ready(answer.unwrap_or_else(|_| Err(Error::Closed { stream: self.stream.clone() })))
    }
}

impl Ticket {
    /// Waits for the answer on a thread that is not a task of an async runtime.
    ///
    /// # Errors
    /// As the ticket itself.
    pub fn wait(self) -> Result<Appended, Error> {
        let stream = self.stream;
        self.answer.blocking_recv().unwrap_or(Err(Error::Closed { stream }))
    }
}

/// An append on its way to the writer.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) append: Append,
    pub(crate) waiting: Waiting,
    /// The stream's failures when it was let in; the writer refuses it when there has been one since.
    pub(crate) failures: u64,
}

/// Who waits for an answer, and the room in the queue that is theirs until then.
#[derive(Debug)]
pub(crate) struct Waiting {
    answer: oneshot::Sender<Result<Appended, Error>>,
    _room: Room,
}

impl Waiting {
    /// Answers, and gives the room back. Nobody may be listening any more.
    pub(crate) fn answer(self, answer: Result<Appended, Error>) {
        let _ = self.answer.send(answer);
    }
}

/// Appends to one stream.
///
/// After a failed write everything in flight is refused, and so is the first append with a cursor through each appender that
/// was at work: a source that has not seen the failure yet would otherwise move its cursor past the events that were lost.
#[derive(Debug)]
pub struct Appender {
    stream: Arc<Inner>,
    failures_seen: AtomicU64,
}

impl Clone for Appender {
    fn clone(&self) -> Self {
        let failures_seen = AtomicU64::new(self.failures_seen.load(Ordering::Acquire));
        Self { stream: Arc::clone(&self.stream), failures_seen }
    }
}

impl Appender {
    pub(crate) fn new(stream: Arc<Inner>) -> Self {
        let failures_seen = AtomicU64::new(stream.failures());
        Self { stream, failures_seen }
    }

    /// Hands over events; waits only for room in the queue. Appends of one task keep their order.
    ///
    /// # Errors
    /// `Invalid` when a bound is broken, `Closed` when the stream is, `Unavailable` when a write has failed since this
    /// appender was last used (begin again from the stream's cursor).
    pub async fn append(&self, append: Append) -> Result<Ticket, Error> {
        check(&append)?;
        let stream = self.stream.name.clone();
        let queue = self.stream.queue()?;
        let room = queue.room(bytes_of(&append)).await.ok_or_else(|| Error::Closed { stream: stream.clone() })?;
        let failures = self.stream.failures();
        let seen = self.failures_seen.swap(failures, Ordering::AcqRel);
        if append.cursor.is_some() && seen != failures {
            return Err(self.stream.cannot_write());
        }
        let (answer, receiver) = oneshot::channel();
        let queued = Queued { append, waiting: Waiting { answer, _room: room }, failures };
        queue
            .push(crate::writer::Command::Append(Box::new(queued)))
            .map_err(|_| Error::Closed { stream: stream.clone() })?;
        Ok(Ticket { answer: receiver, stream })
    }
}

/// How much of the queue an append takes.
fn bytes_of(append: &Append) -> usize {
    append.events.payload().len()
        + append.cursor.as_ref().map_or(0, |c| c.position.len())
        + append.keys.iter().map(String::len).sum::<usize>()
        + size_of::<Queued>()
}

fn check(append: &Append) -> Result<(), Error> {
    let bytes = append.events.payload().len();
    if bytes > APPEND_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "{bytes} bytes of events in one append from {}: at most {APPEND_BYTES_MAX}",
            append.source
        )));
    }
    if let Some(cursor) = append.cursor.as_ref().filter(|c| c.position.len() > POSITION_BYTES_MAX) {
        let bytes = cursor.position.len();
        return Err(Error::Invalid(format!(
            "the cursor of source {} has {bytes} bytes: at most {POSITION_BYTES_MAX}",
            append.source
        )));
    }
    if append.keys.len() > KEYS_MAX || append.keys.iter().any(|key| key.len() > KEY_BYTES_MAX) {
        return Err(Error::Invalid(format!(
            "idempotency keys from {}: at most {KEYS_MAX} of at most {KEY_BYTES_MAX} bytes each with one append",
            append.source
        )));
    }
    Ok(())
}
