//! A stream's log in memory: what a source is given to look into, and what a test adds to.

use std::sync::{Arc, Mutex};

use lakehead_connector_api::{Error, TailReader};
use lakehead_model::Offset;

/// A log in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct VecTail(Arc<Mutex<Vec<Vec<u8>>>>);

impl VecTail {
    /// A log that holds these events.
    pub fn new(events: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(events.into_iter().collect())))
    }

    /// Appends, as a commit does.
    pub fn commit<'a>(&self, events: impl IntoIterator<Item = &'a [u8]>) {
        self.lock().extend(events.into_iter().map(<[u8]>::to_vec));
    }

    /// All that it holds.
    #[must_use]
    pub fn events(&self) -> Vec<Vec<u8>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().expect("no test panics while it holds the lock")
    }
}

impl TailReader for VecTail {
    fn end(&self) -> Offset {
        Offset(self.lock().len() as u64)
    }

    fn read(&mut self, from: Offset, to: Offset, each: &mut dyn FnMut(Offset, &[u8])) -> Result<(), Error> {
        let events = self.lock();
        for (n, event) in events.iter().enumerate() {
            let offset = Offset(n as u64);
            if from <= offset && offset < to {
                each(offset, event);
            }
        }
        Ok(())
    }
}
