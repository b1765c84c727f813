//! One moment of a view, pinned: its live result files and the partial rows beside them, of the same offset.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use datafusion::arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::{FutureExt, future::BoxFuture};
use lakehead_model::{Name, Offset, TimeRange, Timestamp};
use lakehead_window::Windows;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::{
    Counts, Error, ViewPlan, cells,
    checked::{Note, noted},
    checkpoint::{ChangeFile, MadeOf},
    derived,
    files::{Folder, ResultFile},
    plan::{Kind, Windowed},
    state,
};

/// Values of finished rows that could not be computed and are NULL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedValues {
    /// How many.
    pub count: u64,
    /// The first of them: the row's groups and why.
    pub told: Vec<String>,
}

/// How many partial rows are made rows just to count these: some milliseconds.
const COUNTED_ROWS_MAX: usize = 5_000;

fn count(rows: &[RecordBatch]) -> u64 {
    rows.iter().map(|batch| batch.num_rows() as u64).sum()
}

/// How many failed values of a file are told.
const TOLD_MAX: usize = 3;

impl FailedValues {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn noted(count: u64, notes: Vec<Note>) -> Self {
        let tell = |note: Note| match note.row.as_str() {
            "" => note.reason,
            row => format!("{row}: {}", note.reason),
        };
        Self { count, told: notes.into_iter().take(TOLD_MAX).map(tell).collect() }
    }

    /// These and `others`.
    #[must_use]
    pub(crate) fn and(mut self, others: &Self) -> Self {
        self.count += others.count;
        let room = TOLD_MAX.saturating_sub(self.told.len());
        self.told.extend(others.told.iter().take(room).cloned());
        self
    }
}

/// Rows, and what of them could not be computed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finished {
    pub(crate) rows: Vec<RecordBatch>,
    pub(crate) failed: FailedValues,
}

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
    pub(crate) rest: OnceCell<Finished>,
    /// How many rows these are, if somebody counted them alone.
    pub(crate) counted: OnceLock<Option<u64>>,
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
            rest: OnceCell::new(),
            counted: OnceLock::new(),
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
        Box::pin(async move { Ok(self.rest.get_or_try_init(|| self.compute_rest()).await?.rows.as_slice()) })
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
            (None, Kind::Rows(_)) => Some(self.open_rows as u64),
            (None, Kind::Windowed(_)) if self.open_rows == 0 => Some(0),
            (None, Kind::Windowed(_)) if self.open_rows <= COUNTED_ROWS_MAX => *self.counted.get_or_init(|| {
                // In memory and of one partition: there is nothing to wait for.
                let finished = tokio::task::unconstrained(self.compute_rest()).now_or_never()?;
                finished.ok().map(|rest| count(&rest.rows))
            }),
            _ => None,
        };
        (self.results.rows + open.unwrap_or(0), open.is_some())
    }

    async fn compute_rest(&self) -> Result<Finished, Error> {
        match self.plan.kind() {
            Kind::Windowed(windowed) => {
                let filed: HashSet<Timestamp> = self.results.files.iter().map(|listed| listed.range.start).collect();
                let is_open = |window: TimeRange| {
                    window.end > self.closed_until || !filed.contains(&windowed.period.range(window.start).start)
                };
                finished(&self.plan, windowed, self.open.clone(), is_open).await
            }
            Kind::Rows(_) => Ok(Finished { rows: self.open.clone(), failed: FailedValues::default() }),
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
) -> Result<Finished, Error> {
    if partial.is_empty() {
        return Ok(Finished::default());
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
) -> Result<Finished, Error> {
    if by_window.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(Finished::default());
    }
    let schema = plan.schema();
    let (rows, count, notes) = noted(windowed.finish.run(by_window)).await;
    let rows = rows?.into_iter().map(|batch| batch.with_schema(SchemaRef::clone(&schema))).collect::<Result<_, _>>()?;
    Ok(Finished { rows, failed: FailedValues::noted(count, notes) })
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
    /// Since when it stands still, and why.
    stopped: Option<(Timestamp, String)>,
}

impl ViewHandle {
    pub(crate) fn new(name: Name, snapshot: Snapshot, upstream: Option<Self>) -> Self {
        Self { name, current: Arc::new(Mutex::new(Current { snapshot: Arc::new(snapshot), upstream, stopped: None })) }
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

    /// It takes nothing in any more: whoever asks it is told so ([`Answer::warnings`](crate::Answer::warnings)).
    pub fn stands_still(&self, since: Timestamp, why: &str) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).stopped = Some((since, why.to_owned()));
    }

    /// It goes on: another life of the view has taken this one's place.
    pub(crate) fn goes_on(&self) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).stopped = None;
    }

    /// Since when and why this view, or one that it reads, stands still, and what it is about then.
    pub(crate) fn stale(&self) -> Option<String> {
        let (stopped, upstream, offset) = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            (current.stopped.clone(), current.upstream.clone(), current.snapshot.next_offset)
        };
        let Some((since, why)) = stopped else { return upstream.and_then(|upstream| upstream.stale()) };
        Some(format!(
            "the view {} stands still since {since}: {why}; its rows are those of offset {offset}, and what came later is in \
             none of them",
            self.name
        ))
    }

    /// A handle of the view as it is now, which stays so.
    fn frozen(&self) -> Self {
        let current = Current { snapshot: self.snapshot(), upstream: None, stopped: None };
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
