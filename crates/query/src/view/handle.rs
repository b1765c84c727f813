//! The handle of a view: where queries find its newest snapshot, and followers learn of its commits.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::SchemaRef;
use lakehead_model::{Name, Position, Timestamp};
use tokio::sync::watch;

use super::{claims::ChangeClaims, derived, snapshot::Snapshot};
use crate::plan::ViewPlan;

/// Where queries find a view's newest snapshot, and followers learn of its commits. Cheap to clone. It stays over a cutover.
#[derive(Clone, Debug)]
pub struct ViewHandle {
    name: Name,
    current: Arc<Mutex<Current>>,
    /// The last commit; the view itself has the sender.
    commits: watch::Receiver<Position>,
    claims: ChangeClaims,
}

#[derive(Debug)]
struct Current {
    snapshot: Arc<Snapshot>,
    /// For a view over another: where that one's newest snapshot is.
    upstream: Option<ViewHandle>,
    /// Since when the view is stopped, and why.
    stopped: Option<(Timestamp, String)>,
}

impl ViewHandle {
    /// A handle, and what tells of commits to those who hold it.
    pub(crate) fn new(name: Name, snapshot: Snapshot, upstream: Option<Self>) -> (Self, watch::Sender<Position>) {
        let (sender, commits) = watch::channel(snapshot.commit_id().into());
        let current = Arc::new(Mutex::new(Current { snapshot: Arc::new(snapshot), upstream, stopped: None }));
        (Self { name, current, commits, claims: ChangeClaims::default() }, sender)
    }

    /// The view's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Tells of each commit and of each cutover, as soon as [`changes_after`](Self::changes_after) answers with it: the position that
    /// a follower has after it. Of several that come quickly the last may be told alone. It is closed once nobody keeps the view
    /// up to date any more, as after a reload of its stream: who follows then looks for the view again.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<Position> {
        self.commits.clone()
    }

    /// Who follows the view's changes, and how far each has got: what they have not read yet is kept.
    #[must_use]
    pub fn claims(&self) -> &ChangeClaims {
        &self.claims
    }

    /// How it was compiled.
    #[must_use]
    pub fn plan(&self) -> Arc<ViewPlan> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.snapshot.plan)
    }

    /// The columns of its rows.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.plan().schema()
    }

    /// The view as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        // Both of one moment: before a cutover of the upstream view this one is made to read a frozen one, which waits for the lock.
        let (snapshot, upstream) = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            let upstream = current.upstream.as_ref();
            (Arc::clone(&current.snapshot), upstream.map(|upstream| (upstream.name.clone(), upstream.snapshot())))
        };
        match upstream {
            None => snapshot,
            Some((name, upstream)) => Arc::new(derived::pinned(&snapshot, name, upstream)),
        }
    }

    /// The view's own last commit and what came since, without looking at its upstream view.
    pub(crate) fn own_snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).snapshot)
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.replace(snapshot, |_| {});
    }

    /// Publishes the snapshot of a view that takes the place of another, with the upstream view that it reads: nobody sees the
    /// one without the other, since their columns may differ.
    pub(crate) fn publish_over(&self, snapshot: Snapshot, upstream: Option<Self>) {
        self.replace(snapshot, |current| {
            current.upstream = upstream;
            current.stopped = None;
        });
    }

    fn replace(&self, snapshot: Snapshot, also: impl FnOnce(&mut Current)) {
        let snapshot = Arc::new(snapshot);
        // The old one is dropped outside the lock: it may delete files.
        let old = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            also(&mut current);
            std::mem::replace(&mut current.snapshot, snapshot)
        };
        drop(old);
    }

    /// Marks the view as stopped: it applies nothing any more, and every answer over it says so
    /// ([`Answer::warnings`](crate::Answer::warnings)).
    pub fn mark_stopped(&self, since: Timestamp, why: &str) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).stopped = Some((since, why.to_owned()));
    }

    /// The warning for a stopped view: since when it, or a view that it reads, is stopped, why, and at which offset.
    pub(crate) fn stale(&self) -> Option<String> {
        let (stopped, upstream, offset) = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            (current.stopped.clone(), current.upstream.clone(), current.snapshot.next_offset)
        };
        let Some((since, why)) = stopped else { return upstream.and_then(|upstream| upstream.stale()) };
        Some(format!(
            "the view {} stands still since {since}: {why}; its rows are those of offset {offset}, and what came later is in \
             none of them",
            self.name
        ))
    }

    /// A handle that keeps answering with the view as it is now.
    fn frozen(&self) -> Self {
        let current = Current { snapshot: self.snapshot(), upstream: None, stopped: None };
        Self { current: Arc::new(Mutex::new(current)), ..self.clone() }
    }

    /// Freezes the upstream view at this moment. Answers the upstream view.
    pub(crate) fn freeze_upstream(&self) -> Option<Self> {
        let upstream = self.upstream()?;
        self.set_upstream(Some(upstream.frozen()));
        Some(upstream)
    }

    /// The upstream view, if it reads one.
    pub(crate) fn upstream(&self) -> Option<Self> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).upstream.clone()
    }

    /// Sets the upstream view.
    pub(crate) fn set_upstream(&self, upstream: Option<Self>) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).upstream = upstream;
    }
}
