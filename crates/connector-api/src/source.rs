//! The contract of a source: who calls what, how often, in which order.

use async_trait::async_trait;
use lakehead_model::{Clock, Cursor, EventBatch, EventTimeRule, Offset, Reject, Timestamp};
use std::sync::Arc;

use crate::Error;

/// Brings events into a stream. One task owns it and calls [`next`](Self::next) until it ends or fails; after an error
/// the source is dropped and opened again from the cursor that the store holds, with backoff where the error is
/// [`Error::Unavailable`].
#[async_trait]
pub trait Source: Send {
    /// The next events, or `None` when the source has ended for good (a file; never a live feed).
    ///
    /// Must be cancel-safe: a call that is dropped before it returns has taken nothing. The engine bounds how many
    /// chunks are under way; a source just waits here while nothing comes. A chunk holds at most about 256 KiB of
    /// events, so that blocks stay near their size; a source returns early with what it has rather than wait.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the connection is lost or silent; [`Error::Invalid`] when only a person can help.
    async fn next(&mut self) -> Result<Option<Chunk>, Error>;

    /// Called after every commit, in order: everything up to and including this cursor is on disk. A source acknowledges it
    /// to an upstream that keeps track (a Kafka group, a spool directory); the default does nothing.
    async fn acknowledge(&mut self, cursor: &Cursor) -> Result<(), Error> {
        let _ = cursor;
        Ok(())
    }
}

/// What a source hands over at once. The engine commits the rejects and gaps first, then the events with the cursor,
/// in one block.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The events in order. A source that has read their event times by [`Resume::event_time`] says so with the rule in
    /// the batch; else the engine reads them itself, whatever stands there. There is one rule for a stream, and no source
    /// has its own.
    pub events: EventBatch,
    /// Where the source stands after these events. `None` only for sources that cannot resume. Its progress is by the same
    /// rule.
    pub cursor: Option<Cursor>,
    /// What was refused, with its reason.
    pub rejects: Vec<Reject>,
    /// What is missing upstream, proven by its offsets.
    pub gaps: Vec<Gap>,
    /// Where the upstream was renumbered: its offsets do not follow one another, though nothing is missing.
    pub renumberings: Vec<Renumbering>,
    /// Events that came again and were dropped, since the log holds them already.
    pub duplicates: u64,
    /// What the source can say about itself now, if it changed.
    pub activity: Option<Activity>,
}

/// A gap in the upstream: `[from, to)` of its offsets was asked for twice and did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The upstream's own name for the sequence: topic and partition.
    pub partition: String,
    /// The first upstream offset that is missing.
    pub from: i64,
    /// The first upstream offset after the gap.
    pub to: i64,
    /// Event time just before the gap.
    pub after: Option<Timestamp>,
    /// Event time just after it.
    pub before: Option<Timestamp>,
    /// Why, as far as known.
    pub reason: String,
}

/// A place where offsets do not follow one another and nothing is missing: another cluster answered, which numbers the same
/// events differently, or an event came that is kept already under another offset. Kept in the gap ledger, so that an
/// audit can tell it from a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renumbering {
    /// As [`Gap::partition`].
    pub partition: String,
    /// The offset that was expected next.
    pub from: i64,
    /// The offset that comes next instead; what came under other offsets meanwhile is in no order.
    pub to: i64,
    /// Why.
    pub reason: &'static str,
}

/// What a source is doing, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Connected, and reading what happened a while ago.
    CatchingUp,
    /// Connected, and at the head of its upstream.
    Live,
}

/// What a source is given when it opens.
pub struct Resume {
    /// The name that the user gave it.
    pub name: String,
    /// The cursor in the last committed block of its stream, if there is one.
    pub cursor: Option<Cursor>,
    /// Where the stream's event time stands in an event, as the pipeline says: the first rule that finds one goes. Event
    /// times and progress are by these, whatever other clock the upstream has.
    pub event_time: Vec<EventTimeRule>,
    /// Reads the stream's last events, for sources that compare what comes with what is held.
    pub tail: Box<dyn TailReader>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Reads the committed events of the stream, without giving a source the store.
pub trait TailReader: Send {
    /// The offset after the last event that is committed now; it grows while the source lives.
    fn end(&self) -> Offset;

    /// Calls `each` with every committed event of `[from, to)`, in order. Blocking; at most a few hundred MB a second.
    /// Offsets that retention has taken away are passed over.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the log cannot be read there.
    fn read(&mut self, from: Offset, to: Offset, each: &mut dyn FnMut(Offset, &[u8])) -> Result<(), Error>;
}
