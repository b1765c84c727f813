//! Who still needs the log, and from which offset on: the open readers, and what is pinned for another process.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use lakehead_model::Offset;

/// A claim on the log: who needs it, from which offset on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who, for people: `view edits_per_minute`.
    pub by: String,
    /// The first offset that is needed.
    pub from: Offset,
}

/// Holds one claim on the log; the claim counts until this is dropped.
#[derive(Debug)]
pub(crate) struct ClaimGuard {
    by: String,
    from: AtomicU64,
}

impl ClaimGuard {
    /// From now on the log is needed from `from` on.
    pub(crate) fn move_to(&self, from: Offset) {
        self.from.store(from.0, Ordering::Release);
    }
}

/// All claims on one log.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    all: Mutex<Vec<Weak<ClaimGuard>>>,
}

impl Claims {
    /// A new claim, for `by`.
    pub(crate) fn claim(&self, by: &str, from: Offset) -> Arc<ClaimGuard> {
        let claim = Arc::new(ClaimGuard { by: by.to_owned(), from: AtomicU64::new(from.0) });
        let mut all = self.lock();
        all.retain(|claim| claim.strong_count() > 0);
        all.push(Arc::downgrade(&claim));
        claim
    }

    /// The claims that count now.
    pub(crate) fn list(&self) -> Vec<Claim> {
        let claim =
            |claim: Arc<ClaimGuard>| Claim { by: claim.by.clone(), from: Offset(claim.from.load(Ordering::Acquire)) };
        self.lock().iter().filter_map(Weak::upgrade).map(claim).collect()
    }

    // Every change under the lock is one operation, so a panic elsewhere leaves the list whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<ClaimGuard>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
