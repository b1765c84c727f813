//! A view: absorbs what is new, closes windows as the watermark passes, corrects what comes late, commits.
//!
//! ```text
//!   events ─ partial ─▶ state (all windows that no result file holds)
//!                         │  commit: windows that end at or before the watermark
//!                         ▼
//!              result period: partial rows ─ finish ─▶ Parquet
//!                         ▲
//!   a late event takes its whole period back into the state; the next commit writes it anew
//! ```
//!
//! So at every offset a window's rows are in exactly one place, and a snapshot of both places is an answer. A commit
//! writes new files, syncs them and their folder, and then renames one checkpoint; a crash before the rename leaves the
//! old answer, after it the new one. Nothing here is the only copy of anything: every file can be rebuilt from the log.

use std::{
    collections::{BTreeMap, HashSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use datafusion::arrow::array::RecordBatch;
use futures::future::BoxFuture;
use lakehead_model::{Name, Offset, TimeRange, Timestamp};
use lakehead_store::crash;
use lakehead_window::{Timeliness, Watermark, classify};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Snapshot, TimeColumn, ViewHandle, ViewPlan,
    checkpoint::{Checkpoint, Period, Rebuild},
    files::{self, Folder, ResultFile},
    snapshot::{Listed, Results},
    state::{self, State},
};

/// What becomes of an event whose window was already emitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// The window is corrected and its file rewritten.
    #[default]
    Correct,
    /// It is counted and left out.
    Drop,
}

/// What a user may set for a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewSettings {
    /// How far the watermark stays behind. Default: 60 s; recorded events come at most 64 s late, 99.9 % within 18 s.
    pub watermark_delay: Duration,
    /// How long after its end a window can still be corrected. Default: 24 h.
    pub lateness: Duration,
    /// What becomes of late events.
    pub late: Late,
    /// Most partial rows in memory. Default: 20 million, about 2 GiB of short groups; beyond it the view stops with a
    /// clear error rather than take the machine down.
    pub state_rows_max: usize,
    /// Whether the log still holds every event from the stream's first on. Where it does not, results that a rebuild would
    /// replace are moved to the quarantine instead of deleted: nobody can make them again. Default: yes.
    pub whole_log: bool,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            watermark_delay: Duration::from_secs(60),
            lateness: Duration::from_secs(24 * 3600),
            late: Late::Correct,
            state_rows_max: 20_000_000,
            whole_log: true,
        }
    }
}

/// What became of the events that a view has seen. What is in none of these was filtered out by its WHERE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events seen: those before the view's offset.
    pub events: u64,
    /// Events in the view's windows.
    pub in_view: u64,
    /// Of these, those that came late and corrected a window.
    pub late: u64,
    /// Late events left out because `late = "drop"`.
    pub late_dropped: u64,
    /// Late events left out because they came later than `lateness`.
    pub too_late: u64,
    /// Events left out because they have no event time.
    pub without_time: u64,
    /// Events that the log did not hold any more when the view came to them; in none of the others.
    #[serde(default)]
    pub missed: u64,
}

/// A run of blocks on its way into views: their columns, and what their footers say of time.
#[derive(Clone, Debug)]
pub struct Round {
    /// The events' columns, at least those that the view wants, by name.
    pub batches: Vec<RecordBatch>,
    /// How many events these are.
    pub events: u64,
    /// The offset after the last of them.
    pub end: Offset,
    /// For each block, in order: what its sources say of progress, its greatest event time, its received time.
    pub times: Vec<(Option<Timestamp>, Option<Timestamp>, Timestamp)>,
}

/// What a view makes of a round by itself, whatever came before it. Made by [`ViewPlan::digest`] on any thread and in any
/// order; absorbed by its view in the order of the log.
#[derive(Debug)]
pub struct Digest {
    rows: Vec<RecordBatch>,
    events: u64,
    end: Offset,
    times: Vec<(Option<Timestamp>, Option<Timestamp>, Timestamp)>,
}

impl ViewPlan {
    /// Makes partial rows of the events of `round`: the costly part of absorbing them, and one that needs no state.
    ///
    /// # Errors
    /// [`Error::Sql`] when an expression fails on an event, as a division by zero does.
    pub fn digest<'a>(&'a self, round: &'a Round) -> BoxFuture<'a, Result<Digest, Error>> {
        Box::pin(async move {
            let wanted = |batch: &RecordBatch| -> Result<RecordBatch, Error> {
                let schema = batch.schema();
                let indices = self.wanted().iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
                Ok(batch.project(&indices)?)
            };
            let batches = round.batches.iter().map(wanted).collect::<Result<Vec<_>, _>>()?;
            let rows = self.partial.run(batches).await?;
            Ok(Digest { rows, events: round.events, end: round.end, times: round.times.clone() })
        })
    }
}

struct Live {
    period: Period,
    range: TimeRange,
    file: Arc<ResultFile>,
}

impl Live {
    fn listed(&self) -> Listed {
        let Period { rows, correctable, .. } = self.period;
        Listed { range: self.range, rows, correctable, file: Arc::clone(&self.file) }
    }
}

/// A view, open for work. One owner drives it; readers hold a [`ViewHandle`].
pub struct View {
    plan: Arc<ViewPlan>,
    settings: ViewSettings,
    folder: Option<Folder>,
    checkpoint: Checkpoint,
    live: BTreeMap<Timestamp, Live>,
    /// What `live` holds, listed once for all snapshots until it changes.
    results: Arc<Results>,
    state: State,
    /// Result files that the next commit replaces; the checkpoint on disk still names them.
    replaced: Vec<Arc<ResultFile>>,
    handle: ViewHandle,
}

impl View {
    /// Opens the view `name` under `data`, from its checkpoint where that still fits, else from the beginning of the
    /// log. Answers the view and, when it has to be rebuilt, why.
    ///
    /// # Errors
    /// [`Error::File`] when its folder cannot be made or read.
    pub fn open(
        data: &Path,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
    ) -> BoxFuture<'static, Result<(Self, Option<String>), Error>> {
        let folder = Folder::new(data, name.as_str());
        Box::pin(Self::open_in(folder, name, plan, settings))
    }

    async fn open_in(
        folder: Folder,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
    ) -> Result<(Self, Option<String>), Error> {
        folder.create()?;
        let (mut view, rebuild) = Self::restore(&folder, name, plan, settings).await?;
        if rebuild.is_some() {
            view.spare(&folder)?;
        }
        folder.sweep(&view.kept(&folder))?;
        for live in view.live.values() {
            let inode = |path: &Path| std::fs::metadata(path).map(|found| found.ino()).ok();
            if inode(&live.file.path) != inode(&folder.public_path(live.range)) {
                folder.publish(live.range, &live.file.path)?;
            }
        }
        view.folder = Some(folder);
        Ok((view, rebuild))
    }

    /// Opens the view as its last checkpoint left it, to be brought up to date in memory only. Nothing on disk changes.
    /// Answers the view and, when the next start will rebuild it since a file of it is damaged, what is wrong.
    ///
    /// # Errors
    /// [`Error::File`] when the state cannot be read.
    pub fn open_read_only(
        data: &Path,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
    ) -> BoxFuture<'static, Result<(Self, Option<String>), Error>> {
        let folder = Folder::new(data, name.as_str());
        Box::pin(async move {
            let (view, rebuild) = Self::restore(&folder, name, plan, settings).await?;
            Ok((view, rebuild.filter(|why| why.contains("cannot be read") || why.contains("is damaged"))))
        })
    }

    async fn restore(
        folder: &Folder,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
    ) -> Result<(Self, Option<String>), Error> {
        let watermark = match plan.time() {
            TimeColumn::EventTime => Watermark::new(settings.watermark_delay),
            TimeColumn::ReceivedTime => Watermark::for_received_time(),
        };
        let (checkpoint, rebuild) = match Checkpoint::read(&folder.checkpoint(), &plan) {
            Ok(found) if found.watermark.delay() == watermark.delay() => (found, None),
            Ok(_) => (Checkpoint::empty(&plan, watermark), Some("its watermark_delay was changed".to_owned())),
            Err(Rebuild::New) => (Checkpoint::empty(&plan, watermark), None),
            Err(Rebuild::Because(why)) => (Checkpoint::empty(&plan, watermark), Some(why)),
        };
        let read = |checkpoint: &Checkpoint| -> Result<_, Error> {
            let mut live = BTreeMap::new();
            for (start, period) in &checkpoint.periods {
                let range = plan.period_at(*start);
                let path = folder.result(range, period.generation);
                std::fs::metadata(&path).map_err(Error::file(&path))?;
                let file = files::result_file(path, period.bytes);
                live.insert(*start, Live { period: *period, range, file });
            }
            let open = checkpoint.open.map(|generation| files::read_partial(&folder.open(generation))).transpose()?;
            Ok((live, open.unwrap_or_default()))
        };
        let (checkpoint, rebuild, (live, open)) = match read(&checkpoint) {
            Ok(read) => (checkpoint, rebuild, read),
            Err(error) => {
                let why = Some(format!("a file that its checkpoint names cannot be read: {error}"));
                (Checkpoint::empty(&plan, watermark), why, (BTreeMap::new(), Vec::new()))
            }
        };
        let mut state = State::default();
        state.push(&plan, open).await?;
        let empty = Snapshot {
            next_offset: checkpoint.next_offset,
            watermark: None,
            counts: checkpoint.counts,
            results: Arc::default(),
            open_rows: 0,
            open: Vec::new(),
        };
        let handle = ViewHandle::new(name, Arc::clone(&plan), empty);
        let results = Arc::default();
        let mut view =
            Self { plan, settings, folder: None, checkpoint, live, results, state, replaced: Vec::new(), handle };
        view.list_results();
        view.publish();
        Ok((view, rebuild))
    }

    /// Forgets everything: the log's end lies before the view's offset, so the view is not of this log.
    ///
    /// # Errors
    /// [`Error::File`] when the old files cannot be deleted.
    pub fn restart(&mut self) -> Result<(), Error> {
        let watermark = match self.plan.time() {
            TimeColumn::EventTime => Watermark::new(self.settings.watermark_delay),
            TimeColumn::ReceivedTime => Watermark::for_received_time(),
        };
        let generation = self.checkpoint.generation;
        self.checkpoint = Checkpoint::empty(&self.plan, watermark);
        self.checkpoint.generation = generation;
        self.live.clear();
        self.state = State::default();
        self.replaced.clear();
        self.list_results();
        if let Some(folder) = &self.folder {
            self.spare(folder)?;
            folder.sweep(&HashSet::new())?;
        }
        self.publish();
        Ok(())
    }

    /// Before a rebuild: moves results aside that the log cannot give again.
    fn spare(&self, folder: &Folder) -> Result<(), Error> {
        if self.settings.whole_log {
            return Ok(());
        }
        if let Some(aside) = folder.set_aside(self.handle.name().as_str())? {
            tracing::warn!(view = %self.handle.name(), results = %aside.display(),
                "the log does not reach back to its first event: the old results are kept there");
        }
        Ok(())
    }

    /// Goes on at `offset`, since the log does not hold what is before it any more. Counts what was missed, unless nothing
    /// was seen yet.
    pub fn begin_at(&mut self, offset: Offset) {
        let next = self.checkpoint.next_offset;
        if offset <= next {
            return;
        }
        if self.checkpoint.counts.events > 0 {
            self.checkpoint.counts.missed += offset.since(next);
        }
        self.checkpoint.next_offset = offset;
        self.publish();
    }

    /// Where queries find it.
    #[must_use]
    pub fn handle(&self) -> ViewHandle {
        self.handle.clone()
    }

    /// How it was compiled.
    #[must_use]
    pub fn plan(&self) -> &ViewPlan {
        &self.plan
    }

    /// The first offset that it has not seen.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.checkpoint.next_offset
    }

    /// Takes events in, in the order of the log. After this the view's snapshot has them.
    ///
    /// # Errors
    /// [`Error::Limit`] when the state grows too large; [`Error::File`] when a period to be corrected cannot be read.
    pub fn absorb(&mut self, digest: Digest) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.take_in(digest))
    }

    async fn take_in(&mut self, round: Digest) -> Result<(), Error> {
        let partial = round.rows;
        let mut touched = Vec::new();
        let mut kept = Vec::with_capacity(partial.len());
        for batch in partial {
            kept.push(self.judge(&batch, &mut touched)?);
        }
        self.state.push(&self.plan, kept).await?;
        for start in touched {
            self.reopen(start).await?;
        }
        if self.state.rows() > self.settings.state_rows_max {
            return Err(Error::Limit(format!(
                "the view {} holds {} open rows, more than its limit of {}; use shorter windows or fewer groups",
                self.handle.name(),
                self.state.rows(),
                self.settings.state_rows_max
            )));
        }
        for (progress, greatest, received) in &round.times {
            self.checkpoint.watermark.observe(*progress, *greatest, *received);
        }
        self.checkpoint.counts.events += round.events;
        self.checkpoint.next_offset = round.end;
        self.publish();
        Ok(())
    }

    /// Leaves out what has no window or comes too late, counts it, and notes the periods that have to be corrected.
    fn judge(&mut self, batch: &RecordBatch, touched: &mut Vec<Timestamp>) -> Result<RecordBatch, Error> {
        let (plan, settings, counts) = (&self.plan, &self.settings, &mut self.checkpoint.counts);
        let closed_until = self.checkpoint.closed_until;
        let watermark = self.checkpoint.watermark.current().unwrap_or(Timestamp(i64::MIN));
        state::split(plan, batch, |start, events| {
            let Some(start) = start else {
                counts.without_time += events;
                return false;
            };
            match classify(plan.window_at(start).end, closed_until, settings.lateness, watermark) {
                Timeliness::OnTime => {}
                Timeliness::Late if settings.late == Late::Correct => {
                    counts.late += events;
                    let period = plan.period_at(start).start;
                    if !touched.contains(&period) {
                        touched.push(period);
                    }
                }
                Timeliness::Late => {
                    counts.late_dropped += events;
                    return false;
                }
                Timeliness::TooLate => {
                    counts.too_late += events;
                    return false;
                }
            }
            counts.in_view += events;
            true
        })
    }

    /// Takes a result period back into the state, so that its windows can change.
    async fn reopen(&mut self, start: Timestamp) -> Result<(), Error> {
        let Some(live) = self.live.get(&start) else { return Ok(()) };
        let rows = files::read_partial(&self.partial_path(live)?)?;
        self.state.push(&self.plan, rows).await?;
        if let Some(live) = self.live.remove(&start) {
            self.replaced.push(live.file);
            self.list_results();
        }
        Ok(())
    }

    fn partial_path(&self, live: &Live) -> Result<PathBuf, Error> {
        // Beside its result file, wherever that lies: a view opened read-only has no folder of its own to write to.
        let path = live.file.path.with_extension("partial");
        if live.period.correctable { Ok(path) } else { Err(Error::Engine(format!("{} is final", path.display()))) }
    }

    /// Writes what changed and commits it: state, offset and results at once.
    ///
    /// # Errors
    /// [`Error::File`] when something cannot be written; the last commit then still stands and the next call tries
    /// again.
    pub fn commit(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.write_commit())
    }

    async fn write_commit(&mut self) -> Result<(), Error> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let watermark = self.checkpoint.watermark.current().unwrap_or(Timestamp(i64::MIN));
        let generation = self.checkpoint.generation + 1;
        let plan = Arc::clone(&self.plan);
        let closable = |start: Timestamp| plan.window_at(start).end <= watermark;

        let mut written: BTreeMap<Timestamp, Live> = BTreeMap::new();
        let mut open = None;
        if self.state.earliest().is_some_and(closable) {
            let (mut closed, mut rest) = (BTreeMap::<Timestamp, Vec<RecordBatch>>::new(), Vec::new());
            let rows = self.reduced().await?;
            for batch in &rows {
                rest.push(state::split(&self.plan, batch, |start, _| !start.is_some_and(closable))?);
                for period in self.periods(batch, closable) {
                    let rows = state::split(&self.plan, batch, |start, _| {
                        start.is_some_and(|start| closable(start) && self.plan.period_at(start).start == period)
                    })?;
                    closed.entry(period).or_default().push(rows);
                }
            }
            for (start, rows) in closed {
                written.insert(start, self.write_period(&folder, start, rows, generation).await?);
            }
            open = Some(rest);
        }
        let open_rows = open.clone().unwrap_or_else(|| self.state.batches());
        let has_open = open_rows.iter().any(|batch| batch.num_rows() > 0);
        if has_open {
            files::write_partial(&folder.open(generation), &self.plan.state_schema(), &open_rows)?;
        }
        folder.sync()?;
        crash::point("checkpoint.files");

        let mut next = self.checkpoint.clone();
        next.generation = generation;
        next.closed_until = next.closed_until.max(watermark);
        next.open = has_open.then_some(generation);
        let keeps = |live: &Live| watermark < live.range.end.plus(self.settings.lateness);
        next.periods = self
            .live
            .iter()
            .chain(&written)
            .map(|(start, live)| {
                (*start, Period { correctable: live.period.correctable && keeps(live), ..live.period })
            })
            .collect();
        next.write(&folder.checkpoint())?;
        crash::point("checkpoint.renamed");

        // From here on the new commit stands; what follows only tidies up, and an opening would do it again.
        let old_open = std::mem::replace(&mut self.checkpoint, next).open;
        if let Some(rest) = open {
            self.state = State::default();
            self.state.push(&self.plan, rest).await?;
        }
        for (start, live) in written {
            folder.publish(live.range, &live.file.path)?;
            if let Some(old) = self.live.insert(start, live) {
                self.replaced.push(old.file);
            }
        }
        crash::point("checkpoint.published");
        for live in self.live.values_mut() {
            if live.period.correctable && !self.checkpoint.periods.get(&live.range.start).is_some_and(|p| p.correctable)
            {
                live.period.correctable = false;
                let _ = std::fs::remove_file(live.file.path.with_extension("partial"));
            }
        }
        if let Some(old) = old_open {
            let _ = std::fs::remove_file(folder.open(old));
        }
        for old in self.replaced.drain(..) {
            let _ = std::fs::remove_file(old.path.with_extension("partial"));
            old.supersede();
        }
        self.list_results();
        self.publish();
        Ok(())
    }

    /// The whole state, one row for each window and group; the state itself stays as it is until the commit stands.
    async fn reduced(&mut self) -> Result<Vec<RecordBatch>, Error> {
        let rows = self.state.take(&self.plan).await?;
        self.state.push(&self.plan, rows.clone()).await?;
        Ok(rows)
    }

    /// The result periods in `batch` that have windows to close.
    fn periods(&self, batch: &RecordBatch, closable: impl Fn(Timestamp) -> bool) -> Vec<Timestamp> {
        let Some(starts) = state::window_starts(&self.plan, batch) else { return Vec::new() };
        let starts = starts.iter().flatten().map(Timestamp).filter(|start| closable(*start));
        let mut periods = Vec::new();
        for start in starts {
            let period = self.plan.period_at(start).start;
            if periods.last() != Some(&period) && !periods.contains(&period) {
                periods.push(period);
            }
        }
        periods
    }

    async fn write_period(
        &self,
        folder: &Folder,
        start: Timestamp,
        mut rows: Vec<RecordBatch>,
        generation: u64,
    ) -> Result<Live, Error> {
        if let Some(live) = self.live.get(&start) {
            rows.extend(files::read_partial(&self.partial_path(live)?)?);
            rows = self.plan.reduce.run(rows).await?;
        }
        let range = self.plan.period_at(start);
        let results = self.plan.finish.run(rows.clone()).await?;
        let path = folder.result(range, generation);
        let bytes = files::write_parquet(&path, &self.plan.schema(), &results)?;
        files::write_partial(&folder.partial(range, generation), &self.plan.state_schema(), &rows)?;
        let count = results.iter().map(|batch| batch.num_rows() as u64).sum();
        let period = Period { generation, rows: count, bytes, correctable: true };
        Ok(Live { period, range, file: files::result_file(path, bytes) })
    }

    fn list_results(&mut self) {
        self.results = Arc::new(Results {
            rows: self.live.values().map(|live| live.period.rows).sum(),
            bytes: self.live.values().map(|live| live.period.bytes).sum(),
            files: self.live.values().map(Live::listed).collect(),
        });
    }

    fn publish(&self) {
        self.handle.publish(Snapshot {
            next_offset: self.checkpoint.next_offset,
            watermark: self.checkpoint.watermark.current(),
            counts: self.checkpoint.counts,
            results: Arc::clone(&self.results),
            open_rows: self.state.rows(),
            open: self.state.batches(),
        });
    }

    /// The files that the checkpoint names.
    fn kept(&self, folder: &Folder) -> HashSet<PathBuf> {
        let mut kept = HashSet::from([folder.checkpoint()]);
        kept.extend(self.checkpoint.open.map(|generation| folder.open(generation)));
        for live in self.live.values() {
            kept.insert(folder.public_path(live.range));
            kept.insert(live.file.path.clone());
            if live.period.correctable {
                kept.insert(live.file.path.with_extension("partial"));
            }
        }
        kept
    }
}
