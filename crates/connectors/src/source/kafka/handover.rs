//! From the thread that reads to the reader that the engine asks: a few chunks wait in between, and either side can leave.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lakehead_connector_api::{Chunk, Error};
use tokio::sync::Notify;

/// Chunks that wait: one is taken while the next is made.
const WAITING_MAX: usize = 2;

/// A chunk; `None` at the end.
pub(super) type HandedOver = Result<Option<Chunk>, Error>;

/// What became of something that was to be handed over.
#[derive(Debug)]
pub(super) enum PutOutcome {
    /// It waits for the reader.
    Put,
    /// There is no room; here it is.
    Full(HandedOver),
    /// Nobody takes it any more.
    Closed,
}

/// The place in between.
#[derive(Debug, Default)]
pub(super) struct Handover {
    waiting: Mutex<HandoverQueue>,
    taken: Condvar,
    put: Notify,
}

#[derive(Debug, Default)]
struct HandoverQueue {
    waiting: VecDeque<HandedOver>,
    is_closed: bool,
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, HandoverQueue> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something there, once there is room.
    pub(super) fn put(&self, what: HandedOver, within: Duration) -> PutOutcome {
        let deadline = Instant::now() + within;
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                return PutOutcome::Closed;
            }
            if queue.waiting.len() < WAITING_MAX {
                queue.waiting.push_back(what);
                self.put.notify_one();
                return PutOutcome::Put;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return PutOutcome::Full(what);
            }
            (queue, _) = self.taken.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next thing. A call that is dropped has taken nothing.
    pub(super) async fn take(&self) -> HandedOver {
        loop {
            let next = {
                let mut queue = self.lock();
                let next = queue.waiting.pop_front();
                if next.is_none() && queue.is_closed {
                    return Err(Error::Internal("the thread that reads from Kafka has ended".to_owned()));
                }
                next
            };
            if let Some(next) = next {
                self.taken.notify_all();
                return next;
            }
            self.put.notified().await;
        }
    }

    /// One side leaves.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.taken.notify_all();
        self.put.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn chunk(duplicates: u64) -> HandedOver {
        Ok(Some(Chunk { duplicates, ..Chunk::default() }))
    }

    #[tokio::test]
    async fn chunks_come_in_order_and_only_so_many_wait() {
        let between = Arc::new(Handover::default());
        let thread = std::thread::spawn({
            let between = between.clone();
            move || (0..100).for_each(|n| drop(between.put(chunk(n), Duration::from_secs(60))))
        });
        for n in 0..100 {
            let taken = between.take().await.expect("no error").expect("a chunk");
            assert_eq!(taken.duplicates, n);
        }
        thread.join().expect("no panic");
        for n in 0..WAITING_MAX as u64 {
            assert!(matches!(between.put(chunk(n), Duration::ZERO), PutOutcome::Put));
        }
        assert!(matches!(between.put(chunk(9), Duration::from_millis(1)), PutOutcome::Full(Ok(Some(_)))));
    }

    #[tokio::test]
    async fn who_waits_learns_that_the_other_side_has_left() {
        let between = Arc::new(Handover::default());
        (0..2).for_each(|n| drop(between.put(chunk(n), Duration::ZERO)));
        let waits = std::thread::spawn({
            let between = between.clone();
            move || between.put(chunk(2), Duration::from_secs(60))
        });
        between.close();
        assert!(matches!(waits.join().expect("no panic"), PutOutcome::Closed));
        // What waits is still there for the reader; then it hears of the end.
        assert!(between.take().await.is_ok() && between.take().await.is_ok());
        assert!(matches!(between.take().await, Err(Error::Internal(_))));
    }
}
