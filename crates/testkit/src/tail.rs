//! A stream's log in memory: what a source is given to look into, and what a test adds to.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use lakehead_connector_api::{Error, TailEvents, TailReader};
use lakehead_model::Offset;

/// Events that one call of [`TailReader::read`] gives at most: so many that a log is read in few calls, and so few that no
/// test's log is read in one.
const READ_EVENTS_MAX: u64 = 1_000;

/// A log in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct VecTail(Arc<Mutex<Vec<Bytes>>>);

impl VecTail {
    /// A log that holds these events.
    pub fn new(events: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(events.into_iter().map(Bytes::from).collect())))
    }

    /// Appends, as a commit does.
    pub fn commit<'a>(&self, events: impl IntoIterator<Item = &'a [u8]>) {
        self.lock().extend(events.into_iter().map(Bytes::copy_from_slice));
    }

    /// All that it holds.
    #[must_use]
    pub fn events(&self) -> Vec<Vec<u8>> {
        self.lock().iter().map(|event| event.to_vec()).collect()
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Bytes>> {
        self.0.lock().expect("no test panics while it holds the lock")
    }
}

#[async_trait]
impl TailReader for VecTail {
    fn end(&self) -> Offset {
        Offset(self.lock().len() as u64)
    }

    async fn read(&mut self, from: Offset, to: Offset) -> Result<TailEvents, Error> {
        let log = self.lock();
        let next = to.0.min(log.len() as u64).min(from.0.saturating_add(READ_EVENTS_MAX));
        let events = (from.0..next).filter_map(|n| Some((Offset(n), log.get(usize::try_from(n).ok()?)?.clone())));
        let events = events.collect();
        // At the log's end there is no more, whatever was asked for.
        Ok(TailEvents { events, next: if next >= log.len() as u64 { to.max(Offset(next)) } else { Offset(next) } })
    }
}
