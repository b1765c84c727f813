//! The memory of bodies that are being read: granted as they arrive, given back when they were dealt with.
//!
//! A body costs what it has sent, not what it may send: a hundred slow ones hold next to nothing. When the memory is
//! used up, the body that has kept us waiting the longest is given up for those that go on; the oldest one may always
//! grow, so that bodies which wait for each other never wait for ever.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// The memory for all bodies that are being read and dealt with: 48 MiB, three of the largest. The oldest may pass it by one
/// body more.
const BODIES_BYTES_MAX: usize = 48 << 20;

/// A body that has kept us waiting this long is given up when its memory is needed.
const WAITED_MIN: Duration = Duration::from_secs(1);

/// How often one that waits for memory looks who is slow by now.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a body waits for memory at most; then its sender is asked to come again.
pub(crate) const MEMORY_TIME_MAX: Duration = Duration::from_secs(30);

/// The memory of all bodies that are being read.
#[derive(Default)]
pub(crate) struct BodyMemory {
    granted: Mutex<Granted>,
    freed: Notify,
}

/// What each body holds.
#[derive(Default)]
struct Granted {
    used: usize,
    next: u64,
    /// By age.
    all: BTreeMap<u64, Entry>,
}

struct Entry {
    held: usize,
    /// Since when its sender has kept us waiting.
    waits: Option<Instant>,
    given_up: Arc<Notify>,
    is_given_up: bool,
}

impl BodyMemory {
    /// A body begins. It holds nothing yet.
    pub(crate) fn begin(self: &Arc<Self>) -> Grant {
        let mut granted = self.lock();
        let age = granted.next;
        granted.next += 1;
        let given_up = Arc::new(Notify::new());
        granted.all.insert(age, Entry { held: 0, waits: None, given_up: Arc::clone(&given_up), is_given_up: false });
        Grant { memory: Arc::clone(self), age, given_up }
    }

    /// Bytes that are held, and how many bodies there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let granted = self.lock();
        (granted.used, granted.all.len())
    }

    fn lock(&self) -> MutexGuard<'_, Granted> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Granted {
    /// Lets the body of this age grow; false when there is no room.
    fn grow(&mut self, age: u64, bytes: usize) -> bool {
        let oldest = self.all.iter().find(|(_, entry)| !entry.is_given_up).map(|(age, _)| *age);
        if self.used + bytes > BODIES_BYTES_MAX && oldest != Some(age) {
            return false;
        }
        self.used += bytes;
        if let Some(entry) = self.all.get_mut(&age) {
            entry.held += bytes;
        }
        true
    }

    /// Gives up the body that has kept us waiting the longest, if one has for long enough.
    fn give_one_up(&mut self) {
        let slow = self.all.values_mut().filter(|entry| entry.held > 0 && !entry.is_given_up);
        let slow = slow.filter_map(|entry| Some((entry.waits?.elapsed(), entry)));
        if let Some((waited, entry)) = slow.max_by_key(|(waited, _)| *waited)
            && waited >= WAITED_MIN
        {
            entry.is_given_up = true;
            entry.given_up.notify_one();
        }
    }
}

/// What one body holds, until it is dropped.
pub(crate) struct Grant {
    memory: Arc<BodyMemory>,
    age: u64,
    given_up: Arc<Notify>,
}

impl Grant {
    /// Waits until there is room for so many bytes more; false when none came in time.
    pub(crate) async fn grow(&self, bytes: usize) -> bool {
        let begun = Instant::now();
        loop {
            let freed = self.memory.freed.notified();
            {
                let mut granted = self.memory.lock();
                if granted.grow(self.age, bytes) {
                    return true;
                }
                granted.give_one_up();
            }
            if begun.elapsed() >= MEMORY_TIME_MAX {
                return false;
            }
            let _ = tokio::time::timeout(LOOK_EVERY, freed).await;
        }
    }

    /// Gives bytes back before the end.
    pub(crate) fn shrink(&self, bytes: usize) {
        let mut granted = self.memory.lock();
        let freed = granted.all.get_mut(&self.age).map_or(0, |entry| {
            let freed = bytes.min(entry.held);
            entry.held -= freed;
            freed
        });
        granted.used -= freed;
        drop(granted);
        self.memory.freed.notify_waiters();
    }

    /// Whether its sender keeps us waiting.
    pub(crate) fn waits(&self, waits: bool) {
        if let Some(entry) = self.memory.lock().all.get_mut(&self.age) {
            entry.waits = waits.then(Instant::now);
        }
    }

    /// Returns when this body is given up for others.
    pub(crate) async fn given_up(&self) {
        self.given_up.notified().await;
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let mut granted = self.memory.lock();
        if let Some(entry) = granted.all.remove(&self.age) {
            granted.used -= entry.held;
        }
        drop(granted);
        self.memory.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_may_always_grow_and_others_wait_for_room() {
        let memory = Arc::new(BodyMemory::default());
        let (first, second) = (memory.begin(), memory.begin());
        assert!(first.grow(BODIES_BYTES_MAX / 2).await && second.grow(BODIES_BYTES_MAX / 2).await);
        assert!(first.grow(1 << 20).await, "else they would wait for each other");
        {
            let mut waiting = std::pin::pin!(second.grow(1 << 20));
            assert!(futures::future::poll_immediate(&mut waiting).await.is_none());
            drop(first);
            assert!(waiting.await);
        }
        drop(second);
        assert_eq!(memory.counts(), (0, 0));
    }

    #[tokio::test]
    async fn the_one_that_keeps_us_waiting_is_given_up_for_one_that_goes_on() {
        let memory = Arc::new(BodyMemory::default());
        let (slow, fast) = (memory.begin(), memory.begin());
        assert!(slow.grow(BODIES_BYTES_MAX).await);
        slow.waits(true);
        let long_ago = Instant::now().checked_sub(2 * WAITED_MIN).expect("the machine runs longer");
        memory.lock().all.values_mut().next().expect("the slow one").waits = Some(long_ago);
        let give_up = async {
            slow.given_up().await;
            drop(slow);
        };
        let (granted, ()) = tokio::join!(fast.grow(1), give_up);
        assert!(granted);
    }
}
