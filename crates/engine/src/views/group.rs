//! Views that run together: every micro-batch goes to each of them, and they are committed one after the other.

use std::sync::Arc;

use lakehead_model::Name;
use tokio::time::Instant;

use super::{bounds::Bounds, decode_plan::DecodePlan, log::Log, log_reader::AggregatedBatch, member::Member};
use crate::{Error, sync::lock};

/// Views of one stream, in the order of their ids: each after those that it reads.
pub(super) struct Group {
    pub(super) log: Log,
    pub(super) bounds: Bounds,
    pub(super) views: Vec<Member>,
    /// Events since the last commit that has left nothing to the next.
    pending: u64,
    /// When the next commit is due.
    pub(super) due: Instant,
    /// The last commit has left something to the next.
    is_unfinished: bool,
}

impl Group {
    pub(super) fn new(log: Log, bounds: Bounds, views: Vec<Member>) -> Self {
        let due = Instant::now() + bounds.commit_every;
        let mut group = Self { log, bounds, views: Vec::new(), pending: 0, due, is_unfinished: false };
        group.add(views);
        group
    }

    /// Takes more views in.
    pub(super) fn add(&mut self, views: Vec<Member>) {
        self.views.extend(views);
        self.views.sort_by_key(|member| member.id);
    }

    /// Where the view `name` stands among them: the active one, or its shadow.
    pub(super) fn place(&self, name: &Name, is_shadow: bool) -> Option<usize> {
        let is_it = |member: &Member| member.shadow.is_some() == is_shadow && member.view.handle().name() == name;
        self.views.iter().position(is_it)
    }

    /// Whether any of them still takes events in.
    pub(super) fn is_running(&self) -> bool {
        self.views.iter().any(Member::is_running)
    }

    /// What a log reader has to do for those that do.
    pub(super) fn decode_plan(&self) -> Result<DecodePlan, Error> {
        let running = self.views.iter().filter(|member| member.is_running() && member.view.plan().upstream().is_none());
        DecodePlan::new(&self.log.schema, running.map(|member| (member.id, Arc::clone(member.view.plan()))).collect())
    }

    /// Applies a micro-batch to each view. Answers whether a view has failed by it.
    pub(super) async fn take(&mut self, mut micro_batch: AggregatedBatch) -> bool {
        let mut failed = false;
        let mut wants_commit = false;
        for member in self.views.iter_mut().filter(|member| member.is_running()) {
            member.take(&mut micro_batch, &self.log, self.bounds.micro_batch_bytes).await;
            failed |= !member.is_running();
            wants_commit |= member.view.wants_commit();
        }
        self.pending += micro_batch.events;
        if self.pending >= self.bounds.commit_events || wants_commit {
            self.due = Instant::now();
        }
        failed
    }

    /// Whether there is room for a micro-batch. What is applied before a commit has left nothing is bounded as between two
    /// commits: else states would grow while commits are behind.
    pub(super) fn has_room(&self) -> bool {
        !self.is_unfinished || self.pending < self.bounds.commit_events
    }

    /// Commits each of them. Answers whether something is left to the next commit. That is due at once then, and who waits
    /// for the views has a turn between the two.
    pub(super) async fn commit(&mut self) -> bool {
        let mut is_unfinished = false;
        for member in &mut self.views {
            is_unfinished |= member.commit(&self.log).await;
        }
        self.is_unfinished = is_unfinished;
        self.due = Instant::now();
        if is_unfinished {
            // Views over others have files to make of what is written now, even when nothing comes.
            for member in self.views.iter().filter(|member| member.view.plan().upstream().is_some()) {
                lock(&member.note).checkpoint = None;
            }
        } else {
            self.pending = 0;
            self.due += self.bounds.commit_every;
        }
        is_unfinished
    }

    /// None of them goes further.
    pub(super) fn fail(&self, why: &str) {
        self.views.iter().for_each(|member| member.fail(why));
    }
}
