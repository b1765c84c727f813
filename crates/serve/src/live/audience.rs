//! Who listens, and which panels each listener sees.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// How many may listen at once. A page closes its stream while it is hidden, so these are dashboards really looked at.
pub(crate) const CLIENTS_MAX: usize = 64;

/// The names of panels that somebody sees.
pub(crate) type Seen = BTreeSet<String>;

/// All who listen.
pub(super) struct Audience {
    places: Arc<Semaphore>,
    members: Mutex<BTreeMap<u64, watch::Sender<Seen>>>,
    next_id: AtomicU64,
    came: Notify,
}

/// One who listens, until it is dropped.
pub(super) struct Member {
    audience: Arc<Audience>,
    /// The number by which it says what it sees.
    pub(super) id: u64,
    /// What it sees.
    pub(super) sees: watch::Receiver<Seen>,
    _place: OwnedSemaphorePermit,
}

impl Audience {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(CLIENTS_MAX)),
            members: Mutex::default(),
            next_id: AtomicU64::new(1),
            came: Notify::new(),
        }
    }

    /// One more who sees these panels at first; `None` when every place is taken.
    pub(super) fn join(self: &Arc<Self>, sees: Seen) -> Option<Member> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (say, sees) = watch::channel(sees);
        self.members().insert(id, say);
        self.came.notify_waiters();
        Some(Member { audience: Arc::clone(self), id, sees, _place: place })
    }

    /// How many listen.
    pub(super) fn count(&self) -> usize {
        CLIENTS_MAX - self.places.available_permits()
    }

    /// What all together see.
    pub(super) fn seen(&self) -> Seen {
        self.members().values().flat_map(|seen| seen.borrow().clone()).collect()
    }

    /// Notes what a member sees from now on; whether there is such a member.
    pub(super) fn notes(&self, id: u64, seen: Seen) -> bool {
        match self.members().get(&id) {
            Some(say) => {
                say.send_replace(seen);
                true
            }
            None => false,
        }
    }

    /// Returns when somebody listens: at once with false, or after waiting with true.
    pub(super) async fn waited_for_somebody(&self) -> bool {
        let mut waited = false;
        loop {
            let came = self.came.notified();
            if !self.members().is_empty() {
                return waited;
            }
            came.await;
            waited = true;
        }
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<u64, watch::Sender<Seen>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.audience.members().remove(&self.id);
    }
}
