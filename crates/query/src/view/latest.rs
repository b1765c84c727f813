//! The newest rows of a view without a query: those in memory, then the ends of its newest files.
//!
//! A view without a window has no column to order its rows by; the order in which they were made is that of the log. What it
//! takes is bounded by the rows that are asked for, however many the view has.

use std::fs::File;

use datafusion::arrow::array::RecordBatch;
use futures::future::BoxFuture;

use super::{files, handle::ViewHandle, snapshot::Listed};
use crate::{answer::Answer, error::Error, plain_types};

/// Files that are read at most for it. Those of periods that are over hold an hour or more each; of a period that is not, one
/// holds what came between two commits.
const FILES_MAX: usize = 16;

impl ViewHandle {
    /// The view's newest rows, the newest last: `rows` of them, or fewer where there are not so many near its end.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read, [`Error::Damaged`] when one is not what was written.
    pub fn latest(&self, rows: usize) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(self.newest(rows))
    }

    async fn newest(&self, rows: usize) -> Result<Answer, Error> {
        let snapshot = self.snapshot();
        let schema = snapshot.plan().schema();
        let (mut found, mut wanted) = (Vec::new(), rows);
        take(&mut found, &mut wanted, snapshot.rest().await?.to_vec());
        let mut newest_last: Vec<&Listed> = snapshot.results.files.iter().collect();
        newest_last.sort_by_key(|listed| (listed.range.start, listed.generation));
        for listed in newest_last.into_iter().rev().take(FILES_MAX) {
            if wanted == 0 {
                break;
            }
            let path = &listed.file.path;
            files::check(path)?;
            let file = File::open(path).map_err(Error::file(path))?;
            let batches = plain_types::reader_of_last(file, &schema, wanted)?.collect::<Result<Vec<_>, _>>()?;
            take(&mut found, &mut wanted, batches);
        }
        found.reverse();
        Ok(Answer { schema, batches: found, truncated: false, warnings: Vec::new() })
    }
}

/// Takes the last `wanted` rows of `batches`, the last ones first.
fn take(found: &mut Vec<RecordBatch>, wanted: &mut usize, batches: Vec<RecordBatch>) {
    for batch in batches.into_iter().rev() {
        let rows = batch.num_rows().min(*wanted);
        if rows > 0 {
            found.push(batch.slice(batch.num_rows() - rows, rows));
            *wanted -= rows;
        }
    }
}
