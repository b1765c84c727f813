//! The throttle of an audit: bounds how fast its readers read, so that the live path keeps disk and cores, and stops them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use lakehead_query::Pace;

/// The longest that a reader sleeps before it looks whether it is to stop.
const NAP_MAX: Duration = Duration::from_millis(50);

/// Called with the bytes read so far.
type Watcher = Box<dyn Fn(u64) + Send + Sync>;

/// Counts what is read, and holds readers back. All readers of one audit share it. Its time is how long a thread has
/// waited, not what time it is.
pub struct Throttle {
    bytes_per_second: Option<u64>,
    read: AtomicU64,
    begun: Instant,
    stopped: Arc<AtomicBool>,
    watcher: Option<Watcher>,
}

impl Throttle {
    /// As fast as it goes. `watcher` is told the bytes read so far.
    #[must_use]
    pub fn unlimited(watcher: Option<Watcher>) -> Self {
        Self {
            bytes_per_second: None,
            read: AtomicU64::new(0),
            begun: Instant::now(),
            stopped: Arc::default(),
            watcher,
        }
    }

    /// At most so many bytes of events a second. `stopped` ends it.
    pub(crate) fn limited(bytes_per_second: u64, stopped: Arc<AtomicBool>) -> Self {
        Self { bytes_per_second: Some(bytes_per_second.max(1)), stopped, ..Self::unlimited(None) }
    }

    /// What is dropped with a future that nobody awaits any more: readers in other threads then stop.
    pub(crate) fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(Arc::clone(&self.stopped))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Stops a throttle's readers when it is dropped.
pub(crate) struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Pace for Throttle {
    fn read(&self, bytes: u64) -> bool {
        let read = self.read.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(watcher) = &self.watcher {
            watcher(read);
        }
        if let Some(rate) = self.bytes_per_second {
            let due = Duration::from_secs_f64(read as f64 / rate as f64);
            while !self.is_stopped() {
                match due.checked_sub(self.begun.elapsed()) {
                    Some(early) if early > Duration::ZERO => std::thread::sleep(early.min(NAP_MAX)),
                    _ => break,
                }
            }
        }
        !self.is_stopped()
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Throttle({:?} B/s, {} read)", self.bytes_per_second, self.read.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_back_and_stops_at_once() {
        let stopped = Arc::new(AtomicBool::new(false));
        let throttle = Throttle::limited(1_000_000, Arc::clone(&stopped));
        assert!(throttle.read(20_000));
        assert!(throttle.begun.elapsed() >= Duration::from_millis(20));
        stopped.store(true, Ordering::Relaxed);
        assert!(!throttle.read(u64::from(u32::MAX)));
    }
}
