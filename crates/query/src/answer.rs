//! What a query may use, and what it answers: all rows at once, or batch by batch.

use std::{sync::Arc, time::Duration};

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    execution::{SendableRecordBatchStream, SessionState},
};
use futures::{StreamExt, future::BoxFuture};
use lakehead_model::ByteSize;

use crate::error::Error;

/// What one query, and all queries together, may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most rows in an answer; what is more is cut off and the answer says so. Default: 100,000.
    pub rows: usize,
    /// Memory of all queries together, as far as DataFusion accounts for it. Default: 256 MiB.
    pub memory: ByteSize,
    /// Longest time of one query. Default: 60 s.
    pub time: Duration,
    /// Threads of one query. Default: as many as there are cores.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { rows: 100_000, memory: ByteSize::mib(256), time: Duration::from_secs(60), threads }
    }
}

/// A query's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// Whether rows were cut off at [`Limits::rows`].
    pub truncated: bool,
    /// What its reader has to know: that a view in it is stopped, since when and why.
    pub warnings: Vec<String>,
}

impl Answer {
    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// The rows of an answer as a stream of batches.
pub struct RowStream {
    /// Its columns.
    pub schema: SchemaRef,
    /// What their reader has to know: that a view in them is stopped, since when and why.
    pub warnings: Vec<String>,
    pub(crate) stream: SendableRecordBatchStream,
    /// It has the tables, which pin what the stream reads; the plan itself only has the files' names.
    pub(crate) tables: SessionState,
    /// The statement, so that what fails on a value is told with its place.
    pub(crate) sql: Arc<str>,
}

impl RowStream {
    /// The next rows; `None` after the last.
    #[expect(clippy::should_implement_trait, reason = "it is awaited")]
    pub fn next(&mut self) -> BoxFuture<'_, Option<Result<RecordBatch, Error>>> {
        Box::pin(async {
            let batch = self.stream.next().await?;
            Some(batch.map_err(|error| Error::from(error).in_text(&self.sql, &self.tables)))
        })
    }

    /// The first `rows_max` of them, and whether there are more.
    pub(crate) async fn first(mut self, rows_max: usize) -> Result<Answer, Error> {
        let schema = Arc::clone(&self.schema);
        let warnings = std::mem::take(&mut self.warnings);
        let (mut batches, mut rows) = (Vec::new(), 0);
        while let Some(batch) = self.next().await {
            let batch = batch?;
            let room = rows_max - rows;
            if batch.num_rows() > room {
                batches.push(batch.slice(0, room));
                return Ok(Answer { schema, batches, truncated: true, warnings });
            }
            rows += batch.num_rows();
            batches.push(batch);
        }
        Ok(Answer { schema, batches, truncated: false, warnings })
    }
}
