//! The task that reads a source: it hands over chunks through a queue that is bounded in chunks and in bytes.

use std::sync::Arc;

use lakehead_connector_api::{Chunk, Error, Reader};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};

/// Most chunks that are read ahead of what is appended: so many that the reader works while a few are handed to the store, and
/// no more, since what is here is read again after a stop.
const AHEAD_MAX: usize = 16;

/// Most KiB of events and rejects that are read ahead: sixteen chunks of the size that the contract asks for.
const AHEAD_KIB_MAX: u32 = 4 << 10;

/// What the reader's task hands over. Nothing follows on the end or a failure.
pub(super) enum Handed {
    Chunk(Chunk),
    Ended,
    Failed(Error),
}

/// A reader at work.
pub(super) struct Reading {
    queue: mpsc::Receiver<(Handed, Option<OwnedSemaphorePermit>)>,
    task: JoinHandle<()>,
}

impl Reading {
    pub(super) fn start(reader: Box<dyn Reader>) -> Self {
        let (hand_over, queue) = mpsc::channel(AHEAD_MAX);
        Self { queue, task: tokio::spawn(read(reader, hand_over)) }
    }

    /// What comes next. Dropped before it resolves, nothing is lost.
    ///
    /// # Panics
    /// When the reader has panicked, with what it said.
    pub(super) async fn next(&mut self) -> Handed {
        if let Some((handed, _room)) = self.queue.recv().await {
            return handed;
        }
        match (&mut self.task).await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => Handed::Failed(Error::Internal("the reader's task ended without a word".to_owned())),
        }
    }

    /// Ends the task, wherever it is, and waits for it: two readers of one source never overlap.
    pub(super) async fn end(mut self) {
        self.queue.close();
        self.task.abort();
        if !self.task.is_finished() {
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(mut reader: Box<dyn Reader>, hand_over: mpsc::Sender<(Handed, Option<OwnedSemaphorePermit>)>) {
    let room = Arc::new(Semaphore::new(AHEAD_KIB_MAX as usize));
    loop {
        let handed = match reader.next().await {
            Ok(Some(chunk)) => Handed::Chunk(chunk),
            Ok(None) => Handed::Ended,
            Err(error) => Handed::Failed(error),
        };
        let permit = match &handed {
            Handed::Chunk(chunk) => Arc::clone(&room).acquire_many_owned(kib(chunk)).await.ok(),
            _ => None,
        };
        let is_last = permit.is_none();
        if hand_over.send((handed, permit)).await.is_err() {
            return;
        }
        if is_last {
            // It is dropped when what it brought has been acknowledged.
            return hand_over.closed().await;
        }
    }
}

/// What a chunk takes of the room; one that is greater than all of it takes all.
fn kib(chunk: &Chunk) -> u32 {
    let rejects: usize = chunk.rejects.iter().map(|reject| reject.payload.len()).sum();
    u32::try_from((chunk.events.payload().len() + rejects) >> 10).unwrap_or(AHEAD_KIB_MAX).min(AHEAD_KIB_MAX)
}
