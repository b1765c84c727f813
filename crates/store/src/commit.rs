//! Group commit: what is written waits here for its sync, and one thread syncs, publishes and answers.
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
    io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    Appended, Error, Options, Sync,
    append::Waiting,
    crash,
    error::advice,
    files::File,
    published::Fresh,
    stream::{Health, Inner},
};

/// A block that is written and not yet committed.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) fresh: Fresh,
    pub(crate) file: Arc<dyn File>,
    pub(crate) answers: Vec<(Waiting, Appended)>,
}

/// The place between the two threads.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    written: VecDeque<Written>,
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

impl Commit {
    /// Hands over a written block; gives it back, to be answered with the failure, when something failed before it.
    pub(crate) fn push(&self, written: Written) -> Result<(), Box<Written>> {
        let mut state = self.lock();
        if state.failed || state.gone {
            return Err(Box::new(written));
        }
        state.bytes += written.fresh.block.payload.len() as u64;
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
    pub(crate) fn fail(&self, stream: &Inner, what: &str) {
        let mut state = self.lock();
        while state.syncing {
            state = self.wait(state);
        }
        self.fail_locked(state, stream, what, VecDeque::new());
    }

    /// From a failure on until the writer has mended it nothing is taken; all that waits is answered.
    fn fail_locked(&self, mut state: MutexGuard<'_, State>, stream: &Inner, what: &str, batch: VecDeque<Written>) {
        stream.failed(what);
        state.failed = true;
        state.syncing = false;
        let waiting = mem::take(&mut state.written);
        state.bytes = 0;
        drop(state);
        for written in batch.into_iter().chain(waiting) {
            written.refuse(&stream.cannot_write());
        }
        self.changed.notify_all();
    }

    // Every change under the lock is one operation, so a panic elsewhere leaves the state whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// All that is written, once there is something and it is time to sync; `None` when closing and done.
    fn take(&self, options: &Options, last_sync: Option<Instant>) -> Option<VecDeque<Written>> {
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

    fn done(&self) {
        self.lock().syncing = false;
        self.changed.notify_all();
    }
}

impl Written {
    /// Answers everyone who waits for this block with `error`.
    pub(crate) fn refuse(self, error: &Error) {
        for (waiting, _) in self.answers {
            waiting.answer(Err(error.clone()));
        }
    }
}

/// Tells the writer, also when the thread that syncs panics.
struct Gone<'a>(&'a Commit);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.gone = true;
        state.syncing = false;
        state.written.clear();
        drop(state);
        self.0.changed.notify_all();
    }
}

/// The thread that syncs: runs until the writer has closed and everything is committed or refused.
pub(crate) fn run(stream: &Inner) {
    let _gone = Gone(&stream.commit);
    let mut last_sync = None;
    while let Some(batch) = stream.commit.take(&stream.options, last_sync) {
        let synced = match (stream.options.sync, batch.back()) {
            (Sync::Off, _) | (_, None) => Ok(false),
            (_, Some(last)) => last.file.sync().map(|()| true),
        };
        // A file without a name is gone with its last handle, however well it was synced.
        let synced = synced.and_then(|synced| match batch.back() {
            Some(last) if !last.file.is_at(&last.fresh.at.path)? => Err(gone()),
            _ => Ok(synced),
        });
        match synced {
            Ok(synced) => {
                crash::point("sync.after");
                last_sync = Some(Instant::now());
                publish(stream, batch, synced);
                stream.commit.done();
            }
            Err(error) => {
                let path = batch.back().map(|last| last.fresh.at.path.display().to_string()).unwrap_or_default();
                let what = format!("cannot sync {path}: {error}{}", advice(&error));
                stream.commit.fail_locked(stream.commit.lock(), stream, &what, batch);
            }
        }
    }
}

/// The error for a segment that somebody took away.
pub(crate) fn gone() -> io::Error {
    let what = "it was removed or moved, or a folder that leads to it, while Lakehead writes it; put it back, or stop Lakehead \
                and see what `lakehead fsck` says";
    io::Error::new(io::ErrorKind::NotFound, what)
}

/// Shows the blocks, then tells everyone who waits: who is told finds them.
fn publish(stream: &Inner, batch: VecDeque<Written>, synced: bool) {
    let mut answers = Vec::with_capacity(batch.len());
    let end = {
        let mut published = stream.published();
        for written in batch {
            published.publish(written.fresh);
            answers.extend(written.answers);
        }
        if synced {
            published.all_is_synced();
        }
        published.mark.next_offset
    };
    stream.committed.send_replace(end);
    if stream.health.send_if_modified(|health| mem::replace(health, Health::Ok) != Health::Ok) {
        tracing::info!(stream = %stream.name, "can write again");
    }
    for (waiting, appended) in answers {
        waiting.answer(Ok(appended));
    }
}
