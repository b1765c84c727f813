//! The changes of a view since a position: commit by commit, or a snapshot where the position is unknown or too old.
//!
//! ```text
//!   (3,41) ─▶ (3,43) ─▶ cutover (4,7) ─▶ (4,9)     each commit: deletes, then updates and inserts; its position after it
//! ```
//!
//! What is read lies in files of commits, which are pinned for as long as somebody reads them; in memory is one part of one
//! file. A commit is complete when its rows have ended without an error.

use std::{path::PathBuf, sync::Arc};

use datafusion::arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::future::BoxFuture;
use lakehead_model::Position;

use super::{
    commit_id::CommitId,
    diff,
    files::{self, ResultFile},
    handle::ViewHandle,
    history::History,
    snapshot::Snapshot,
};
use crate::{error::Error, plan::ViewPlan};

/// Rows of changes, some thousand at once, each with its operation in the first column, `_op`: `insert`, `update` or `delete`.
/// They are read as they are asked for, which blocks; after an error there are none.
pub type ChangedRows = Box<dyn Iterator<Item = Result<RecordBatch, Error>> + Send>;

/// What has changed in a view's closed windows since a position.
pub struct Changes {
    /// What they are changes of: its columns and its key.
    pub plan: Arc<ViewPlan>,
    /// The columns of the rows: `_op`, and those of the view.
    pub schema: SchemaRef,
    /// The only commit has all rows that there are, rather than what has changed: the position was none, or of another
    /// incarnation of the view whose rows cannot be compared, or too old.
    pub is_snapshot: bool,
    /// Where to go on after all commits. It may lie beyond the last of them, since there are commits that change nothing.
    pub position: Position,
    /// The commits, oldest first.
    pub commits: Box<dyn Iterator<Item = CommitChanges> + Send>,
}

/// What one commit has changed.
pub struct CommitChanges {
    /// Where to go on after its last row.
    pub position: Position,
    /// The rows: each of the view's rows at most once where the view has a key, deletes before all others.
    pub rows: ChangedRows,
}

impl Changes {
    /// The rows of all commits.
    #[must_use]
    pub fn rows(self) -> ChangedRows {
        Box::new(self.commits.flat_map(|commit| commit.rows))
    }
}

impl ViewHandle {
    /// What has changed since `after`; everything that there is without it. Open windows are in neither: they change with
    /// every event.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read, now or as the rows are asked for.
    pub fn changes_after<'a>(&'a self, after: Option<Position>) -> BoxFuture<'a, Result<Changes, Error>> {
        Box::pin(async move {
            // As of its last commit, like the changes that follow on it.
            let snapshot = self.own_snapshot();
            let view = self.name().clone();
            let read = move || {
                let after = after.and_then(CommitId::of);
                // Before a view's first commit it has no rows: all that there are have come since.
                let from_nothing = CommitId { incarnation: snapshot.build, commit: 0 };
                match after.map_or(Ok(None), |after| commits(&snapshot, after)) {
                    Ok(Some(changes)) => Ok(changes),
                    Ok(None) => all(&snapshot, after != Some(from_nothing)),
                    Err(error) => {
                        tracing::warn!(view = %view, "its changes cannot be read, and who follows it gets a snapshot: {error}");
                        all(&snapshot, true)
                    }
                }
            };
            tokio::task::spawn_blocking(read).await.map_err(|error| Error::Engine(error.to_string()))?
        })
    }
}

/// The commits after `after`; `None` where they are not known. All files are looked at before the first row is told, so that
/// one that is damaged is found in time.
fn commits(snapshot: &Snapshot, after: CommitId) -> Result<Option<Changes>, Error> {
    let (own, listed) = (snapshot.build, &snapshot.results.changes);
    let history = History { files: &listed.files, own, oldest: listed.oldest, newest: snapshot.commit_id() };
    let Some(first) = history.first_after(after) else { return Ok(None) };
    let newer: Vec<_> = listed.files.iter().copied().zip(listed.pinned.iter().cloned()).skip(first).collect();
    newer.iter().try_for_each(|(_, pinned)| files::check(&pinned.path))?;
    let commits = newer.into_iter().map(move |(file, pinned)| CommitChanges {
        position: file.id(own).into(),
        rows: pinned_rows(pinned, |path| files::partial_batches(&path)),
    });
    Ok(Some(changes(snapshot, false, Box::new(commits))))
}

/// All rows, as one commit.
fn all(snapshot: &Snapshot, is_snapshot: bool) -> Result<Changes, Error> {
    let results = &snapshot.results;
    let reopened = results.reopened_files.iter().map(|(_, file)| file);
    let all: Vec<Arc<ResultFile>> =
        results.files.iter().map(|listed| &listed.file).chain(reopened).map(Arc::clone).collect();
    all.iter().try_for_each(|file| files::check(&file.path))?;
    let plan = Arc::clone(snapshot.plan());
    let rows = all.into_iter().flat_map(move |file| {
        let (plan, schema) = (Arc::clone(&plan), plan.schema());
        let rows = pinned_rows(file, move |path| files::parquet_batches(&path, &schema));
        rows.map(move |rows| diff::marked(&plan, &rows?, diff::INSERT))
    });
    let commit = CommitChanges { position: snapshot.commit_id().into(), rows: Box::new(rows) };
    Ok(changes(snapshot, is_snapshot, Box::new(std::iter::once(commit))))
}

fn changes(snapshot: &Snapshot, is_snapshot: bool, commits: Box<dyn Iterator<Item = CommitChanges> + Send>) -> Changes {
    let plan = Arc::clone(snapshot.plan());
    let schema = diff::schema(&plan);
    Changes { plan, schema, is_snapshot, position: snapshot.commit_id().into(), commits }
}

/// The rows of a file, which is opened when they are asked for and stays on disk for as long, or why it was not opened.
fn pinned_rows<R>(file: Arc<ResultFile>, open: impl FnOnce(PathBuf) -> Result<R, Error> + Send + 'static) -> ChangedRows
where
    R: Iterator<Item = Result<RecordBatch, Error>> + Send + 'static,
{
    let opened = std::iter::once_with({
        let path = file.path.clone();
        move || open(path)
    });
    let rows = opened.flat_map(|opened| {
        let (rows, failed) = match opened {
            Ok(rows) => (Some(rows), None),
            Err(error) => (None, Some(Err(error))),
        };
        rows.into_iter().flatten().chain(failed)
    });
    Box::new(rows.inspect(move |_| {
        let _pinned = &file;
    }))
}
