//! One moment of a view, pinned: its live result files and the partial rows beside them, of the same offset.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use datafusion::arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::future::BoxFuture;
use lakehead_model::{Name, Offset, TimeRange, Timestamp};
use lakehead_window::Windows;
use tokio::sync::OnceCell;

use crate::{
    Counts, Error, ViewPlan, cells,
    checkpoint::{ChangeFile, MadeOf},
    derived,
    files::{Folder, ResultFile},
    plan::{Kind, Windowed},
    state,
};

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
    /// The first offset whose event it could take in.
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
    /// The rows that `open` becomes, once somebody asked.
    pub(crate) rest: OnceCell<Vec<RecordBatch>>,
}

/// A view's live result files, and what else a commit names.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) files: Vec<Listed>,
    /// Files of the last commit whose periods were taken back since: their rows are in the state, and the next commit writes
    /// them anew.
    pub(crate) taken_back: Vec<Arc<ResultFile>>,
    /// Periods with late rows that no file holds yet, whether they had a file before or not.
    pub(crate) reopened: Vec<TimeRange>,
    /// Files with partial rows that have left the state, by the period of their cells.
    pub(crate) partials: BTreeMap<Timestamp, Vec<PathBuf>>,
    /// What commits have changed, and where it lies.
    pub(crate) changes: Vec<ChangeFile>,
    pub(crate) changes_after: u64,
    pub(crate) folder: Option<Folder>,
}

/// One live result file, and what the checkpoint says of it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) range: TimeRange,
    pub(crate) rows: u64,
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
            rest: OnceCell::new(),
        }
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
            (Kind::Windowed(windowed), _) => windowed.windows.complete_before(self.closed_until),
            (Kind::Derived(derived), Some((_, upstream))) => match &derived.windows {
                Some((windows, _)) => windows.complete_before(upstream.complete_before()),
                None => upstream.complete_before(),
            },
            (Kind::Rows(_) | Kind::Derived(_), _) => Timestamp(i64::MIN),
        }
    }

    /// The rows that no result file holds. Computed once.
    pub(crate) fn rest(&self) -> BoxFuture<'_, Result<&[RecordBatch], Error>> {
        Box::pin(async move { Ok(self.rest.get_or_try_init(|| self.compute_rest()).await?.as_slice()) })
    }

    async fn compute_rest(&self) -> Result<Vec<RecordBatch>, Error> {
        match self.plan.kind() {
            Kind::Windowed(windowed) => {
                let filed: HashSet<Timestamp> = self.results.files.iter().map(|listed| listed.range.start).collect();
                let is_open = |window: TimeRange| {
                    window.end > self.closed_until || !filed.contains(&windowed.period.range(window.start).start)
                };
                finished(&self.plan, windowed, self.open.clone(), is_open).await
            }
            Kind::Rows(_) => Ok(self.open.clone()),
            Kind::Derived(_) => derived::rest(self).await,
        }
    }
}

/// The rows of those windows that satisfy `wanted`, from partial rows of any number of runs.
pub(crate) async fn finished(
    plan: &ViewPlan,
    windowed: &Windowed,
    partial: Vec<RecordBatch>,
    mut wanted: impl FnMut(TimeRange) -> bool,
) -> Result<Vec<RecordBatch>, Error> {
    if partial.is_empty() {
        return Ok(Vec::new());
    }
    let partial = match windowed.windows {
        // Only when its rows are one is it known how far a session reaches.
        Windows::Session(_) => state::reduce(windowed, partial).await?,
        _ => partial,
    };
    let by_window = partial.iter().map(|batch| cells::by_window(windowed, batch, &mut wanted));
    let by_window: Vec<RecordBatch> = by_window.collect::<Result<_, _>>()?;
    finish(plan, windowed, by_window).await
}

/// The rows that partial rows become, which are by window already.
pub(crate) async fn finish(
    plan: &ViewPlan,
    windowed: &Windowed,
    by_window: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>, Error> {
    if by_window.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(Vec::new());
    }
    let schema = plan.schema();
    let rows = windowed.finish.run(by_window).await?;
    Ok(rows.into_iter().map(|batch| batch.with_schema(SchemaRef::clone(&schema))).collect::<Result<_, _>>()?)
}

/// Where queries find a view's newest snapshot. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ViewHandle {
    name: Name,
    current: Arc<Mutex<Current>>,
}

#[derive(Debug)]
struct Current {
    snapshot: Arc<Snapshot>,
    /// For a view over another: where that one's newest snapshot is.
    upstream: Option<ViewHandle>,
}

impl ViewHandle {
    pub(crate) fn new(name: Name, snapshot: Snapshot, upstream: Option<Self>) -> Self {
        Self { name, current: Arc::new(Mutex::new(Current { snapshot: Arc::new(snapshot), upstream })) }
    }

    /// The view's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
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
        let (snapshot, upstream) = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            (Arc::clone(&current.snapshot), current.upstream.clone())
        };
        match upstream {
            None => snapshot,
            Some(upstream) => Arc::new(derived::pinned(&snapshot, upstream.name.clone(), upstream.snapshot())),
        }
    }

    /// The view as its own last commit and what came since have it, whatever became of the view that it reads.
    pub(crate) fn own_snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).snapshot)
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        // The old one is dropped outside the lock: it may delete files.
        let old = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut current.snapshot, snapshot)
        };
        drop(old);
    }

    /// A handle of the view as it is now, which stays so.
    fn frozen(&self) -> Self {
        let current = Current { snapshot: self.snapshot(), upstream: None };
        Self { name: self.name.clone(), current: Arc::new(Mutex::new(current)) }
    }

    /// What it reads stays as it is now, whatever becomes of it. Answers what it was.
    pub(crate) fn hold_upstream(&self) -> Option<Self> {
        let upstream = self.upstream()?;
        self.set_upstream(Some(upstream.frozen()));
        Some(upstream)
    }

    /// From now on this answers from another view's snapshots: `other` took the view's place.
    pub(crate) fn upstream(&self) -> Option<Self> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).upstream.clone()
    }

    /// Says what the view reads from now on.
    pub(crate) fn set_upstream(&self, upstream: Option<Self>) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).upstream = upstream;
    }
}
