//! The way in: hands appends to the writer's queue, and keeps a source from moving its cursor past a failure.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    error::Error,
    write::{
        append::Append,
        command::{Command, QueuedAppend},
        ticket::{Ticket, Waiting},
        write_side::WriteSide,
    },
};

/// Appends to one stream.
///
/// After a failed write everything in flight is refused, and so is the first append with a cursor through each appender that
/// was at work: a source that has not seen the failure yet would otherwise move its cursor past the events that were lost.
#[derive(Debug)]
pub struct Appender {
    /// The stream, or why it cannot be appended to.
    side: Result<Arc<WriteSide>, Error>,
    failures_seen: AtomicU64,
}

impl Clone for Appender {
    fn clone(&self) -> Self {
        let failures_seen = AtomicU64::new(self.failures_seen.load(Ordering::Acquire));
        Self { side: self.side.clone(), failures_seen }
    }
}

impl Appender {
    pub(crate) fn new(side: Result<Arc<WriteSide>, Error>) -> Self {
        let failures_seen = AtomicU64::new(side.as_ref().map_or(0, |side| side.health.failures()));
        Self { side, failures_seen }
    }

    /// Hands over events; waits only for room in the queue. Appends of one task keep their order.
    ///
    /// # Errors
    /// `Invalid` when a bound is broken, `Closed` when the stream is, `Unavailable` when a write has failed since this
    /// appender was last used (begin again from the stream's cursor).
    pub async fn append(&self, append: Append) -> Result<Ticket, Error> {
        append.check()?;
        let side = self.side.as_ref().map_err(Error::clone)?;
        let bytes = append.bytes() + size_of::<QueuedAppend>();
        let room = side.queue.room(bytes).await.ok_or_else(|| side.closed())?;
        let failures = side.health.failures();
        let seen = self.failures_seen.swap(failures, Ordering::AcqRel);
        if append.cursor.is_some() && seen != failures {
            return Err(side.health.cannot_write());
        }
        let (waiting, ticket) = Waiting::new(side.name().clone(), room);
        let queued = QueuedAppend { append, waiting, failures };
        side.queue.push(Command::Append(Box::new(queued))).map_err(|_| side.closed())?;
        Ok(ticket)
    }
}
