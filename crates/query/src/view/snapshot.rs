//! One moment of a view, pinned: its live result files and the partial rows beside them, of the same offset.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use datafusion::arrow::array::RecordBatch;
use futures::{FutureExt, future::BoxFuture};
use lakehead_model::{Name, Offset, TimeRange, Timestamp};
use tokio::sync::OnceCell;

use super::{
    commit_id::CommitId,
    counts::Counts,
    failed_values::FailedValues,
    files::{ChangeFile, MadeOf, ResultFile},
    finish::{Finished, finished},
};
use crate::{
    error::Error,
    plan::{PlanKind, ViewPlan},
};

/// Most partial rows that are finished only to count the rows that they become: some milliseconds.
const COUNTED_ROWS_MAX: usize = 5_000;

/// A view at one offset. Holding it keeps its files on disk.
#[derive(Debug)]
pub struct Snapshot {
    /// The first offset that is not in it.
    pub next_offset: Offset,
    /// The event time up to which the stream is taken as complete.
    pub watermark: Option<Timestamp>,
    /// What became of the events.
    pub counts: Counts,
    /// Partial rows in memory.
    pub open_rows: usize,
    /// Memory that they take, in bytes.
    pub open_bytes: usize,
    pub(crate) plan: Arc<ViewPlan>,
    /// The first offset whose event the view could see.
    pub(crate) begins: Offset,
    pub(crate) build: u64,
    /// The last commit.
    pub(crate) generation: u64,
    /// Windows that end at or before this, and whose period has a file, are in that file.
    pub(crate) closed_until: Timestamp,
    pub(crate) results: Arc<Results>,
    /// What no result file holds: partial rows of windows, or rows of a projection.
    pub(crate) open: Vec<RecordBatch>,
    /// For a view over another: that one, at this moment.
    pub(crate) upstream: Option<(Name, Arc<Snapshot>)>,
    /// Makes the rows that no result file holds.
    pub(crate) open_rows_of: &'static dyn OpenRows,
    /// These rows, computed when first asked for.
    pub(crate) rest: OnceCell<Finished>,
    /// The number of these rows, where only that was asked for.
    pub(crate) counted: OnceLock<Option<u64>>,
}

/// Computes the rows of a snapshot that no result file holds. For a view over another view that reads the upstream's
/// snapshot as a table, which stands above this file; hence a trait.
pub(crate) trait OpenRows: fmt::Debug + Send + Sync {
    /// The rows that no result file of `of` holds.
    fn compute<'a>(&'a self, of: &'a Snapshot) -> BoxFuture<'a, Result<Finished, Error>>;
}

/// Computes them from the partial rows or rows in memory; a view over another view has none.
#[derive(Debug)]
pub(super) struct InMemory;

impl OpenRows for InMemory {
    fn compute<'a>(&'a self, of: &'a Snapshot) -> BoxFuture<'a, Result<Finished, Error>> {
        Box::pin(async move {
            match of.plan.kind() {
                PlanKind::Windowed(windowed) => {
                    let filed: HashSet<Timestamp> = of.results.files.iter().map(|listed| listed.range.start).collect();
                    let is_open = |window: TimeRange| {
                        window.end > of.closed_until || !filed.contains(&windowed.period.range(window.start).start)
                    };
                    finished(&of.plan, windowed, of.open.clone(), is_open).await
                }
                PlanKind::Projection(_) => Ok(Finished { rows: of.open.clone(), failed: FailedValues::default() }),
                PlanKind::Derived(_) => Ok(Finished::default()),
            }
        })
    }
}

/// A view's live result files, and what else a commit names.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) files: Vec<Listed>,
    /// Files of the last commit whose periods were reopened since, by their start: their rows are in the state, and the next
    /// commit writes them again.
    pub(crate) reopened_files: Vec<(Timestamp, Arc<ResultFile>)>,
    /// Periods with late rows that no file holds yet, whether they had a file before or not.
    pub(crate) reopened: Vec<TimeRange>,
    /// Files with partial rows that have left the state, by the period of their slices.
    pub(crate) partials: BTreeMap<Timestamp, Vec<PathBuf>>,
    /// What commits have changed.
    pub(crate) changes: Arc<ListedChanges>,
}

/// The changes that a commit names.
#[derive(Debug, Default)]
pub(crate) struct ListedChanges {
    /// In the order of the commits.
    pub(crate) files: Vec<ChangeFile>,
    /// Holds each of them on disk, in the same order.
    pub(crate) pinned: Vec<Arc<ResultFile>>,
    /// The oldest position from which they lead on.
    pub(crate) oldest: CommitId,
}

/// One live result file, and what the checkpoint says of it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) range: TimeRange,
    pub(crate) rows: u64,
    pub(crate) failed: FailedValues,
    pub(crate) generation: u64,
    /// The partial rows are still kept.
    pub(crate) correctable: bool,
    /// It is one of several files of a projection's period that is not over; other programs do not see it.
    pub(crate) is_part: bool,
    pub(crate) made_of: Option<MadeOf>,
    pub(crate) file: Arc<ResultFile>,
}

impl Snapshot {
    /// A snapshot of nothing.
    pub(crate) fn empty(plan: Arc<ViewPlan>) -> Self {
        Self {
            next_offset: Offset(0),
            watermark: None,
            counts: Counts::default(),
            open_rows: 0,
            open_bytes: 0,
            plan,
            begins: Offset(0),
            build: 0,
            generation: 0,
            closed_until: Timestamp(i64::MIN),
            results: Arc::default(),
            open: Vec::new(),
            upstream: None,
            open_rows_of: &InMemory,
            rest: OnceCell::new(),
            counted: OnceLock::new(),
        }
    }

    /// The last commit.
    pub(crate) fn commit_id(&self) -> CommitId {
        CommitId { incarnation: self.build, commit: self.generation }
    }

    /// How it was compiled.
    #[must_use]
    pub fn plan(&self) -> &Arc<ViewPlan> {
        &self.plan
    }

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

    /// Result files.
    #[must_use]
    pub fn result_files(&self) -> usize {
        self.results.files.len()
    }

    /// Every row of a window that starts before this is final but for corrections, and in a result file.
    pub(crate) fn complete_before(&self) -> Timestamp {
        match (self.plan.kind(), &self.upstream) {
            (PlanKind::Windowed(windowed), _) => windowed.windows.complete_before(self.closed_until),
            (PlanKind::Derived(derived), Some((_, upstream))) => match &derived.windows {
                Some((windows, _)) => windows.complete_before(upstream.complete_before()),
                None => upstream.complete_before(),
            },
            (PlanKind::Projection(_) | PlanKind::Derived(_), _) => Timestamp(i64::MIN),
        }
    }

    /// The rows that no result file holds. Computed once.
    pub(crate) fn rest(&self) -> BoxFuture<'_, Result<&[RecordBatch], Error>> {
        Box::pin(
            async move { Ok(self.rest.get_or_try_init(|| self.open_rows_of.compute(self)).await?.rows.as_slice()) },
        )
    }

    /// The values that could not be computed: those of result files, and of open windows as far as somebody has asked for
    /// their rows.
    #[must_use]
    pub fn failed_values(&self) -> FailedValues {
        let files = self.results.files.iter().map(|listed| &listed.failed);
        let all = files.chain(self.rest.get().map(|rest| &rest.failed));
        all.fold(FailedValues::default(), FailedValues::and)
    }

    /// The rows that a query would find, and whether these are all: those in result files, and those of open windows. Where
    /// many partial rows are open, or another view's rows would have to be counted first, open windows are not counted
    /// before somebody has asked for them.
    #[must_use]
    pub fn rows(&self) -> (u64, bool) {
        let open = match (self.rest.get(), self.plan.kind()) {
            (Some(rest), _) => Some(count(&rest.rows)),
            (None, PlanKind::Projection(_)) => Some(self.open_rows as u64),
            (None, PlanKind::Windowed(_)) if self.open_rows == 0 => Some(0),
            (None, PlanKind::Windowed(_)) if self.open_rows <= COUNTED_ROWS_MAX => *self.counted.get_or_init(|| {
                // In memory and of one partition: there is nothing to wait for.
                let finished = tokio::task::unconstrained(self.open_rows_of.compute(self)).now_or_never()?;
                finished.ok().map(|rest| count(&rest.rows))
            }),
            _ => None,
        };
        (self.results.rows + open.unwrap_or(0), open.is_some())
    }
}

fn count(rows: &[RecordBatch]) -> u64 {
    rows.iter().map(|batch| batch.num_rows() as u64).sum()
}
