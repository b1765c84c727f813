//! The changes of a view of this process, as rows for other systems.

use futures::future::BoxFuture;
use lakehead_model::Position;
use lakehead_query::{ChangeClaim, ChangeLines, ChangedRows, Changes, CommitChanges, ViewHandle, ViewPlan};
use std::sync::Arc;
use tokio::sync::watch;

use super::{
    changes::{ChangeFeed, ChangesPart, ChangesRead},
    claim::ChangesHeld,
};
use crate::Error;

/// Rows that become lines at once: few, so that a part is not much larger than it is to be, however long they are.
const LINES_ROWS: usize = 64;

/// A part of a commit ends with this many bytes of lines: what a target is asked to take at once.
const PART_BYTES: usize = 1 << 20;

/// And with this many rows.
const PART_ROWS: usize = 10_000;

/// A view, as sinks follow it.
pub(crate) struct ViewFeed {
    view: ViewHandle,
    /// Whether each line begins with its operation.
    with_operation: bool,
}

impl ViewFeed {
    pub(crate) fn new(view: ViewHandle, with_operation: bool) -> Self {
        Self { view, with_operation }
    }
}

impl ChangeFeed for ViewFeed {
    fn commits(&self) -> watch::Receiver<Position> {
        self.view.commits()
    }

    fn read(&self, after: Option<Position>) -> BoxFuture<'static, Result<ChangesRead, Error>> {
        let (view, with_operation) = (self.view.clone(), self.with_operation);
        Box::pin(async move {
            let Changes { plan, is_snapshot, position, commits, .. } = view.changes_after(after).await?;
            let mut commits = commits.map(move |commit| Commit::new(commit, Arc::clone(&plan), with_operation));
            let mut current: Option<Commit> = None;
            let parts = std::iter::from_fn(move || {
                loop {
                    if let Some(part) = current.as_mut().and_then(Commit::part) {
                        return Some(part);
                    }
                    current = Some(commits.next()?);
                }
            });
            // Without a position there is nothing that changed: all that there is is a snapshot.
            let is_snapshot = is_snapshot || after.is_none();
            Ok(ChangesRead { is_snapshot, to: position, parts: Box::new(parts) })
        })
    }

    fn claim(&self, who: &str, after: Option<Position>) -> Box<dyn ChangesHeld> {
        Box::new(self.view.claims().claim(who, after))
    }
}

impl ChangesHeld for ChangeClaim {
    fn advance(&self, position: Position) {
        Self::advance(self, position);
    }
}

/// A commit whose rows are being written as lines.
struct Commit {
    position: Position,
    rows: std::iter::Peekable<ChangedRows>,
    plan: Arc<ViewPlan>,
    with_operation: bool,
    is_over: bool,
}

impl Commit {
    fn new(CommitChanges { position, rows }: CommitChanges, plan: Arc<ViewPlan>, with_operation: bool) -> Self {
        Self { position, rows: few(rows).peekable(), plan, with_operation, is_over: false }
    }

    /// Its next part; `None` after the last.
    fn part(&mut self) -> Option<Result<ChangesPart, Error>> {
        if self.is_over {
            return None;
        }
        let mut lines = ChangeLines::default();
        while lines.text.len() < PART_BYTES && lines.heads.len() < PART_ROWS {
            let Some(rows) = self.rows.next() else { break };
            if let Err(error) = rows.and_then(|rows| lines.add(&self.plan, &rows, self.with_operation)) {
                self.is_over = true;
                return Some(Err(error.into()));
            }
        }
        self.is_over = self.rows.peek().is_none();
        Some(Ok(ChangesPart { commit: self.position, is_last: self.is_over, lines }))
    }
}

/// The same rows, few at once.
fn few(rows: ChangedRows) -> ChangedRows {
    Box::new(rows.flat_map(|batch| {
        let (rows, failed) = match batch {
            Ok(batch) => (Some(batch), None),
            Err(error) => (None, Some(Err(error))),
        };
        let parts = rows.into_iter().flat_map(|batch| {
            let rows = batch.num_rows();
            (0..rows).step_by(LINES_ROWS).map(move |from| Ok(batch.slice(from, LINES_ROWS.min(rows - from))))
        });
        parts.chain(failed)
    }))
}
