//! The write side of a stream, shared by its appenders and its two threads.

use std::sync::{Arc, MutexGuard};

use lakehead_model::{Clock, Name};

use crate::{
    disk::log_files::LogFiles,
    error::Error,
    options::Options,
    read::{published::Published, read_side::ReadSide},
    write::{command::Command, commit::CommitQueue, health::WriteHealth, queue::Queue},
};

/// What everyone who writes one stream shares.
#[derive(Debug)]
pub(crate) struct WriteSide {
    pub(crate) read: Arc<ReadSide>,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    /// The way in.
    pub(crate) queue: Queue<Command>,
    /// What is written and not yet committed.
    pub(crate) commits: CommitQueue,
    pub(crate) health: Arc<WriteHealth>,
}

impl WriteSide {
    pub(crate) fn new(read: Arc<ReadSide>, options: Options, clock: Arc<dyn Clock>, health: Arc<WriteHealth>) -> Self {
        let queue = Queue::new(options.queue_bytes.0);
        Self { read, options, clock, queue, commits: CommitQueue::default(), health }
    }

    pub(crate) fn log(&self) -> &LogFiles {
        &self.read.log
    }

    pub(crate) fn name(&self) -> &Name {
        &self.read.log.name
    }

    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        self.read.published()
    }

    /// The error for whoever comes too late.
    pub(crate) fn closed(&self) -> Error {
        Error::Closed { stream: self.name().clone() }
    }
}
