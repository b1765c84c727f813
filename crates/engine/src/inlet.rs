//! The way into a stream, for all that brings events: sources, pushes, imports.
//!
//! ```text
//! what is refused ─▶ committed to `rejects` ─▶ the events, appended with the cursor or the key that covers them
//! ```
//! The order is what makes a crash harmless: a reject may stand twice, but the cursor never passes one that is not kept. So
//! [`append`](Settled::append) can be reached only through [`refuse`](Inlet::refuse).

use std::sync::Arc;

use lakehead_json::EventTimes;
use lakehead_model::{Cursor, EventBatch, Name, Reject};
use lakehead_store::{Append, Appender, Stream, Ticket};

use crate::{Error, ledgers, untimed::Untimed};

/// The way of one source, import or gateway into one stream.
pub(crate) struct Inlet {
    /// The name under which what it brings stands in the store.
    name: Name,
    stream: Name,
    appender: Appender,
    rejects: Appender,
    untimed: Arc<Untimed>,
}

/// What enters at once: kept together or not at all.
#[derive(Default)]
pub(crate) struct Entry {
    /// The events, with their event times.
    pub(crate) events: EventBatch,
    /// How far the source has got with them.
    pub(crate) cursor: Option<Cursor>,
    /// An idempotency key that came with them.
    pub(crate) key: Option<String>,
    /// Whether someone waits for the answer.
    pub(crate) urgent: bool,
}

/// What was refused is on its way to the disk.
pub(crate) struct Refusing<'i> {
    inlet: &'i Inlet,
    ticket: Option<Ticket>,
}

impl<'i> Refusing<'i> {
    /// Whether there is nothing to wait for.
    pub(crate) fn is_settled(&self) -> Option<Settled<'i>> {
        self.ticket.is_none().then_some(Settled(self.inlet))
    }

    /// Waits until it is on disk. Dropped before it resolves, nothing is lost.
    pub(crate) async fn on_disk(&mut self) -> Result<Settled<'i>, Error> {
        if let Some(ticket) = &mut self.ticket {
            ticket.await?;
            self.ticket = None;
        }
        Ok(Settled(self.inlet))
    }
}

/// All that was refused so far is on disk; what follows it may enter.
#[must_use = "the events that follow what was refused"]
pub(crate) struct Settled<'i>(&'i Inlet);

impl Inlet {
    /// From `name` into `stream`. After a failed write the store refuses what an older way of the same source would still
    /// append, so each opening of a source has a way of its own.
    pub(crate) fn new(name: Name, stream: &Stream, rejects: Appender, untimed: Arc<Untimed>) -> Self {
        Self { name, stream: stream.name().clone(), appender: stream.appender(), rejects, untimed }
    }

    /// Commits what is refused. Returns when it is on disk.
    pub(crate) async fn refuse(&self, refused: &[Reject]) -> Result<Settled<'_>, Error> {
        self.refusing(refused).await?.on_disk().await
    }

    /// Hands what is refused to the store. Waits for room, not for the disk. What is refused later has to settle later, too:
    /// that is for the caller to see to.
    pub(crate) async fn refusing(&self, refused: &[Reject]) -> Result<Refusing<'_>, Error> {
        let mut ticket = None;
        if !refused.is_empty() {
            let entries = ledgers::rejects::batch(refused, &self.stream, &self.name);
            ticket = Some(begin(&self.rejects, &self.name, entries).await?);
        }
        Ok(Refusing { inlet: self, ticket })
    }

    /// The counts of events without an event time.
    pub(crate) fn untimed(&self) -> &Untimed {
        &self.untimed
    }
}

impl Settled<'_> {
    /// Hands `entry` to the store, whose event times were read by `times`. Waits for room, not for the disk.
    pub(crate) async fn append(self, entry: Entry, times: &EventTimes) -> Result<Ticket, Error> {
        let Entry { events, cursor, key, urgent } = entry;
        let Inlet { name, appender, untimed, .. } = self.0;
        untimed.note(times, &events);
        let keys = key.into_iter().collect();
        Ok(appender.append(Append { source: name.clone(), events, cursor, keys, urgent }).await?)
    }
}

/// Appends `events` of `source`, which may be none, and waits until they are on disk. For the built-in streams, and for an
/// empty block that shows whether the store can write.
pub(crate) async fn commit(appender: &Appender, source: &Name, events: EventBatch) -> Result<(), Error> {
    begin(appender, source, events).await?.await?;
    Ok(())
}

/// As [`commit`], and does not wait for the disk.
pub(crate) async fn begin(appender: &Appender, source: &Name, events: EventBatch) -> Result<Ticket, Error> {
    let append = Append { source: source.clone(), events, cursor: None, keys: Vec::new(), urgent: true };
    Ok(appender.append(append).await?)
}
