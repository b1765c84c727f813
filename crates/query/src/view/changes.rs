//! The changes of a view since a position: commit by commit, or all rows where the position is unknown or too old.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use datafusion::arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{
    diff,
    files::{self, ResultFile},
    handle::ViewHandle,
    snapshot::Snapshot,
};
use crate::error::Error;

/// A place in the changes of a view: a commit of one of its lives. As text `build.generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position {
    build: u64,
    generation: u64,
}

impl FromStr for Position {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('.').and_then(|(build, generation)| {
            Some(Self { build: build.parse().ok()?, generation: generation.parse().ok()? })
        });
        parsed.ok_or_else(|| format!("{text:?} is no position in a view's changes: take one from an answer before"))
    }
}

impl TryFrom<String> for Position {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.build, self.generation)
    }
}

/// What has changed in a view's closed windows since a position.
pub struct Changes {
    /// Where to go on.
    pub position: Position,
    /// The rows are all that there are, rather than what has changed: the position was none, or of another life of the
    /// view, or too old.
    pub is_reset: bool,
    /// Their columns.
    pub schema: SchemaRef,
    /// The rows, each with its operation in the column `_op`: `insert`, `update` or `delete`; in the order in which they
    /// came about. They are read from the files as they are asked for, which blocks; after an error there are none.
    pub rows: Box<dyn Iterator<Item = Result<RecordBatch, Error>> + Send>,
}

impl ViewHandle {
    /// What has changed since `after`; everything that there is without it. Open windows are in neither: they change with
    /// every event.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read, now or as the rows are asked for: a commit may have taken it away, and
    /// asking again helps.
    pub fn changes<'a>(&'a self, after: Option<Position>) -> BoxFuture<'a, Result<Changes, Error>> {
        Box::pin(async move {
            // As of its last commit, like the changes that follow on it.
            let snapshot = self.own_snapshot();
            tokio::task::spawn_blocking(move || since(&snapshot, after))
                .await
                .map_err(|error| Error::Engine(error.to_string()))?
        })
    }
}

fn since(snapshot: &Snapshot, after: Option<Position>) -> Result<Changes, Error> {
    let plan = snapshot.plan();
    let position = Position { build: snapshot.build, generation: snapshot.generation };
    let known = after.filter(|after| {
        after.build == position.build
            && after.generation <= position.generation
            && after.generation >= snapshot.results.changes_after
    });
    // Before a view's first commit it has no rows: all that there are have come since.
    let from_nothing = after.is_some_and(|after| after.build == position.build && after.generation == 0);
    // All files are looked at before the first row is told, so that one that is damaged is told in its place.
    let rows: Box<dyn Iterator<Item = Result<RecordBatch, Error>> + Send> = match (known, &snapshot.results.folder) {
        (Some(after), Some(folder)) => {
            let newer = snapshot.results.changes.iter().filter(|file| file.generation > after.generation);
            let paths: Vec<PathBuf> = newer.map(|file| folder.changes(snapshot.build, file.generation)).collect();
            paths.iter().try_for_each(|path| files::check(path))?;
            Box::new(paths.into_iter().flat_map(|path| each(files::partial_batches(&path))))
        }
        _ => {
            let results = &snapshot.results;
            let all = results.files.iter().map(|listed| &listed.file).chain(&results.reopened_files);
            let all: Vec<Arc<ResultFile>> = all.cloned().collect();
            all.iter().try_for_each(|file| files::check(&file.path))?;
            let plan = Arc::clone(plan);
            Box::new(all.into_iter().flat_map(move |file| {
                let plan = Arc::clone(&plan);
                let rows = each(files::parquet_batches(&file.path, &plan.schema()));
                rows.map(move |rows| {
                    // It stays on disk for as long as it is read.
                    let _read = &file;
                    diff::marked(&plan, &rows?, "insert")
                })
            }))
        }
    };
    Ok(Changes { position, is_reset: known.is_none() && !from_nothing, schema: diff::schema(plan), rows })
}

/// The rows of a file that was opened, or why it was not.
fn each<R>(opened: Result<R, Error>) -> impl Iterator<Item = Result<RecordBatch, Error>>
where
    R: Iterator<Item = Result<RecordBatch, Error>>,
{
    let (rows, failed) = match opened {
        Ok(rows) => (Some(rows), None),
        Err(error) => (None, Some(Err(error))),
    };
    rows.into_iter().flatten().chain(failed)
}
