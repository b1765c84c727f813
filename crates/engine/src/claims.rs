//! Claims on the log: who still needs the events of a stream, from which offset on.
//!
//! ```text
//! views, sinks ── claim, advance, drop ──▶ Claims ◀── read ── retention, the status
//! ```
//! One registry for a running pipeline. A claim only ever advances, so a plan of retention that was made with an older value
//! removes too little and never too much. Whoever is about to make a claim that may lie further back than all others, as when
//! views are replaced, first [`keep_all`](Claims::keep_all)s the stream: that waits for the plan under way.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lakehead_model::{Name, Offset};
use lakehead_store::Claim;

use crate::sync::lock;

/// All claims of a running pipeline. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Claims(Arc<ClaimTable>);

#[derive(Default)]
struct ClaimTable {
    streams: Mutex<BTreeMap<Name, StreamClaims>>,
    /// Held for reading from a plan of retention until it is carried out.
    planning: RwLock<()>,
    /// The number of the next claim.
    next: AtomicU64,
}

/// Of one stream.
#[derive(Default)]
struct StreamClaims {
    /// All that is there is needed: views are being replaced, and where the next ones begin is not known yet.
    keeps_all: bool,
    /// In the order in which they were made.
    claims: BTreeMap<u64, Claimed>,
}

/// One claim.
struct Claimed {
    by: String,
    from: Arc<AtomicU64>,
    waits: Option<Duration>,
}

/// Holds the claim of one reader of a stream; the claim counts until this is dropped.
pub(crate) struct ClaimGuard {
    table: Arc<ClaimTable>,
    stream: Name,
    number: u64,
    from: Arc<AtomicU64>,
}

/// While it is held, no stream begins to be kept as a whole.
pub(crate) struct Planning<'c> {
    claims: &'c Claims,
    _guard: RwLockReadGuard<'c, ()>,
}

impl Claims {
    /// Claims the events of `stream` from `from` on, for `who`: `view edits_per_minute`.
    pub(crate) fn claim(&self, stream: &Name, who: String, from: Offset) -> ClaimGuard {
        self.add(stream, Claim::new(who, from))
    }

    /// Makes `claim` on `stream`.
    pub(crate) fn add(&self, stream: &Name, Claim { by, from, waits }: Claim) -> ClaimGuard {
        let table = Arc::clone(&self.0);
        let number = table.next.fetch_add(1, Ordering::Relaxed);
        let from = Arc::new(AtomicU64::new(from.0));
        let mut streams = lock(&table.streams);
        streams
            .entry(stream.clone())
            .or_default()
            .claims
            .insert(number, Claimed { by, from: Arc::clone(&from), waits });
        drop(streams);
        ClaimGuard { table, stream: stream.clone(), number, from }
    }

    /// Whether everything that `stream` has stays, whoever claims it. Waits while retention carries out a plan, so it may
    /// block for as long as that takes: afterwards no older plan is under way.
    pub(crate) fn keep_all(&self, stream: &Name, keeps_all: bool) {
        let _no_plan = self.0.planning.write().unwrap_or_else(PoisonError::into_inner);
        lock(&self.0.streams).entry(stream.clone()).or_default().keeps_all = keeps_all;
    }

    /// For retention, from a plan until it is carried out.
    pub(crate) fn planning(&self) -> Planning<'_> {
        let guard = self.0.planning.read().unwrap_or_else(PoisonError::into_inner);
        Planning { claims: self, _guard: guard }
    }
}

impl Planning<'_> {
    /// All claims on `stream`.
    pub(crate) fn of(&self, stream: &Name) -> Vec<Claim> {
        let streams = lock(&self.claims.0.streams);
        let Some(of) = streams.get(stream) else { return Vec::new() };
        if of.keeps_all {
            return vec![Claim::new("views that are being replaced", Offset(0))];
        }
        let claim = |claimed: &Claimed| Claim {
            by: claimed.by.clone(),
            from: Offset(claimed.from.load(Ordering::Acquire)),
            waits: claimed.waits,
        };
        of.claims.values().map(claim).collect()
    }
}

impl ClaimGuard {
    /// What is before `from` is not needed any more.
    pub(crate) fn advance(&self, from: Offset) {
        self.from.fetch_max(from.0, Ordering::Release);
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        if let Some(of) = lock(&self.table.streams).get_mut(&self.stream) {
            of.claims.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::RecvTimeoutError, time::Duration};

    use super::*;

    fn needs(claims: &Claims, stream: &Name) -> Vec<(String, u64)> {
        claims.planning().of(stream).into_iter().map(|need| (need.by, need.from.0)).collect()
    }

    #[test]
    fn a_claim_stands_where_it_was_advanced_to_until_it_is_dropped() {
        let (claims, name) = (Claims::default(), |text| Name::new(text).expect("a name"));
        let (s, t) = (name("s"), name("t"));
        let a = claims.claim(&s, "view a".to_owned(), Offset(7));
        let b = claims.claim(&s, "view b".to_owned(), Offset(0));
        let _c = claims.claim(&t, "view c".to_owned(), Offset(1));
        a.advance(Offset(9));
        a.advance(Offset(8));
        assert_eq!(needs(&claims, &s), [("view a".to_owned(), 9), ("view b".to_owned(), 0)]);
        claims.keep_all(&s, true);
        assert_eq!(needs(&claims, &s), [("views that are being replaced".to_owned(), 0)]);
        assert_eq!(needs(&claims, &t), [("view c".to_owned(), 1)]);
        claims.keep_all(&s, false);
        drop(b);
        assert_eq!(needs(&claims, &s), [("view a".to_owned(), 9)]);
    }

    #[test]
    fn keeping_all_waits_for_the_plan_under_way() {
        let (claims, stream) = (Claims::default(), Name::new("s").expect("a name"));
        let planning = claims.planning();
        let (tell, told) = std::sync::mpsc::channel();
        let keeping = std::thread::spawn({
            let (claims, stream) = (claims.clone(), stream.clone());
            move || {
                tell.send("begins").expect("somebody listens");
                claims.keep_all(&stream, true);
                tell.send("keeps all").expect("somebody listens");
            }
        });
        assert_eq!(told.recv(), Ok("begins"));
        // Long for what does not wait.
        assert_eq!(told.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
        assert!(planning.of(&stream).is_empty(), "the plan sees what there was when it began");
        drop(planning);
        assert_eq!(told.recv(), Ok("keeps all"));
        keeping.join().expect("no panic");
        assert_eq!(needs(&claims, &stream).len(), 1);
    }
}
