//! Follows the changes of a view: its commits as batches, in order; or all of its rows first, as a snapshot, where it is
//! followed from the beginning or its changes are not kept any more.
//!
//! ```text
//!   no position, or an unknown one ─▶ snapshot: rows, rows, …, an empty batch that is the last ─▶ changes
//!   a position ─▶ commit, commit, …          rows of a commit are numbered from 0, over all of its batches
//! ```

use lakehead_connector_api::{Batch, BatchKind, Operation, RowHead};
use lakehead_model::{Name, Position};
use lakehead_query::ChangeLines;
use std::sync::Arc;
use tokio::{sync::watch, task::JoinHandle};

use super::{
    changes::{ChangeFeed, ChangesPart, ChangesRead},
    step::{Finding, Step},
};
use crate::Error;

/// Follows one view.
pub(crate) struct ViewFollower {
    name: Name,
    feed: Arc<dyn ChangeFeed>,
    commits: watch::Receiver<Position>,
    /// Everything up to it was handed over.
    position: Option<Position>,
    /// What is being handed over.
    current: Option<ChangesReading>,
    asking: Option<JoinHandle<AskedPart>>,
}

/// A run of changes, or a snapshot, that is being handed over.
struct ChangesReading {
    is_snapshot: bool,
    to: Position,
    /// Gone while the next part is asked for.
    parts: Option<PartsLeft>,
    /// The commit whose rows are being handed over, and how many of them were.
    commit: (Position, u64),
}

type PartsLeft = Box<dyn Iterator<Item = Result<ChangesPart, Error>> + Send>;
type AskedPart = (PartsLeft, Option<Result<ChangesPart, Error>>);

impl ViewFollower {
    /// Follows `feed` from `position` on, or from a snapshot.
    pub(crate) fn new(name: Name, feed: Arc<dyn ChangeFeed>, position: Option<Position>) -> Self {
        // Nobody stands at commit 0 but who has not taken in a whole snapshot yet.
        let position = position.filter(|position| !matches!(position, Position::View { commit: 0, .. }));
        let commits = feed.commits();
        Self { name, feed, commits, position, current: None, asking: None }
    }

    /// Whether everything that is committed was handed over.
    pub(crate) fn is_at_end(&self) -> bool {
        self.current.is_none() && self.position == Some(*self.commits.borrow())
    }

    /// The next batch; waits while there is none. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When a file of the view cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Step, Error> {
        loop {
            if self.current.is_none() {
                if let Some(told) = self.begin().await? {
                    return Ok(Step::Told(told, None));
                }
                continue;
            }
            match self.part().await? {
                Some(part) => return Ok(self.rows(part)),
                None => {
                    if let Some(step) = self.finish() {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// Waits for a commit and begins to read what has come.
    async fn begin(&mut self) -> Result<Option<Finding>, Error> {
        // Seen before the read, so that a commit after it wakes this.
        let newest = *self.commits.borrow_and_update();
        if self.position == Some(newest) {
            if self.commits.changed().await.is_err() {
                // Nobody keeps the view up to date any more. What replaces it gets a follower of its own.
                std::future::pending::<()>().await;
            }
            return Ok(None);
        }
        let ChangesRead { is_snapshot, to, parts } = self.feed.read(self.position).await?;
        let told = self.position.filter(|_| is_snapshot).map(|position| Finding {
            lost_rows: 0,
            why: format!(
                "the view {} cannot tell what has changed since {position}, since it was rebuilt or that is not kept any more: \
                 all of its rows are delivered, as a snapshot",
                self.name
            ),
        });
        self.current = Some(ChangesReading { is_snapshot, to, parts: Some(parts), commit: (to, 0) });
        Ok(told)
    }

    /// The next part of what is being handed over.
    async fn part(&mut self) -> Result<Option<ChangesPart>, Error> {
        let Some(current) = &mut self.current else { return Ok(None) };
        let asking = match (&mut self.asking, current.parts.take()) {
            (Some(asking), _) => asking,
            (none, Some(mut parts)) => none.insert(tokio::task::spawn_blocking(move || {
                let part = parts.next();
                (parts, part)
            })),
            (None, None) => return Ok(None),
        };
        let asked = asking.await.map_err(|error| Error::Internal(format!("reading a view: {error}")));
        self.asking = None;
        let (parts, part) = asked?;
        current.parts = Some(parts);
        part.transpose()
    }

    fn rows(&mut self, ChangesPart { commit, is_last, lines }: ChangesPart) -> Step {
        let Some(current) = &mut self.current else { return self.moved(commit) };
        if current.commit.0 != commit {
            current.commit = (commit, 0);
        }
        let first = current.commit.1;
        current.commit.1 += lines.heads.len() as u64;
        let to = (is_last && !current.is_snapshot).then_some(commit);
        let kind = if current.is_snapshot { BatchKind::Snapshot { is_last: false } } else { BatchKind::Changes };
        let before = self.position.unwrap_or_else(|| beginning(commit));
        let batch = batch(&self.name, (commit, to.unwrap_or(before)), lines, first, kind);
        self.position = to.or(self.position);
        if to == Some(current.to) {
            self.current = None;
        }
        Step::Rows { batch, to }
    }

    /// What is being handed over has come to its end.
    fn finish(&mut self) -> Option<Step> {
        let ChangesReading { is_snapshot, to, .. } = self.current.take()?;
        let moved = self.position != Some(to);
        self.position = Some(to);
        if is_snapshot {
            let kind = BatchKind::Snapshot { is_last: true };
            let batch = batch(&self.name, (to, to), ChangeLines::default(), 0, kind);
            return Some(Step::Rows { batch, to: Some(to) });
        }
        moved.then(|| self.moved(to))
    }

    /// A batch that only moves the position.
    fn moved(&self, to: Position) -> Step {
        let batch = batch(&self.name, (to, to), ChangeLines::default(), 0, BatchKind::Changes);
        Step::Rows { batch, to: Some(to) }
    }
}

/// The position of who has taken in nothing of the incarnation of `commit`.
pub(crate) fn beginning(commit: Position) -> Position {
    match commit {
        Position::View { incarnation, .. } => Position::View { incarnation, commit: 0 },
        log @ Position::Log { .. } => log,
    }
}

fn batch(from: &Name, positions: (Position, Position), lines: ChangeLines, first: u64, kind: BatchKind) -> Batch {
    let (mut ends, mut heads) = (Vec::with_capacity(lines.heads.len()), Vec::with_capacity(lines.heads.len()));
    for (number, head) in (first..).zip(lines.heads) {
        ends.push(u32::try_from(head.end).unwrap_or(u32::MAX));
        let operation = match head.operation.as_str() {
            "delete" => Operation::Delete,
            "update" => Operation::Update,
            _ => Operation::Insert,
        };
        heads.push(RowHead { operation, key: head.key.map(Into::into), number, event_time: head.window_start });
    }
    Batch::new(from.clone(), positions, (lines.text.into(), ends), heads, kind)
}

#[cfg(test)]
mod tests;
