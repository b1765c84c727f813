//! Group commit: what is written waits here for its sync; one thread syncs, publishes and answers
//! ([`committer`](crate::write::committer)).
//!
//! ```text
//! writer ──push──▶ written ──take all──▶ sync ──ok──▶ publish, answer
//!                     │                    └─failed─▶ ┐
//!                     └───────────────────────────────┴▶ all of it answered with the error; the writer cuts
//! ```
//!
//! One sync runs at a time; the next covers all that was written meanwhile. All that waits is of one file: the writer drains this
//! before it begins another segment. A failed sync is never repeated as proof.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    disk::files::File,
    error::Error,
    options::{Options, Sync},
    read::published::NewBlock,
    write::{append::Appended, health::WriteHealth, ticket::Waiting},
};

/// A block that is written and not yet committed.
#[derive(Debug)]
pub(crate) struct WrittenBlock {
    pub(crate) new_block: NewBlock,
    pub(crate) file: Arc<dyn File>,
    pub(crate) answers: Vec<(Waiting, Appended)>,
}

/// The place between the two threads.
#[derive(Debug, Default)]
pub(crate) struct CommitQueue {
    state: Mutex<CommitState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct CommitState {
    written: VecDeque<WrittenBlock>,
    /// Bytes of events in `written`.
    bytes: u64,
    /// A sync is under way.
    syncing: bool,
    /// Someone waits for everything to be synced; do not wait for the interval.
    draining: bool,
    /// Something has failed that the writer has not mended yet.
    failed: bool,
    /// Nothing more will be written.
    closing: bool,
    /// The thread that syncs has ended; nothing can be committed any more.
    gone: bool,
}

/// A write or sync has failed; everything in flight has been answered with that.
#[derive(Debug)]
pub(crate) struct Failed;

impl CommitQueue {
    /// Hands over a written block; gives it back, to be answered with the failure, when something failed before it.
    pub(crate) fn push(&self, written: WrittenBlock) -> Result<(), Box<WrittenBlock>> {
        let mut state = self.lock();
        if state.failed || state.gone {
            return Err(Box::new(written));
        }
        state.bytes += written.new_block.block.payload.len() as u64;
        state.written.push_back(written);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits until all that was handed over is committed.
    pub(crate) fn drain(&self) -> Result<(), Failed> {
        let mut state = self.lock();
        state.draining = true;
        self.changed.notify_all();
        while !state.failed && !state.gone && (state.syncing || !state.written.is_empty()) {
            state = self.wait(state);
        }
        state.draining = false;
        if state.failed || state.gone { Err(Failed) } else { Ok(()) }
    }

    /// Waits until no sync is under way and answers whether something has failed; then that counts as noticed.
    pub(crate) fn notice_failure(&self) -> bool {
        let mut state = self.lock();
        while state.failed && state.syncing {
            state = self.wait(state);
        }
        mem::take(&mut state.failed)
    }

    /// Nothing more will be written: the thread that syncs ends when all is done.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// A write has failed: everything that is not committed when the running sync is over gets the error.
    pub(crate) fn fail(&self, health: &WriteHealth, what: &str) {
        let mut state = self.lock();
        while state.syncing {
            state = self.wait(state);
        }
        self.fail_locked(state, health, what, VecDeque::new());
    }

    /// The sync of `batch` has failed.
    pub(super) fn fail_sync(&self, health: &WriteHealth, what: &str, batch: VecDeque<WrittenBlock>) {
        self.fail_locked(self.lock(), health, what, batch);
    }

    /// From a failure on until the writer has mended it nothing is taken; all that waits is answered.
    fn fail_locked(
        &self,
        mut state: MutexGuard<'_, CommitState>,
        health: &WriteHealth,
        what: &str,
        batch: VecDeque<WrittenBlock>,
    ) {
        health.failed(what);
        state.failed = true;
        state.syncing = false;
        let waiting = mem::take(&mut state.written);
        state.bytes = 0;
        drop(state);
        for written in batch.into_iter().chain(waiting) {
            written.refuse(&health.cannot_write());
        }
        self.changed.notify_all();
    }

    // Every change under the lock is one operation, so a panic elsewhere leaves the state whole.
    fn lock(&self) -> MutexGuard<'_, CommitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, CommitState>) -> MutexGuard<'a, CommitState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// All that is written, once there is something and it is time to sync; `None` when closing and done.
    pub(super) fn take(&self, options: &Options, last_sync: Option<Instant>) -> Option<VecDeque<WrittenBlock>> {
        let mut state = self.lock();
        loop {
            if state.written.is_empty() {
                if state.closing {
                    return None;
                }
                state = self.wait(state);
                continue;
            }
            // With half of what may be on its way waiting here, waiting longer would only hold the sources up.
            let hurried = state.draining || state.closing || state.bytes * 2 >= options.queue_bytes.0;
            let left = match (options.sync, last_sync) {
                (Sync::Every(interval), Some(last)) if !hurried => interval.0.saturating_sub(last.elapsed()),
                _ => std::time::Duration::ZERO,
            };
            if left.is_zero() {
                state.syncing = true;
                state.bytes = 0;
                return Some(mem::take(&mut state.written));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The sync that [`take`](Self::take) began is over.
    pub(super) fn done(&self) {
        self.lock().syncing = false;
        self.changed.notify_all();
    }
}

impl WrittenBlock {
    /// Answers everyone who waits for this block with `error`.
    pub(crate) fn refuse(self, error: &Error) {
        for (waiting, _) in self.answers {
            waiting.answer(Err(error.clone()));
        }
    }
}

/// Tells the writer, also when the thread that syncs panics.
pub(super) struct SyncEnds<'a>(pub(super) &'a CommitQueue);

impl Drop for SyncEnds<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.gone = true;
        state.syncing = false;
        state.written.clear();
        drop(state);
        self.0.changed.notify_all();
    }
}
