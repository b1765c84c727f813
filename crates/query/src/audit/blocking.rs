//! Blocking work of an audit, off the threads that serve: reading files and comparing rows.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use datafusion::arrow::array::RecordBatch;
use lakehead_model::{Offset, Timestamp};
use lakehead_store::Stream;

use crate::{
    error::Error,
    keyed_rows::{Comparison, Differing, Side},
    view::{Listed, files},
};

/// Where retention has cut the log, windows that began this long after the first event kept are taken as whole: an
/// event is received after it happened, save for clocks that disagree, and none disagree by this much.
const CLOCKS_DISAGREE_MAX: Duration = Duration::from_secs(3600);

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Engine(error.to_string()))
}

/// The partial rows in these files; `None` when a commit has just replaced them.
pub(super) async fn partial_rows(paths: &[PathBuf]) -> Result<Option<Vec<RecordBatch>>, Error> {
    let mut rows = Vec::new();
    for path in paths {
        let path = path.clone();
        match blocking(move || files::read_partial(&path)).await? {
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => rows.extend(read?),
        }
    }
    Ok(Some(rows))
}

/// The first moment from which on windows are wholly in a log that begins at `start`.
pub(super) async fn first_whole(stream: Stream, start: Offset) -> Result<Option<Timestamp>, Error> {
    let first = blocking(move || stream.reader(start).next()).await??;
    Ok(first.map(|block| block.received_time.plus(CLOCKS_DISAGREE_MAX)))
}

/// Off the threads that serve: a quarter of a million rows keep a core busy for a while.
pub(super) async fn compare_exactly(
    comparison: &Arc<Comparison>,
    view: Vec<RecordBatch>,
    log: Vec<RecordBatch>,
) -> Result<Vec<Differing>, Error> {
    let comparison = Arc::clone(comparison);
    blocking(move || comparison.compare(&Side::new(&comparison, view)?, &Side::new(&comparison, log)?)).await?
}

/// As [`compare_exactly`], but for floats that differ by less than a billionth.
pub(super) async fn compare(
    comparison: &Arc<Comparison>,
    view: Vec<RecordBatch>,
    log: Vec<RecordBatch>,
) -> Result<Vec<Differing>, Error> {
    let mut differing = compare_exactly(comparison, view, log).await?;
    differing.retain(|differing| !differing.is_near());
    Ok(differing)
}

pub(super) fn is_same_file(own: &Path, public: &Path) -> bool {
    let inode = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    // A file system without hard links has a copy.
    inode(own).is_some_and(|own| inode(public) == Some(own))
        || matches!((std::fs::read(own), std::fs::read(public)), (Ok(own), Ok(public)) if own == public)
}

pub(super) fn file_name(listed: &Listed) -> String {
    listed.file.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
