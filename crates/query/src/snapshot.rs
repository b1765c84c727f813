//! One moment of a view, pinned: its live result files and the partial rows beside them, of the same offset.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::{array::RecordBatch, datatypes::SchemaRef};
use lakehead_model::{Name, Offset, TimeRange, Timestamp};

use crate::{Counts, Error, ViewPlan, files::ResultFile};

/// A view at one offset. Holding it keeps its files on disk.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The first offset that is not in it.
    pub next_offset: Offset,
    /// The event time up to which the stream is taken as complete.
    pub watermark: Option<Timestamp>,
    /// What became of the events.
    pub counts: Counts,
    /// Partial rows in memory.
    pub open_rows: usize,
    pub(crate) results: Arc<Results>,
    pub(crate) open: Vec<RecordBatch>,
}

/// A view's live result files.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) files: Vec<Listed>,
}

/// One live result file, and what the checkpoint says of it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) range: TimeRange,
    pub(crate) rows: u64,
    /// The partial rows are still kept beside it.
    pub(crate) correctable: bool,
    pub(crate) file: Arc<ResultFile>,
}

impl Snapshot {
    /// Rows in result files.
    #[must_use]
    pub fn result_rows(&self) -> u64 {
        self.results.rows
    }

    /// Bytes in result files.
    #[must_use]
    pub fn result_bytes(&self) -> u64 {
        self.results.bytes
    }
}

/// Where queries find a view's newest snapshot. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ViewHandle {
    name: Name,
    plan: Arc<ViewPlan>,
    current: Arc<Mutex<Arc<Snapshot>>>,
}

impl ViewHandle {
    pub(crate) fn new(name: Name, plan: Arc<ViewPlan>, snapshot: Snapshot) -> Self {
        Self { name, plan, current: Arc::new(Mutex::new(Arc::new(snapshot))) }
    }

    /// The view's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How it was compiled.
    #[must_use]
    pub fn plan(&self) -> &ViewPlan {
        &self.plan
    }

    /// The columns of its rows.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    /// The view as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        // The old one is dropped outside the lock: it may delete files.
        let old = std::mem::replace(&mut *self.current.lock().unwrap_or_else(PoisonError::into_inner), snapshot);
        drop(old);
    }

    /// The rows of the windows that no result file holds.
    pub(crate) async fn open_windows(&self, snapshot: &Snapshot) -> Result<Vec<RecordBatch>, Error> {
        self.finished(snapshot.open.clone()).await
    }

    /// The rows that `partial` rows become.
    pub(crate) async fn finished(&self, partial: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, Error> {
        if partial.is_empty() {
            return Ok(Vec::new());
        }
        let schema = self.schema();
        let rows = self.plan.finish.run(partial).await?;
        Ok(rows.into_iter().map(|batch| batch.with_schema(SchemaRef::clone(&schema))).collect::<Result<_, _>>()?)
    }
}
