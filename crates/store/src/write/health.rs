//! Whether a stream can be written, and how many writes have failed: what its appenders and its two threads tell each other.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lakehead_model::Name;
use tokio::sync::watch;

use crate::error::Error;

/// Whether a stream can be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// The last write was committed, or none was tried yet.
    #[default]
    Ok,
    /// The last write failed, with what failed and what to do. Every later append is a new try; it goes on by itself.
    CannotWrite(Arc<str>),
}

/// The health of one stream, with the count of its failures.
#[derive(Debug)]
pub(crate) struct WriteHealth {
    stream: Name,
    health: watch::Sender<Health>,
    /// How many writes have failed. What was handed over before the last of them is refused.
    failures: AtomicU64,
}

impl WriteHealth {
    pub(crate) fn new(stream: Name) -> Self {
        Self { stream, health: watch::Sender::default(), failures: AtomicU64::new(0) }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// Notes a failed write: from here on nothing that was handed over before is kept.
    pub(crate) fn failed(&self, what: &str) {
        // Said once: while a disk is full every try fails, several in a second.
        if self.health.send_replace(Health::CannotWrite(what.into())) == Health::Ok {
            tracing::warn!(stream = %self.stream, what, "cannot write; what is not committed is refused, until it can again");
        }
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes a commit.
    pub(crate) fn committed(&self) {
        if self.health.send_if_modified(|health| std::mem::replace(health, Health::Ok) != Health::Ok) {
            tracing::info!(stream = %self.stream, "can write again");
        }
    }

    /// The error for everything that a failed write took with it.
    pub(crate) fn cannot_write(&self) -> Error {
        let reason = match &*self.health.borrow() {
            Health::CannotWrite(reason) => Arc::clone(reason),
            Health::Ok => "a write before this one failed; begin again from the stream's cursor".into(),
        };
        Error::CannotWrite { stream: self.stream.clone(), reason }
    }
}
