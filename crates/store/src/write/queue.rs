//! The bounded way into a stream: many tasks push, one thread takes.
//!
//! Bounded by bytes, and what was taken counts until it is committed or failed: so the bound covers everything that a
//! crash could lose, and a slow disk makes sources wait instead of filling the memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A queue of `T`.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    room: Arc<Semaphore>,
    bytes_max: u32,
    state: Mutex<QueueState<T>>,
    came: Condvar,
}

#[derive(Debug)]
struct QueueState<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

/// What a taker finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// The next one.
    Next(T),
    /// Nothing came until the deadline.
    Nothing,
    /// Nothing is left and nothing will come.
    Closed,
}

/// Room in the queue, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    _permit: OwnedSemaphorePermit,
}

impl<T> Queue<T> {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let bytes_max = u32::try_from(bytes_max).unwrap_or(u32::MAX);
        Self {
            room: Arc::new(Semaphore::new(bytes_max as usize)),
            bytes_max,
            state: Mutex::new(QueueState { waiting: VecDeque::new(), closed: false }),
            came: Condvar::new(),
        }
    }

    /// Waits for room for `bytes`; for the whole queue when they are more than it. `None` when the queue is closed.
    pub(crate) async fn room(&self, bytes: usize) -> Option<Room> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes_max);
        let permit = Arc::clone(&self.room).acquire_many_owned(bytes).await.ok()?;
        Some(Room { _permit: permit })
    }

    /// Whether more than half of the room is taken.
    pub(crate) fn is_half_full(&self) -> bool {
        self.room.available_permits() < self.bytes_max as usize / 2
    }

    /// Whether there is something to take.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Adds one at the end, or gives it back when the queue is closed.
    pub(crate) fn push(&self, one: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Err(one);
        }
        state.waiting.push_back(one);
        drop(state);
        self.came.notify_one();
        Ok(())
    }

    /// Takes the next one; waits until `deadline`, or for ever when there is none.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Taken<T> {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.waiting.pop_front() {
                return Taken::Next(next);
            }
            if state.closed {
                return Taken::Closed;
            }
            state = match deadline {
                None => self.came.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Taken::Nothing;
                    }
                    self.came.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            }
        }
    }

    /// Takes no more; what is in can still be taken. Those who wait for room are told.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.came.notify_all();
    }

    // A thread that panics while it holds the lock leaves a queue that is whole: every step under it is one operation.
    fn lock(&self) -> MutexGuard<'_, QueueState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_bounded_by_bytes_and_comes_back() {
        let queue: Queue<()> = Queue::new(10);
        let room = queue.room(7).await.expect("open");
        let mut second = Box::pin(queue.room(4));
        assert!(futures_poll(&mut second).is_none(), "7 + 4 > 10");
        drop(room);
        assert!(second.await.is_some());
        assert!(queue.room(1_000).await.is_some(), "what is larger than the queue takes all of it");
    }

    fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn what_was_pushed_before_closing_is_still_taken() {
        let queue = Queue::new(10);
        assert_eq!(queue.push(1), Ok(()));
        queue.close();
        assert_eq!(queue.push(2), Err(2));
        assert_eq!(queue.take(None), Taken::Next(1));
        assert_eq!(queue.take(None), Taken::Closed);
    }

    #[test]
    fn a_deadline_that_has_passed_takes_nothing() {
        let queue: Queue<()> = Queue::new(10);
        assert_eq!(queue.take(Some(Instant::now())), Taken::Nothing);
    }
}
