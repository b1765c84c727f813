//! Claims on the changes of a view: who follows it, and how far each has got.
//!
//! ```text
//! followers ── claim, advance, release ──▶ ChangeClaims ◀── read ── each commit: which files of changes are kept
//!                                               │
//!                                               └── saved in the checkpoint, remembered at the next opening
//! ```
//! A claim outlives its holder: a sink that stops, or a process, finds what it has not read yet. It is bounded by
//! [`ViewSettings::changes_bytes_max`](super::ViewSettings::changes_bytes_max) and by a number of files. A follower that is away for too
//! long is overtaken: the files go, it is counted and told, and its next read is a snapshot.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lakehead_model::{Name, Position};

use super::commit_id::CommitId;

/// The claims on one view's changes. Clones are the same; they stay over a cutover.
#[derive(Clone, Debug, Default)]
pub struct ChangeClaims(Arc<Mutex<ClaimTable>>);

#[derive(Debug, Default)]
struct ClaimTable {
    by_name: BTreeMap<String, FollowerClaim>,
    /// The number of the next holder.
    next: u64,
    overtaken: u64,
}

#[derive(Clone, Copy, Debug)]
struct FollowerClaim {
    /// Up to where it has read; `None` before its first read, when nothing is kept for it.
    at: Option<CommitId>,
    /// Who holds it; `None` where it is only remembered.
    holder: Option<u64>,
    is_overtaken: bool,
}

/// What is known of a follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimStatus {
    /// As in `sink warehouse`.
    pub who: String,
    /// Up to where it has read.
    pub at: Option<Position>,
    /// Somebody holds it now; else it is only remembered.
    pub is_held: bool,
    /// What it needs is not kept any more: its next read is a snapshot.
    pub is_overtaken: bool,
}

/// Holds the claim of one follower. When this is dropped the claim stays, for a follower that comes back.
#[derive(Debug)]
pub struct ChangeClaim {
    claims: ChangeClaims,
    who: String,
    holder: u64,
}

impl ChangeClaims {
    fn table(&self) -> MutexGuard<'_, ClaimTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims all changes after `at` for `who`, as in `sink warehouse`: nothing yet where it has read nothing. Takes the place of
    /// an older claim of that name. A position in a stream counts as none.
    #[must_use]
    pub fn claim(&self, who: &str, at: Option<Position>) -> ChangeClaim {
        let mut table = self.table();
        table.next += 1;
        let holder = table.next;
        let claim = FollowerClaim { at: at.and_then(CommitId::of), holder: Some(holder), is_overtaken: false };
        table.by_name.insert(who.to_owned(), claim);
        ChangeClaim { claims: self.clone(), who: who.to_owned(), holder }
    }

    /// Forgets the claims that nobody holds: called once all followers of a pipeline have made theirs.
    pub fn forget_absent(&self) {
        self.table().by_name.retain(|_, claim| claim.holder.is_some());
    }

    /// All claims, by name.
    #[must_use]
    pub fn list(&self) -> Vec<ClaimStatus> {
        let status = |(who, claim): (&String, &FollowerClaim)| ClaimStatus {
            who: who.clone(),
            at: claim.at.map(Position::from),
            is_held: claim.holder.is_some(),
            is_overtaken: claim.is_overtaken,
        };
        self.table().by_name.iter().map(status).collect()
    }

    /// How often a follower was away for too long, since the view was opened.
    #[must_use]
    pub fn overtaken(&self) -> u64 {
        self.table().overtaken
    }

    /// What a checkpoint saves of them.
    pub(super) fn saved(&self) -> BTreeMap<String, CommitId> {
        let at = |(who, claim): (&String, &FollowerClaim)| Some((who.clone(), claim.at?));
        self.table().by_name.iter().filter_map(at).collect()
    }

    /// Takes what a checkpoint has saved.
    pub(super) fn remember(&self, saved: &BTreeMap<String, CommitId>) {
        let mut table = self.table();
        for (who, at) in saved {
            let claim = FollowerClaim { at: Some(*at), holder: None, is_overtaken: false };
            table.by_name.entry(who.clone()).or_insert(claim);
        }
    }

    /// The furthest back that a follower has got, of those whose position is known.
    pub(super) fn needed(&self, is_known: impl Fn(CommitId) -> bool) -> Option<CommitId> {
        let table = self.table();
        let claims = table.by_name.values().filter(|claim| !claim.is_overtaken);
        claims.filter_map(|claim| claim.at).filter(|at| is_known(*at)).min()
    }

    /// Counts and tells the followers that had not read `gone` yet, the newest commit whose changes are not kept any more; those
    /// that stood before `oldest` were none of this history's.
    pub(super) fn overtake(&self, view: &Name, oldest: CommitId, gone: CommitId) {
        let mut table = self.table();
        let ClaimTable { by_name, overtaken, .. } = &mut *table;
        for (who, claim) in by_name.iter_mut().filter(|(_, claim)| !claim.is_overtaken) {
            if let Some(at) = claim.at.filter(|at| oldest <= *at && *at < gone) {
                claim.is_overtaken = true;
                *overtaken += 1;
                tracing::warn!(view = %view, follower = %who, position = %Position::from(at),
                    "it was away for too long: the changes that it has not read are not kept any more, and it will begin \
                     with a snapshot; raise changes_max of the view to keep more");
            }
        }
    }
}

impl ChangeClaim {
    /// Everything up to `position` was read, for good.
    pub fn advance(&self, position: Position) {
        let mut table = self.claims.table();
        let own = table.by_name.get_mut(&self.who).filter(|claim| claim.holder == Some(self.holder));
        if let (Some(claim), Some(at)) = (own, CommitId::of(position)) {
            // What was overtaken has read a snapshot since.
            (claim.at, claim.is_overtaken) = (Some(at), false);
        }
    }

    /// Gives the claim up for good: nothing is kept for it.
    pub fn release(self) {
        let mut table = self.claims.table();
        if table.by_name.get(&self.who).is_some_and(|claim| claim.holder == Some(self.holder)) {
            table.by_name.remove(&self.who);
        }
    }
}

impl Drop for ChangeClaim {
    fn drop(&mut self) {
        let mut table = self.claims.table();
        if let Some(claim) = table.by_name.get_mut(&self.who).filter(|claim| claim.holder == Some(self.holder)) {
            claim.holder = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(commit: u64) -> CommitId {
        CommitId { incarnation: 1, commit }
    }

    fn at(commit: u64) -> Position {
        id(commit).into()
    }

    #[test]
    fn a_claim_outlives_its_holder_until_it_is_released_or_nobody_comes_back() {
        let claims = ChangeClaims::default();
        let (a, b) = (claims.claim("sink a", Some(at(5))), claims.claim("sink b", None));
        assert_eq!(claims.needed(|_| true), Some(id(5)));
        b.advance(at(3));
        assert_eq!(claims.needed(|_| true), Some(id(3)));
        drop(b);
        assert_eq!(claims.needed(|_| true), Some(id(3)), "it may come back");
        let again = ChangeClaims::default();
        again.remember(&claims.saved());
        assert_eq!(again.needed(|_| true), Some(id(3)), "also after a start");
        let back = again.claim("sink a", Some(at(6)));
        again.forget_absent();
        assert_eq!(again.needed(|_| true), Some(id(6)));
        back.release();
        assert_eq!((again.needed(|_| true), again.list()), (None, Vec::new()));
        assert_eq!(claims.needed(|at| at > id(3)), Some(id(5)), "an unknown position needs nothing");
        let newer = claims.claim("sink a", Some(at(9)));
        a.advance(at(2));
        drop(a);
        assert!(claims.list().iter().any(|claim| claim.who == "sink a" && claim.at == Some(at(9)) && claim.is_held));
        drop(newer);
    }

    #[test]
    fn who_is_overtaken_is_counted_once_and_needs_nothing_until_it_has_read_again() {
        let (claims, view) = (ChangeClaims::default(), Name::new("v").expect("a name"));
        let (slow, fast) = (claims.claim("slow", Some(at(2))), claims.claim("fast", Some(at(8))));
        claims.overtake(&view, id(3), id(4));
        assert_eq!(claims.overtaken(), 0, "it would get a snapshot anyway");
        claims.overtake(&view, id(1), id(5));
        claims.overtake(&view, id(1), id(6));
        assert_eq!((claims.overtaken(), claims.needed(|_| true)), (1, Some(id(8))));
        assert!(claims.list()[1].is_overtaken);
        slow.advance(at(7));
        assert_eq!(claims.needed(|_| true), Some(id(7)));
        drop((slow, fast));
    }
}
