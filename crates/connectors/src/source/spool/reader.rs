//! The reader: asks for chunks where blocking is allowed, and waits while there are none.

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use lakehead_connector_api::{Chunk, Error, Reader};
use tokio::{task::JoinError, time::Instant};

use super::{ledger::Ledger, spooler::Spooler};

/// The reader of a spool. It never ends.
pub(super) struct SpoolReader {
    /// `None` while it is at work, and after a call that was dropped.
    pub(super) spooler: Option<Spooler>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) stop: Arc<AtomicBool>,
    /// The folder, locked: a second source of it would read each file, too.
    pub(super) _lock: File,
}

impl Drop for SpoolReader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Reader for SpoolReader {
    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            let Some(mut spooler) = self.spooler.take() else {
                return Err(Error::Internal("a spool is asked again after a call was dropped".to_owned()));
            };
            let now = Instant::now();
            let work = move || {
                let outcome = spooler.gather(now);
                (spooler, outcome)
            };
            let (spooler, outcome) = unless_it_panics(tokio::task::spawn_blocking(work).await);
            let poll = spooler.poll;
            self.spooler = Some(spooler);
            if let Some(chunk) = outcome? {
                return Ok(Some(chunk));
            }
            // Files that were put out of the way have made room, or one of them had changed.
            let _ = tokio::time::timeout(poll, self.ledger.changed.notified()).await;
        }
    }
}

/// What a blocking task has answered; a panic in it goes on.
pub(super) fn unless_it_panics<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => panic!("a blocking task is never aborted: {error}"),
    })
}
