//! The contract of a source: who calls what, how often, in which order.
//!
//! ```text
//! open(settings, Resume) ─▶ Opened ─┬─ reader: next() ─▶ Chunk ─▶ …       in a task of its own
//!                                   └─ acks:   acknowledge(cursor) ◀─ what is on disk, in order
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use lakehead_model::{Clock, Cursor, EventBatch, EventTimeRule, Name, Offset, Reject};

use crate::{Discontinuity, Error};

/// An opened source: what it brings, and what it wants to know of what was kept. After an error both are dropped and the source
/// is opened again from the cursors that the store holds, with backoff where the error is [`Error::Unavailable`].
pub struct Opened {
    /// Brings events.
    pub reader: Box<dyn Reader>,
    /// Is told what is on disk; `None` for an upstream that keeps no track of its readers.
    pub acks: Option<Box<dyn Acknowledge>>,
}

impl Opened {
    /// Of a source that nobody has to be told about.
    pub fn reader(reader: impl Reader + 'static) -> Self {
        Self { reader: Box::new(reader), acks: None }
    }
}

/// Brings events. One task owns it and calls [`next`](Self::next) until it ends or fails.
#[async_trait]
pub trait Reader: Send {
    /// The next events, or `None` when the source has ended for good (a file; never a live feed).
    ///
    /// The engine takes chunks through a bounded queue; a source just waits here while nothing comes. A chunk holds at most
    /// about 256 KiB of events, so that blocks stay near their size; a source returns early with what it has rather than
    /// wait. A call is dropped only when the source is stopped: what it had taken and not handed over comes again after
    /// the next opening, since no cursor has passed it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the connection is lost or silent; [`Error::Invalid`] when only a person can help.
    async fn next(&mut self) -> Result<Option<Chunk>, Error>;
}

/// Is told what is on disk, for an upstream that keeps track (a Kafka group, a spool directory).
#[async_trait]
pub trait Acknowledge: Send {
    /// Everything of stream `to` up to and including this cursor is on disk. Called after every commit, in order; while it is
    /// at work the reader goes on.
    ///
    /// # Errors
    /// As [`Reader::next`]; the source is opened again then.
    async fn acknowledge(&mut self, to: StreamIndex, cursor: &Cursor) -> Result<(), Error>;
}

/// Which of the streams that a source feeds: its place in [`Resume::streams`]. A source of one stream never says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamIndex(pub usize);

/// What a source hands over at once. The engine commits the rejects and discontinuities first, then the events with the
/// cursor, in one block.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The stream that the events enter. Each stream has a cursor of its own, so a source that feeds several hands over a
    /// chunk for each.
    pub to: StreamIndex,
    /// The events in order. A source that has read their event times by [`StreamResume::event_time`] says so with the rule in
    /// the batch; else the engine reads them itself, whatever stands there. There is one rule for a stream, and no source
    /// has its own.
    pub events: EventBatch,
    /// Where the source stands after these events. `None` only for sources that cannot resume. Its progress is by the same
    /// rule.
    pub cursor: Option<Cursor>,
    /// What was refused, with its reason.
    pub rejects: Vec<Reject>,
    /// How many were refused beyond the entries of `rejects`, where one of these stands for many
    /// ([`Refusals`](lakehead_model::Refusals)).
    pub refused_more: u64,
    /// Where the upstream's offsets do not follow one another.
    pub discontinuities: Vec<Discontinuity>,
    /// Events that came again and were dropped, since the log holds them already.
    pub duplicates: u64,
    /// What the source can say about itself now, if it changed.
    pub activity: Option<Activity>,
}

/// What a source is doing, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Connected, and reading what happened a while ago.
    CatchingUp,
    /// Connected, and at the head of its upstream.
    Live,
}

/// Where an event says which one it is upstream, each a path of keys. The audit looks for gaps and repeats by it; a place that
/// an event lacks says nothing about that event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The sequence that offsets belong to: a topic.
    pub topic: &'static [&'static str],
    /// Its partition.
    pub partition: &'static [&'static str],
    /// The offset in it.
    pub offset: &'static [&'static str],
    /// What is the same where the event comes again under another offset.
    pub id: &'static [&'static str],
}

/// What a source is given when it opens.
pub struct Resume {
    /// The name that the user gave it.
    pub name: String,
    /// The streams that it feeds, in the order in which the pipeline names them; at least one.
    pub streams: Vec<StreamResume>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Where a source stands in one of its streams.
pub struct StreamResume {
    /// The stream.
    pub stream: Name,
    /// The source's cursor in the last committed block of the stream, if there is one.
    pub cursor: Option<Cursor>,
    /// Where the stream's event time stands in an event, as the pipeline says: the first rule that finds one goes. Event
    /// times and progress are by these, whatever other clock the upstream has.
    pub event_time: Vec<EventTimeRule>,
    /// Reads the stream's last events, for sources that compare what comes with what is held.
    pub tail: Box<dyn TailReader>,
}

impl Resume {
    /// The only stream of a source that feeds one.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the pipeline names several.
    pub fn only_stream(&mut self) -> Result<StreamResume, Error> {
        match (self.streams.pop(), self.streams.is_empty()) {
            (Some(stream), true) => Ok(stream),
            _ => Err(Error::Invalid("it feeds one stream: `stream` names it".to_owned())),
        }
    }
}

/// Reads the committed events of the stream, without giving a source the store.
#[async_trait]
pub trait TailReader: Send {
    /// The offset after the last event that is committed now; it grows while the source lives.
    fn end(&self) -> Offset;

    /// The next committed events of `[from, to)`, in order: about a block of them. Offsets that retention has taken away are
    /// passed over.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the log cannot be read there.
    async fn read(&mut self, from: Offset, to: Offset) -> Result<TailEvents, Error>;
}

/// A run of committed events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailEvents {
    /// The events, each with its offset.
    pub events: Vec<(Offset, Bytes)>,
    /// Where to read on; at or after the `to` that was asked for when there is no more.
    pub next: Offset,
}
