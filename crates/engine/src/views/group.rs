//! Views that go on together: every round goes to each of them, and they are committed one after the other.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    bounds::Bounds,
    feed::{Crew, Digested},
    kept::{Kept, Log, lock},
};
use crate::Error;

/// Views of one stream, in the order of their ids: each after those that it reads.
pub(super) struct Group {
    pub(super) log: Log,
    pub(super) bounds: Bounds,
    pub(super) views: Vec<Kept>,
    /// Events since the last commit that has left nothing to the next.
    pending: u64,
    /// When the next commit is due.
    pub(super) due: Instant,
    /// The last commit has left something to the next.
    is_unfinished: bool,
}

impl Group {
    pub(super) fn new(log: Log, bounds: Bounds, views: Vec<Kept>) -> Self {
        let due = Instant::now() + bounds.commit_every;
        let mut group = Self { log, bounds, views: Vec::new(), pending: 0, due, is_unfinished: false };
        group.add(views);
        group
    }

    /// Takes more views in.
    pub(super) fn add(&mut self, views: Vec<Kept>) {
        self.views.extend(views);
        self.views.sort_by_key(|kept| kept.id);
    }

    /// Whether any of them still goes on.
    pub(super) fn goes_on(&self) -> bool {
        self.views.iter().any(Kept::goes_on)
    }

    /// What a feed has to do for those that go on.
    pub(super) fn crew(&self) -> Result<Crew, Error> {
        let going = self.views.iter().filter(|kept| kept.goes_on() && kept.view.plan().reads().is_none());
        Crew::new(&self.log.schema, going.map(|kept| (kept.id, Arc::clone(kept.view.plan()))).collect())
    }

    /// Takes a round in. Answers whether a view has failed by it.
    pub(super) async fn take(&mut self, mut round: Digested) -> bool {
        let mut failed = false;
        let mut wants_commit = false;
        for kept in self.views.iter_mut().filter(|kept| kept.goes_on()) {
            kept.take(&mut round, &self.log, self.bounds.round_bytes).await;
            failed |= !kept.goes_on();
            wants_commit |= kept.view.wants_commit();
        }
        self.pending += round.events;
        if self.pending >= self.bounds.commit_events || wants_commit {
            self.due = Instant::now();
        }
        failed
    }

    /// Whether there is room for a round. What is taken in before a commit has left nothing is bounded as between two
    /// commits: else states would grow while commits are behind.
    pub(super) fn has_room(&self) -> bool {
        !self.is_unfinished || self.pending < self.bounds.commit_events
    }

    /// Commits each of them. Answers whether something is left to the next commit. That is due at once then, and who waits
    /// for the views has a turn between the two.
    pub(super) async fn commit(&mut self) -> bool {
        let mut is_unfinished = false;
        for kept in &mut self.views {
            is_unfinished |= kept.commit(&self.log).await;
        }
        self.is_unfinished = is_unfinished;
        self.due = Instant::now();
        if is_unfinished {
            // Views over others have files to make of what is written now, even when nothing comes.
            for kept in self.views.iter().filter(|kept| kept.view.plan().reads().is_some()) {
                lock(&kept.note).checkpoint = None;
            }
        } else {
            self.pending = 0;
            self.due += self.bounds.commit_every;
        }
        is_unfinished
    }

    /// None of them goes further.
    pub(super) fn fail(&self, why: &str) {
        self.views.iter().for_each(|kept| kept.fail(why));
    }
}
