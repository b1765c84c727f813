//! The two threads of a stream that is open for writing: one writes, one syncs.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use crate::{
    error::Error,
    write::{committer, queue::Taken, write_side::WriteSide, writer::Writer},
};

/// The threads, until they are joined.
#[derive(Debug)]
pub(crate) struct WriteThreads {
    handles: Mutex<Vec<JoinHandle<()>>>,
}

/// Closes the queue and the commits when the writer ends, also by a panic, so that nobody waits for ever.
struct WriterEnds(Arc<WriteSide>);

impl Drop for WriterEnds {
    fn drop(&mut self) {
        self.0.queue.close();
        // After a panic what is left gets no answer; dropping it tells those who wait that the stream is closed.
        while let Taken::Next(left) = self.0.queue.take(None) {
            drop(left);
        }
        self.0.commits.close();
    }
}

impl WriteThreads {
    /// Starts both.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(side: &Arc<WriteSide>, writer: Writer) -> Result<Self, Error> {
        let guard = WriterEnds(Arc::clone(side));
        let write = move || {
            let _guard = guard;
            writer.run();
        };
        let syncing = Arc::clone(side);
        let handles = vec![spawn(side, "write", write)?, spawn(side, "sync", move || committer::run(&syncing))?];
        Ok(Self { handles: Mutex::new(handles) })
    }

    /// Waits until both have ended; answers whether one of them has panicked.
    pub(crate) fn join(&self) -> bool {
        let handles = mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
        handles.into_iter().fold(false, |panicked, handle| panicked | handle.join().is_err())
    }
}

fn spawn(side: &WriteSide, what: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(format!("{what} {}", side.name()))
        .spawn(run)
        .map_err(Error::io("start a thread for", &side.log().folder()))
}
