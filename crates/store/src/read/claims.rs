//! Who still needs the log, and from which offset on: the open readers, and what is pinned for another process.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use lakehead_model::Offset;

/// Somebody's need of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Who, for people: `view edits_per_minute`.
    pub by: String,
    /// The first offset that is needed.
    pub from: Offset,
}

/// One claim on the log; it counts for as long as it is there.
#[derive(Debug)]
pub(crate) struct Claim {
    by: String,
    from: AtomicU64,
}

impl Claim {
    /// From now on the log is needed from `from` on.
    pub(crate) fn move_to(&self, from: Offset) {
        self.from.store(from.0, Ordering::Release);
    }
}

/// All claims on one log.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    all: Mutex<Vec<Weak<Claim>>>,
}

impl Claims {
    /// A new claim, for `by`.
    pub(crate) fn claim(&self, by: &str, from: Offset) -> Arc<Claim> {
        let claim = Arc::new(Claim { by: by.to_owned(), from: AtomicU64::new(from.0) });
        let mut all = self.lock();
        all.retain(|claim| claim.strong_count() > 0);
        all.push(Arc::downgrade(&claim));
        claim
    }

    /// The claims that count now, as needs.
    pub(crate) fn needs(&self) -> Vec<Need> {
        let need = |claim: Arc<Claim>| Need { by: claim.by.clone(), from: Offset(claim.from.load(Ordering::Acquire)) };
        self.lock().iter().filter_map(Weak::upgrade).map(need).collect()
    }

    // Every change under the lock is one operation, so a panic elsewhere leaves the list whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Claim>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
