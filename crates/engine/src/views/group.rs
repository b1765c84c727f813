//! Views that go on together: every round goes to each of them, and they are committed one after the other.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    bounds::Bounds,
    feed::{Crew, Digested},
    kept::{Kept, Log},
};
use crate::Error;

/// Views of one stream, in the order of their ids: each after those that it reads.
pub(super) struct Group {
    pub(super) log: Log,
    pub(super) bounds: Bounds,
    pub(super) views: Vec<Kept>,
    /// Events since the last commit.
    pending: u64,
    /// When the next commit is due.
    pub(super) due: Instant,
}

impl Group {
    pub(super) fn new(log: Log, bounds: Bounds, views: Vec<Kept>) -> Self {
        let due = Instant::now() + bounds.commit_every;
        let mut group = Self { log, bounds, views: Vec::new(), pending: 0, due };
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

    /// Commits each of them.
    pub(super) async fn commit(&mut self) {
        for kept in &mut self.views {
            kept.commit(&self.log).await;
        }
        self.pending = 0;
        self.due = Instant::now() + self.bounds.commit_every;
    }

    /// None of them goes further.
    pub(super) fn fail(&self, why: &str) {
        self.views.iter().for_each(|kept| kept.fail(why));
    }
}
