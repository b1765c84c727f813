//! Who still needs the log, and from which offset on: the open readers, and what is pinned for another process.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lakehead_model::{Offset, Timestamp};

/// A claim on the log: who needs it, from which offset on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who, for people: `view edits_per_minute`.
    pub by: String,
    /// The first offset that is needed.
    pub from: Offset,
    /// For how long after it was received an event is claimed; `None`: for as long as it takes.
    pub waits: Option<Duration>,
}

impl Claim {
    /// A claim that counts for as long as it takes.
    #[must_use]
    pub fn new(by: impl Into<String>, from: Offset) -> Self {
        Self { by: by.into(), from, waits: None }
    }

    /// Whether it holds, at `now`, a segment that ends at `end` and whose last events were received at `received`.
    pub(crate) fn holds(&self, end: Offset, received: Timestamp, now: Timestamp) -> bool {
        self.from < end && self.waits.is_none_or(|waits| now.since(received) <= waits)
    }
}

/// Holds one claim on the log; the claim counts until this is dropped.
#[derive(Debug)]
pub(crate) struct ClaimGuard {
    by: String,
    from: AtomicU64,
    waits: Option<Duration>,
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
    /// A new claim.
    pub(crate) fn claim(&self, Claim { by, from, waits }: Claim) -> Arc<ClaimGuard> {
        let claim = Arc::new(ClaimGuard { by, from: AtomicU64::new(from.0), waits });
        let mut all = self.lock();
        all.retain(|claim| claim.strong_count() > 0);
        all.push(Arc::downgrade(&claim));
        claim
    }

    /// The claims that count now.
    pub(crate) fn list(&self) -> Vec<Claim> {
        let claim = |claim: Arc<ClaimGuard>| Claim {
            by: claim.by.clone(),
            from: Offset(claim.from.load(Ordering::Acquire)),
            waits: claim.waits,
        };
        self.lock().iter().filter_map(Weak::upgrade).map(claim).collect()
    }

    // Every change under the lock is one operation, so a panic elsewhere leaves the list whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<ClaimGuard>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
