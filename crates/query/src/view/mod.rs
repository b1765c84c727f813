//! A view: absorbs what is new, closes windows as the watermark passes, corrects what comes late, commits.
//!
//! There are three bodies behind one face: windows over a stream (`windowed.rs`), a projection (`rows.rs`), and a view over
//! another view (`derived.rs`, which needs no state). What they share is here: opening, the commit, and the swap of a view
//! for one with another SQL that was built beside it.
//!
//! A commit writes new files, syncs them and their folder, and then renames one checkpoint; a crash before the rename
//! leaves the old answer, after it the new one. Nothing here is the only copy of anything: every file can be rebuilt from
//! the log. Where very many result periods are due at once, a commit writes [`PERIODS_MAX`] of them and leaves the rest to
//! the next, so that nobody waits long for it.

pub(crate) mod changes;
mod rows;
pub(crate) mod windowed;

use std::{
    collections::{BTreeMap, HashSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use datafusion::arrow::{
    array::{AsArray, RecordBatch},
    datatypes::TimestampMicrosecondType,
};
use futures::future::BoxFuture;
use lakehead_model::{Name, Offset, TimeRange, Timestamp};
use lakehead_store::crash;
use lakehead_window::Watermark;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::{
    Error, Kept, Sieve, Slot, Snapshot, TimeColumn, ViewHandle, ViewPlan, aside,
    checked::noted,
    checkpoint::{ChangeFile, Checkpoint, MadeOf, Period, Rebuild},
    compact, derived,
    files::{self, Folder, ParquetWriter, ResultFile},
    panics::{defect, unharmed},
    plan::Kind,
    run::Piece,
    snapshot::{FailedValues, Finished, Listed, Results},
    syncing::Syncing,
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
    /// Most memory that its open windows may take, in bytes. Default: 1 GiB, some ten million short groups; beyond it the
    /// view stands still with a clear error rather than take the machine down.
    pub state_bytes_max: usize,
    /// The first offset that the log still holds. Where results come from events before it, a rebuild sets them aside in the
    /// quarantine: nobody can make them again. Default: 0, the whole log.
    pub log_start: Offset,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            watermark_delay: Duration::from_secs(60),
            lateness: Duration::from_secs(24 * 3600),
            late: Late::Correct,
            state_bytes_max: 1 << 30,
            log_start: Offset(0),
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
    /// Events in some of their windows only, since the others were closed and are not corrected any more. Only windows that
    /// overlap have such; counted in `in_view` too.
    #[serde(default)]
    pub partly: u64,
    /// Late events, whatever became of them, by how long after the end of their window they came.
    #[serde(default)]
    pub late_by: LateBy,
    /// Events that the log did not hold any more when the view came to them; in none of the others.
    #[serde(default)]
    pub missed: u64,
    /// Events left out because an expression of the SQL fails on them.
    #[serde(default)]
    pub failed: u64,
}

/// An event that a view has left out, since an expression of its SQL fails on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEvent {
    /// Its offset in the stream.
    pub offset: Option<Offset>,
    /// Why; empty where more fail at once than are told.
    pub reason: String,
}

/// Events by how late they came: how far the watermark was past the end of their window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateBy(pub [u64; LateBy::UP_TO.len() + 1]);

impl LateBy {
    /// Upper ends of the classes; what came later than the last is in one of its own.
    pub const UP_TO: [Duration; 5] = [
        Duration::from_secs(60),
        Duration::from_secs(600),
        Duration::from_secs(3_600),
        Duration::from_secs(6 * 3_600),
        Duration::from_secs(24 * 3_600),
    ];

    /// The classes' names, in order.
    pub const NAMES: [&str; 6] =
        ["up to 1 min", "up to 10 min", "up to 1 h", "up to 6 h", "up to 24 h", "more than 24 h"];

    fn count(&mut self, late: Duration, events: u64) {
        let class = Self::UP_TO.iter().position(|up_to| late <= *up_to).unwrap_or(Self::UP_TO.len());
        if let Some(count) = self.0.get_mut(class) {
            *count += events;
        }
    }
}

/// A run of blocks on its way into views: their columns, and what their footers say of time.
#[derive(Clone, Debug)]
pub struct Round {
    /// The events' columns, at least those that the view wants, by name; those of one batch were received in the same hour.
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
    /// Of the plan that made it.
    serial: u64,
    rows: Digested,
    failed: Vec<FailedEvent>,
    events: u64,
    end: Offset,
    times: Vec<(Option<Timestamp>, Option<Timestamp>, Timestamp)>,
}

impl Digest {
    /// The events of the round that are left out, since an expression fails on them.
    #[must_use]
    pub fn failed(&self) -> &[FailedEvent] {
        &self.failed
    }

    /// What it holds for its view.
    pub(crate) fn into_rows(self) -> Digested {
        self.rows
    }
}

#[derive(Debug)]
pub(crate) enum Digested {
    /// Partial rows of windows.
    Partial(Vec<RecordBatch>),
    /// Rows of a projection, by the start of their received hour.
    Rows(Vec<(Timestamp, RecordBatch)>),
    /// The view reads no stream.
    Nothing,
}

impl Digest {
    /// Whether a view of this plan can take it in: only what its own plan made. A view that takes the place of another, with
    /// another SQL, may be handed what was still under way for that one.
    #[must_use]
    pub fn is_of(&self, plan: &ViewPlan) -> bool {
        self.serial == plan.serial()
    }
}

impl ViewPlan {
    /// Makes partial rows of the events of a round: the costly part of absorbing them, and one that needs no state. Views of
    /// one stream share the sieve.
    ///
    /// Events on which an expression fails, as a division by zero does, are left out ([`Digest::failed`]).
    ///
    /// # Errors
    /// [`Error::Limit`] when it takes too much memory; [`Error::Sql`] when an aggregate cannot take what it is given.
    pub fn digest<'a>(&'a self, sieve: &'a mut Sieve<'_>) -> BoxFuture<'a, Result<Digest, Error>> {
        Box::pin(async move {
            let round = sieve.round;
            let mut failed = Vec::new();
            let rows = match self.kind() {
                Kind::Windowed(windowed) => {
                    let picked = sieve.pick(windowed.condition.as_ref(), &windowed.partial.input());
                    let fast = match picked {
                        Ok(events) => unharmed(windowed.partial.run(events), defect).await,
                        Err(error) => Err(error),
                    };
                    let rows = match fast {
                        Ok(rows) => rows,
                        Err(error) => carefully(windowed.careful.as_ref(), &round.batches, error, &mut failed).await?,
                    };
                    // Lists are made of views into the round, which would stay as long as they do.
                    Digested::Partial(rows.iter().map(compact::lists).collect::<Result<_, _>>()?)
                }
                Kind::Rows(rows) => {
                    let input = rows.piece.input();
                    let mut made = Vec::new();
                    let shown: Vec<usize> = (0..self.schema().fields().len()).collect();
                    for (start, batches) in by_hour(&round.batches)? {
                        let picked = batches.iter().map(|batch| columns(batch, &input));
                        let picked = picked.collect::<Result<Vec<_>, _>>()?;
                        let of_hour = match unharmed(rows.piece.run(picked), defect).await {
                            Ok(rows) => rows,
                            Err(error) => {
                                let batches: Vec<RecordBatch> = batches.into_iter().cloned().collect();
                                let rows = carefully(rows.careful.as_ref(), &batches, error, &mut failed).await?;
                                let rows = rows.into_iter().map(|batch| batch.project(&shown));
                                rows.collect::<Result<_, _>>()?
                            }
                        };
                        for batch in of_hour {
                            // Views into the round would keep all of it in memory for as long as the rows are.
                            made.push((start, compact::compact(&batch)?));
                        }
                    }
                    Digested::Rows(made)
                }
                Kind::Derived(_) => Digested::Nothing,
            };
            let (serial, times) = (self.serial(), round.times.clone());
            Ok(Digest { serial, rows, failed, events: round.events, end: round.end, times })
        })
    }
}

/// What `careful` makes of events on which something has failed: `error` when it cannot leave any out, or none is to blame.
async fn carefully(
    careful: Option<&Piece>,
    batches: &[RecordBatch],
    error: Error,
    failed: &mut Vec<FailedEvent>,
) -> Result<Vec<RecordBatch>, Error> {
    let Some(careful) = careful.filter(|_| !matches!(error, Error::Limit(_))) else { return Err(error) };
    let input = careful.input();
    let events = batches.iter().map(|batch| columns(batch, &input)).collect::<Result<Vec<_>, _>>()?;
    let (rows, _, notes) = noted(careful.run(events)).await;
    failed.extend(notes.into_iter().map(|note| FailedEvent { offset: note.offset.map(Offset), reason: note.reason }));
    rows
}

/// Those columns of `batch` that `input` has, in its order.
pub(crate) fn columns(
    batch: &RecordBatch,
    input: &datafusion::arrow::datatypes::SchemaRef,
) -> Result<RecordBatch, Error> {
    let schema = batch.schema();
    let indices = input.fields().iter().map(|field| schema.index_of(field.name())).collect::<Result<Vec<_>, _>>()?;
    Ok(batch.project(&indices)?)
}

/// The batches by the start of the hour that they were received in; all events of a batch were received in one hour.
fn by_hour(batches: &[RecordBatch]) -> Result<Vec<(Timestamp, Vec<&RecordBatch>)>, Error> {
    let mut hours: Vec<(Timestamp, Vec<&RecordBatch>)> = Vec::new();
    for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
        let received = batch.column_by_name(lakehead_decode::RECEIVED_TIME);
        let received = received.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let received = received.ok_or_else(|| Error::Engine("a block does not say when it was received".into()))?;
        let hour = Timestamp(received.value(0)).hour();
        match hours.last_mut() {
            Some((last, batches)) if *last == hour => batches.push(batch),
            _ => hours.push((hour, vec![batch])),
        }
    }
    Ok(hours)
}

/// A live result file.
#[derive(Debug)]
pub(crate) struct Live {
    range: TimeRange,
    generation: u64,
    rows: u64,
    bytes: u64,
    made_of: Option<MadeOf>,
    failed: FailedValues,
    file: Arc<ResultFile>,
}

impl Live {
    fn new(
        range: TimeRange,
        generation: u64,
        rows: u64,
        bytes: u64,
        path: PathBuf,
        made_of: Option<MadeOf>,
        failed: FailedValues,
    ) -> Self {
        Self { range, generation, rows, bytes, made_of, failed, file: files::result_file(path, bytes) }
    }

    fn period(&self) -> Period {
        let Self { range, generation, rows, bytes, ref made_of, ref failed, .. } = *self;
        Period { end: range.end, generation, rows, bytes, failed: failed.clone(), made_of: made_of.clone() }
    }
}

/// A commit under way: what it is about to make true.
pub(crate) struct Committing {
    folder: Folder,
    /// Windows that end at or before this close.
    watermark: Timestamp,
    /// Nothing is left to the next commit.
    is_whole: bool,
    checkpoint: Checkpoint,
    written: BTreeMap<Timestamp, Live>,
    syncing: Syncing,
    /// What is told to those who follow. A view's first commit may hold all of a long log, and whoever follows begins with
    /// everything that there is: nothing is told of it.
    changes: Option<Vec<RecordBatch>>,
}

impl Committing {
    /// Writes the result file of a period: `rows`, and those that the file `filed` has.
    fn write(
        &mut self,
        plan: &ViewPlan,
        period: TimeRange,
        filed: Option<&Path>,
        rows: Vec<RecordBatch>,
        failed: FailedValues,
        made_of: Option<MadeOf>,
    ) -> Result<(), Error> {
        let generation = self.checkpoint.generation;
        let path = self.folder.result(period, self.checkpoint.build, generation);
        let mut writer = ParquetWriter::create(&path, &plan.schema(), &changes::order(plan))?;
        let mut count = 0;
        let write = |batch: &RecordBatch| {
            count += batch.num_rows() as u64;
            writer.write(batch)
        };
        let filed = filed.map(|filed| files::parquet_batches(filed, &plan.schema())).transpose()?;
        changes::merged(plan, filed.into_iter().flatten(), rows, write)?;
        let bytes = writer.finish(&mut self.syncing)?;
        self.add(Live::new(period, generation, count, bytes, path, made_of, failed));
        Ok(())
    }

    /// Notes changes for those who follow, if there may be any.
    fn tell(&mut self, changes: impl FnOnce() -> Result<Vec<RecordBatch>, Error>) -> Result<(), Error> {
        if let Some(told) = &mut self.changes {
            told.extend(changes()?);
        }
        Ok(())
    }

    /// Whether a result file of the period that begins at `start` is part of it.
    fn has_written(&self, start: Timestamp) -> bool {
        self.written.contains_key(&start)
    }

    fn add(&mut self, live: Live) {
        self.written.insert(live.range.start, live);
    }
}

/// What a view keeps beside its result files.
#[derive(Debug)]
enum Body {
    Windowed(Box<windowed::Body>),
    Rows(rows::Body),
    Derived,
}

/// A view, open for work. One owner drives it; readers hold a [`ViewHandle`].
pub struct View {
    plan: Arc<ViewPlan>,
    settings: ViewSettings,
    folder: Folder,
    /// Where it commits; a view opened read-only does not.
    slot: Option<Slot>,
    checkpoint: Checkpoint,
    live: BTreeMap<Timestamp, Live>,
    /// What `live` holds, listed once for all snapshots until it changes.
    results: Arc<Results>,
    body: Body,
    /// Result files that the next commit replaces; the checkpoint on disk still names them.
    replaced: Vec<Arc<ResultFile>>,
    /// Files that were found to be damaged when it was opened, and are left out.
    damaged: Vec<PathBuf>,
    /// Periods whose results are to be made again of partial rows.
    without: Vec<TimeRange>,
    /// The last commit has left something to the next.
    is_unfinished: bool,
    handle: ViewHandle,
}

/// How many rows of changes are kept for those who follow a view, and in how many files. Who was away for longer reads
/// the view anew.
const CHANGE_ROWS_MAX: u64 = 2_000_000;
const CHANGE_FILES_MAX: usize = 2_000;

/// Rows of a projection that are committed early, so that they do not take more memory than this, in bytes.
const PENDING_BYTES_MAX: usize = 64 << 20;

/// Most result periods that one commit writes, beside those that late events have opened again. The other views of the
/// stream and a stop wait for it, so it is to take about a second. Each further commit writes once more what is open and
/// a checkpoint that names every file: with far fewer periods in each, all of them would take longer.
const PERIODS_MAX: usize = 1_000;

/// What stands in the checkpoint of the view `name` under `data`, if there is one that can be read.
#[must_use]
pub fn kept(data: &Path, name: &Name) -> Option<Kept> {
    let folder = Folder::new(data, name.as_str());
    Checkpoint::load(&folder.checkpoint(Slot::Current)).ok().map(|checkpoint| checkpoint.kept())
}

/// What stands in the checkpoint of the view that is built beside `name`, if there is one.
#[must_use]
pub fn kept_next(data: &Path, name: &Name) -> Option<Kept> {
    let folder = Folder::new(data, name.as_str());
    Checkpoint::load(&folder.checkpoint(Slot::Next)).ok().map(|checkpoint| checkpoint.kept())
}

/// Begins a view that is built beside `name`, with nothing in it yet, so that the next opening finds it.
///
/// # Errors
/// [`Error::File`] when it cannot be written.
pub fn begin_next(data: &Path, name: &Name, plan: &ViewPlan, settings: &ViewSettings) -> Result<(), Error> {
    let folder = Folder::new(data, name.as_str());
    folder.create()?;
    Checkpoint::empty(plan, settings, watermark_of(plan, settings)).write(&folder.checkpoint(Slot::Next), &folder)
}

/// Gives up the view that is built beside `name`, if there is one. Its files go at the next opening.
///
/// # Errors
/// [`Error::File`] when its checkpoint cannot be deleted.
pub fn forget_next(data: &Path, name: &Name) -> Result<(), Error> {
    let path = Folder::new(data, name.as_str()).checkpoint(Slot::Next);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&path)(error)),
        _ => Ok(()),
    }
}

impl View {
    /// Opens the view `name` under `data`, from its checkpoint in `slot` where that still fits, else from the beginning of
    /// the log. A view over another view reads `upstream`. Answers the view and, when it has to be rebuilt, why.
    ///
    /// # Errors
    /// [`Error::File`] when its folder cannot be made or read.
    pub fn open(
        data: &Path,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
        slot: Slot,
        upstream: Option<ViewHandle>,
    ) -> BoxFuture<'static, Result<(Self, Option<String>), Error>> {
        let folder = Folder::new(data, name.as_str());
        Box::pin(async move {
            let (mut view, rebuild) = Self::open_in(folder, name, plan, settings, slot, upstream)?;
            view.mend().await?;
            Ok((view, rebuild))
        })
    }

    /// Makes the results of periods whose files were damaged again, of the partial rows that are kept.
    async fn mend(&mut self) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        if let (Some(windowed), Body::Windowed(body)) = (plan.windowed(), &mut self.body) {
            for range in std::mem::take(&mut self.without) {
                body.reopen(windowed, range, None, &self.folder, self.checkpoint.build).await?;
            }
        }
        self.list_results();
        self.publish();
        Ok(())
    }

    fn open_in(
        folder: Folder,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
        slot: Slot,
        upstream: Option<ViewHandle>,
    ) -> Result<(Self, Option<String>), Error> {
        folder.create()?;
        let (mut view, rebuild) = Self::restore(&folder, name, plan, settings, slot, upstream)?;
        view.slot = Some(slot);
        // A life of its own, so that no path is used again that somebody may still read, and nothing that was made of the
        // files of another life is taken for made of these.
        if rebuild.is_some() || view.checkpoint.generation == 0 {
            let build = |slot| Checkpoint::load(&folder.checkpoint(slot)).ok().map(|checkpoint| checkpoint.build);
            let known = [build(Slot::Current), build(Slot::Next)].into_iter().flatten().max();
            view.checkpoint.build = folder.next_build(known);
        } else {
            folder.note_build(view.checkpoint.build);
        }
        if let Some(why) = rebuild.as_deref().filter(|_| slot == Slot::Current) {
            view.spare(why)?;
        }
        let damaged = std::mem::take(&mut view.damaged);
        if !damaged.is_empty() && view.log_start() > view.checkpoint.begins {
            let (name, log_start) = (view.handle.name(), view.log_start());
            let aside = aside::set_damaged_aside(&view.folder, name, &damaged, &view.checkpoint, log_start)?;
            let files = damaged.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            let aside = aside.map(|aside| aside.display().to_string()).unwrap_or_default();
            tracing::error!(view = %name, aside = %aside,
                "files of it are damaged, and the log does not hold all that it was made of: it goes on without {files}");
        }
        folder.sweep(&view.kept())?;
        if slot == Slot::Current {
            view.publish_files()?;
        }
        Ok((view, rebuild))
    }

    /// Makes what other programs see what the checkpoint says.
    fn publish_files(&self) -> Result<(), Error> {
        let inode = |path: &Path| std::fs::metadata(path).map(|found| found.ino()).ok();
        for live in self.live.values() {
            if inode(&live.file.path) != inode(&self.folder.public_path(live.range)) {
                self.folder.publish(live.range, &live.file.path)?;
            }
        }
        self.folder.sweep_public(&self.live.values().map(|live| self.folder.public_path(live.range)).collect())
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
        upstream: Option<ViewHandle>,
    ) -> BoxFuture<'static, Result<(Self, Option<String>), Error>> {
        let folder = Folder::new(data, name.as_str());
        Box::pin(async move {
            let (mut view, rebuild) = Self::restore(&folder, name, plan, settings, Slot::Current, upstream)?;
            view.mend().await?;
            let rebuild = rebuild.filter(|why| why.contains("cannot be read") || why.contains("is damaged"));
            let damaged = view.damaged.first().map(|path| format!("{} is damaged", path.display()));
            Ok((view, rebuild.or(damaged)))
        })
    }

    fn restore(
        folder: &Folder,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
        slot: Slot,
        upstream: Option<ViewHandle>,
    ) -> Result<(Self, Option<String>), Error> {
        let watermark = watermark_of(&plan, &settings);
        let empty = || Checkpoint::empty(&plan, &settings, watermark);
        let log_start = upstream.as_ref().map_or(settings.log_start, |upstream| upstream.snapshot().begins);
        let (mut checkpoint, rebuild) = match Checkpoint::read(&folder.checkpoint(slot), &plan, &settings) {
            Ok(found) => (found, None),
            Err(Rebuild::New) => (empty(), None),
            Err(Rebuild::Because(why)) => (empty(), Some(why)),
        };
        if let Err(error) = checkpoint.expect_changes(folder) {
            // Whoever follows begins anew; the rows are not affected.
            tracing::warn!(view = %name, "what it has changed before cannot be told any more: {error}");
            checkpoint.changes.clear();
            checkpoint.changes_after = checkpoint.generation;
        }
        // Where a rebuild would lose more than is damaged, it goes on without that. Files of a view over another are made anew.
        let (mut damaged, mut without) = (Vec::new(), Vec::new());
        if upstream.is_some() || log_start > checkpoint.begins {
            let last_end =
                |range: TimeRange| plan.windowed().map_or(range.end, |windowed| windowed::last_end(windowed, range));
            (damaged, without) = checkpoint.leave_out_damaged(folder, last_end);
        }
        let read = |checkpoint: &Checkpoint| -> Result<_, Error> {
            files::expect(checkpoint.files(folder).iter(), &checkpoint.sums)?;
            let mut live = BTreeMap::new();
            for (start, period) in &checkpoint.periods {
                let range = TimeRange { start: *start, end: period.end };
                let path = folder.result(range, checkpoint.build, period.generation);
                let (made_of, failed) = (period.made_of.clone(), period.failed.clone());
                let one = Live::new(range, period.generation, period.rows, period.bytes, path, made_of, failed);
                live.insert(*start, one);
            }
            let body = match plan.kind() {
                Kind::Windowed(windowed) => {
                    Body::Windowed(Box::new(windowed::Body::restore(windowed, checkpoint, folder)?))
                }
                Kind::Rows(_) => Body::Rows(rows::Body::default()),
                Kind::Derived(_) => Body::Derived,
            };
            Ok((live, body))
        };
        let (checkpoint, rebuild, (live, body)) = match read(&checkpoint) {
            Ok(read) => (checkpoint, rebuild, read),
            Err(error) => {
                let why = Some(format!("a file that its checkpoint names cannot be read: {error}"));
                let empty = empty();
                let read = read(&empty)?;
                (empty, why, read)
            }
        };
        let handle = ViewHandle::new(name, Snapshot::empty(Arc::clone(&plan)), upstream);
        let is_unfinished = checkpoint.watermark.current().is_some_and(|watermark| checkpoint.closed_until < watermark);
        let mut view = Self {
            plan,
            settings,
            folder: folder.clone(),
            slot: None,
            checkpoint,
            live,
            results: Arc::default(),
            body,
            replaced: Vec::new(),
            damaged,
            without,
            is_unfinished,
            handle,
        };
        view.list_results();
        view.publish();
        Ok((view, rebuild))
    }

    /// Forgets everything: the log's end lies before the view's offset, so the view is not of this log.
    ///
    /// # Errors
    /// [`Error::File`] when the old files cannot be deleted.
    pub fn restart(&mut self) -> Result<(), Error> {
        let (build, generation) = (self.checkpoint.build, self.checkpoint.generation);
        self.checkpoint = Checkpoint::empty(&self.plan, &self.settings, watermark_of(&self.plan, &self.settings));
        self.checkpoint.build = build;
        self.checkpoint.generation = generation;
        // Whoever follows must begin anew.
        self.checkpoint.changes_after = generation + 1;
        self.live.clear();
        self.body = match self.plan.kind() {
            Kind::Windowed(_) => Body::Windowed(Box::default()),
            Kind::Rows(_) => Body::Rows(rows::Body::default()),
            Kind::Derived(_) => Body::Derived,
        };
        self.replaced.clear();
        self.is_unfinished = false;
        self.list_results();
        if let Some(slot) = self.slot {
            if slot == Slot::Current {
                self.spare("it has seen events beyond the log")?;
                self.folder.sweep_public(&HashSet::new())?;
            }
            let path = self.folder.checkpoint(slot);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::file(&path)(error)),
                _ => {}
            }
            self.folder.sweep(&self.kept())?;
        }
        self.publish();
        Ok(())
    }

    /// Before a rebuild in the place of what is there: sets aside what the log cannot give again.
    fn spare(&self, why: &str) -> Result<(), Error> {
        let path = self.folder.checkpoint(Slot::Current);
        if !path.exists() {
            return Ok(());
        }
        let old = Checkpoint::load(&path).ok();
        let log_start = self.log_start();
        if log_start > old.as_ref().map_or(Offset(0), |old| old.begins) {
            self.set_aside(old.as_ref(), why, log_start)?;
        }
        Ok(())
    }

    /// The first event that it could be made of now.
    fn log_start(&self) -> Offset {
        self.handle.upstream().map_or(self.settings.log_start, |upstream| upstream.snapshot().begins)
    }

    /// Sets aside what `old` names, and says so.
    fn set_aside(&self, old: Option<&Checkpoint>, why: &str, log_start: Offset) -> Result<(), Error> {
        let name = self.handle.name();
        if let Some(aside) = aside::set_aside(&self.folder, name, old, why, log_start)? {
            tracing::warn!(view = %name, results = %aside.display(),
                "the log does not hold all events of its old results any more: they are kept there ({why})");
        }
        Ok(())
    }

    /// Whether nothing was taken in yet and nothing committed: it is at its beginning.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.checkpoint.generation == 0 && self.checkpoint.counts.events == 0
    }

    /// Takes in every event before `end` however late it is, as long as it has not come to the end that it was told before: what
    /// lies in the log while a view is built from it is in the view.
    pub fn take_whole_until(&mut self, end: Offset) {
        if self.is_new() || self.checkpoint.takes_all() {
            self.checkpoint.whole_until = self.checkpoint.whole_until.max(end);
        }
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
        } else {
            self.checkpoint.begins = offset;
        }
        self.checkpoint.next_offset = offset;
        self.publish();
    }

    /// Where queries find it.
    #[must_use]
    pub fn handle(&self) -> ViewHandle {
        self.handle.clone()
    }

    /// For a view over another: it answers over that one as it is now, until [`read_again`](Self::read_again). For the time in
    /// which that one is replaced and this one is not yet.
    #[must_use]
    pub fn hold(&self) -> Option<ViewHandle> {
        self.handle.hold_upstream()
    }

    /// It answers over `upstream` as that comes to be.
    pub fn read_again(&self, upstream: ViewHandle) {
        self.handle.set_upstream(Some(upstream));
    }

    /// How it was compiled.
    #[must_use]
    pub fn plan(&self) -> &Arc<ViewPlan> {
        &self.plan
    }

    /// The first offset that it has not seen. A view over another view has seen what that one has.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        match self.body {
            Body::Derived => self.handle.snapshot().next_offset,
            _ => self.checkpoint.next_offset,
        }
    }

    /// Whether it should be committed now rather than when its time comes: it holds too much, or its last commit has
    /// left something to the next.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        let wants = match &self.body {
            Body::Rows(rows) => rows.bytes() > PENDING_BYTES_MAX,
            Body::Windowed(_) | Body::Derived => self.is_unfinished,
        };
        wants && self.slot.is_some()
    }

    /// Takes events in, in the order of the log. After this the view's snapshot has them.
    ///
    /// # Errors
    /// [`Error::Limit`] when the state grows too large; [`Error::File`] when a period to be corrected cannot be read.
    pub fn absorb(&mut self, digest: Digest) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.take_in(digest))
    }

    async fn take_in(&mut self, digest: Digest) -> Result<(), Error> {
        if !digest.is_of(&self.plan) {
            return Err(Error::Engine("what another view made of the events".into()));
        }
        let Digest { rows, failed, events, end, times, .. } = digest;
        match (&mut self.body, rows) {
            (Body::Windowed(_), Digested::Partial(rows)) => self.take_in_partial(rows).await?,
            (Body::Rows(body), Digested::Rows(rows)) => {
                for (start, rows) in rows {
                    self.checkpoint.counts.in_view += rows.num_rows() as u64;
                    body.absorb(start, rows);
                }
            }
            (Body::Derived, Digested::Nothing) => return Ok(()),
            _ => return Err(Error::Engine("a digest of another view".into())),
        }
        for (progress, greatest, received) in &times {
            self.checkpoint.watermark.observe(*progress, *greatest, *received);
        }
        self.checkpoint.counts.events += events;
        self.checkpoint.counts.failed += failed.len() as u64;
        self.checkpoint.next_offset = end;
        self.publish();
        Ok(())
    }

    async fn take_in_partial(&mut self, rows: Vec<RecordBatch>) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        let (Some(windowed), Body::Windowed(body)) = (plan.windowed(), &mut self.body) else { return Ok(()) };
        let touched = body.absorb(windowed, &self.settings, &mut self.checkpoint, rows).await?;
        let mut was_reopened = false;
        for start in touched {
            if body.reopened.contains_key(&start) {
                continue;
            }
            let range = windowed.period.range(start);
            let file = self.live.get(&start).map(|live| Arc::clone(&live.file));
            body.reopen(windowed, range, file, &self.folder, self.checkpoint.build).await?;
            if let Some(live) = self.live.remove(&start) {
                self.replaced.push(live.file);
            }
            was_reopened = true;
        }
        let bytes = body.state.bytes();
        if was_reopened {
            self.list_results();
        }
        if bytes > self.settings.state_bytes_max {
            return Err(Error::Limit(format!(
                "the view {} holds {} MiB of open windows, more than its limit of {} MiB; use shorter windows or fewer \
                 groups, or raise its state_max",
                self.handle.name(),
                bytes >> 20,
                self.settings.state_bytes_max >> 20
            )));
        }
        Ok(())
    }

    /// Writes what changed and commits it: state, offset and results at once. A view over another view writes what that
    /// one has committed. Of very many result periods it writes some: then [`wants_commit`](Self::wants_commit) is true
    /// afterwards. What is left is still in every answer and survives a crash.
    ///
    /// # Errors
    /// [`Error::File`] when something cannot be written; the last commit then still stands and the next call tries
    /// again.
    pub fn commit(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.write_commit())
    }

    /// Commits until nothing is left.
    async fn commit_all(&mut self) -> Result<(), Error> {
        self.write_commit().await?;
        while self.wants_commit() {
            self.write_commit().await?;
        }
        Ok(())
    }

    async fn write_commit(&mut self) -> Result<(), Error> {
        let Some(slot) = self.slot else { return Ok(()) };
        let watermark = self.checkpoint.watermark.current().unwrap_or(Timestamp(i64::MIN));
        let mut next = Committing {
            folder: self.folder.clone(),
            watermark,
            is_whole: true,
            checkpoint: self.checkpoint.clone(),
            written: BTreeMap::new(),
            syncing: Syncing::new(self.folder.state()),
            changes: (self.checkpoint.generation > 0).then(Vec::new),
        };
        next.checkpoint.generation += 1;
        let plan = Arc::clone(&self.plan);
        let mut gone = Vec::new();
        let draft = match (&self.body, plan.windowed()) {
            (Body::Windowed(body), Some(windowed)) => {
                Some(body.commit(&plan, windowed, &self.settings, &self.live, &mut next).await?)
            }
            (Body::Rows(body), _) => {
                body.commit(&plan, &mut next)?;
                None
            }
            _ => {
                if !self.make_files(&mut next, &mut gone).await? {
                    self.is_unfinished = false;
                    // It has no files yet; what it is must stand there all the same.
                    let path = self.folder.checkpoint(slot);
                    let is_there = self.checkpoint.generation > 0 && path.exists();
                    return if is_there { Ok(()) } else { self.checkpoint.write(&path, &self.folder) };
                }
                None
            }
        };
        self.write_changes(&mut next)?;
        let Committing { mut checkpoint, written, syncing, watermark, is_whole, .. } = next;
        syncing.finish()?;
        crash::point("checkpoint.files");

        checkpoint.closed_until = checkpoint.closed_until.max(watermark);
        let kept = self.live.iter().filter(|(start, _)| !gone.contains(*start));
        checkpoint.periods = kept.chain(&written).map(|(start, live)| (*start, live.period())).collect();
        checkpoint.write(&self.folder.checkpoint(slot), &self.folder)?;
        crash::point("checkpoint.renamed");

        // From here on the new commit stands; what follows only tidies up, and an opening would do it again.
        let before = std::mem::replace(&mut self.checkpoint, checkpoint);
        self.is_unfinished = !is_whole;
        for start in gone {
            if let Some(old) = self.live.remove(&start) {
                self.replaced.push(old.file);
            }
        }
        for (start, live) in written {
            if slot == Slot::Current {
                self.folder.publish(live.range, &live.file.path)?;
            }
            if let Some(old) = self.live.insert(start, live) {
                self.replaced.push(old.file);
            }
        }
        if slot == Slot::Current {
            for (start, period) in
                before.periods.iter().filter(|(start, _)| !self.checkpoint.periods.contains_key(start))
            {
                self.folder.unpublish(TimeRange { start: *start, end: period.end })?;
            }
        }
        match (&mut self.body, draft) {
            (Body::Windowed(body), Some(draft)) => body.adopt(draft, &self.checkpoint),
            (Body::Rows(body), _) => body.pending.clear(),
            _ => {}
        }
        crash::point("checkpoint.published");
        self.list_results();
        self.publish();
        for old in self.replaced.drain(..) {
            old.supersede();
        }
        // Result files that a query still reads go with their last reader; all else is read while it is named only.
        let now = self.checkpoint.files(&self.folder);
        for path in before.files(&self.folder) {
            if !now.contains(&path) && !is_pinned(&path) {
                let _ = files::remove(&path);
            }
        }
        Ok(())
    }

    /// For a view over another view: the files that should be there and are not. Answers whether there is anything to
    /// commit.
    async fn make_files(&self, next: &mut Committing, gone: &mut Vec<Timestamp>) -> Result<bool, Error> {
        let own = self.handle.snapshot();
        let Some((name, upstream)) = &own.upstream else { return Ok(false) };
        if upstream.begins > self.checkpoint.begins && self.checkpoint.generation > 0 {
            self.set_aside(Some(&self.checkpoint), "the view that it reads was built anew", upstream.begins)?;
        }
        next.checkpoint.begins = upstream.begins;
        let tasks = derived::tasks(&self.plan, upstream);
        let holds = |start: &Timestamp, task: &derived::Task| {
            self.live.get(start).is_some_and(|live| live.made_of.as_ref() == Some(&task.made_of))
        };
        let mut due: Vec<&derived::Task> =
            tasks.iter().filter(|(start, task)| !holds(start, task)).map(|(_, task)| task).collect();
        next.is_whole = due.len() <= PERIODS_MAX;
        due.truncate(PERIODS_MAX);
        let made = derived::make(&self.plan, name, upstream, &due).await?;
        for (task, Finished { rows, failed }) in due.into_iter().zip(made) {
            let live = self.live.get(&task.period.start);
            let before =
                live.map_or(Ok(Vec::new()), |live| files::read_parquet(&live.file.path, &self.plan.schema()))?;
            next.tell(|| changes::between(&self.plan, before, rows.clone()))?;
            next.write(&self.plan, task.period, None, rows, failed, Some(task.made_of.clone()))?;
        }
        for (start, live) in self.live.iter().filter(|(start, _)| !tasks.contains_key(start)) {
            if gone.len() == PERIODS_MAX {
                next.is_whole = false;
                break;
            }
            let before = files::read_parquet(&live.file.path, &self.plan.schema())?;
            next.tell(|| changes::between(&self.plan, before, Vec::new()))?;
            gone.push(*start);
        }
        Ok(!next.written.is_empty() || !gone.is_empty())
    }

    fn write_changes(&self, next: &mut Committing) -> Result<(), Error> {
        let generation = next.checkpoint.generation;
        let Some(told) = &next.changes else {
            next.checkpoint.changes_after = generation;
            return Ok(());
        };
        let rows: u64 = told.iter().map(|batch| batch.num_rows() as u64).sum();
        if rows > 0 {
            let path = self.folder.changes(next.checkpoint.build, generation);
            let (schema, parts) = (changes::schema(&self.plan), changes::in_parts(told));
            let bytes = files::write_partial(&path, &schema, &parts, &mut next.syncing)?;
            next.checkpoint.changes.push(ChangeFile { generation, rows, bytes });
        }
        let changes = &mut next.checkpoint.changes;
        let mut kept: u64 = changes.iter().map(|file| file.rows).sum();
        while changes.len() > 1 && (kept > CHANGE_ROWS_MAX || changes.len() > CHANGE_FILES_MAX) {
            let gone = changes.remove(0);
            kept -= gone.rows;
            next.checkpoint.changes_after = gone.generation;
        }
        Ok(())
    }

    /// Takes the place of `old`, beside which this view was built: in one step on disk, and for whoever holds `old`'s
    /// handle. Both must be of one name.
    ///
    /// # Errors
    /// [`Error::File`] when the change cannot be written; the old view then still stands, and is given back.
    pub fn take_over(&mut self, mut old: View) -> BoxFuture<'_, Result<(), (Box<View>, Error)>> {
        Box::pin(async move {
            let mut swapped = self.commit_all().await;
            if swapped.is_ok() {
                swapped = self.spare_replaced(&mut old).await.and_then(|()| files::swap(&self.folder));
            }
            if let Err(error) = swapped {
                return Err((Box::new(old), error));
            }
            crash::point("view.swapped");
            self.slot = Some(Slot::Current);
            let upstream = self.handle.upstream();
            self.handle = old.handle.clone();
            self.handle.set_upstream(upstream);
            self.handle.goes_on();
            self.publish();
            if let Err(error) = self.publish_files() {
                tracing::warn!(view = %self.handle.name(), "other programs do not see all of its results yet: {error}");
            }
            let kept = self.kept();
            for listed in &old.results.files {
                listed.file.supersede();
            }
            for file in old.replaced {
                file.supersede();
            }
            for path in old.checkpoint.files(&self.folder) {
                if !kept.contains(&path) && !is_pinned(&path) {
                    let _ = files::remove(&path);
                }
            }
            Ok(())
        })
    }

    /// Before it takes the place of `old`: sets aside what that one has seen and this one could not.
    async fn spare_replaced(&self, old: &mut View) -> Result<(), Error> {
        if self.checkpoint.begins <= old.checkpoint.begins {
            return Ok(());
        }
        // All that it has goes into files, where it can; else what its last commit has is what there is.
        if let Err(error) = old.commit_all().await {
            tracing::warn!(view = %self.handle.name(), "what it took in last cannot be set aside: {error}");
        }
        self.set_aside(Some(&old.checkpoint), "it was changed, or built anew", self.checkpoint.begins)
    }

    fn list_results(&mut self) {
        let build = self.checkpoint.build;
        let listed = |live: &Live| Listed {
            range: live.range,
            rows: live.rows,
            failed: live.failed.clone(),
            generation: live.generation,
            correctable: self.checkpoint.partials.contains_key(&live.range.start),
            is_part: false,
            made_of: live.made_of.clone(),
            file: Arc::clone(&live.file),
        };
        let mut all: Vec<Listed> = self.live.values().map(listed).collect();
        for (start, parts) in &self.checkpoint.parts {
            let range = TimeRange { start: *start, end: parts.end };
            for part in &parts.files {
                let path = self.folder.part(range, build, part.generation);
                let known = self.results.files.iter().find(|listed| listed.file.path == path);
                let file =
                    known.map_or_else(|| files::result_file(path.clone(), part.bytes), |known| Arc::clone(&known.file));
                all.push(Listed {
                    range,
                    rows: part.rows,
                    failed: FailedValues::default(),
                    generation: part.generation,
                    correctable: false,
                    is_part: true,
                    made_of: None,
                    file,
                });
            }
        }
        // Whoever looks for the files of a span of time goes by their order.
        all.sort_by_key(|listed| listed.range.start);
        let taken_back = match &self.body {
            Body::Windowed(body) => body.reopened.values().flatten().cloned().collect(),
            _ => Vec::new(),
        };
        let reopened = match &self.body {
            Body::Windowed(body) => body.reopened.keys().map(|start| self.plan.period_at(*start)).collect(),
            _ => Vec::new(),
        };
        let partials = match &self.body {
            Body::Windowed(body) => &body.partials,
            _ => &self.checkpoint.partials,
        };
        let partials = partials.iter().map(|(start, partials)| {
            let range = TimeRange { start: *start, end: partials.end };
            let path = |generation: &u64| self.folder.partial(range, build, *generation);
            (*start, partials.generations.iter().map(path).collect())
        });
        let fresh = Results {
            rows: all.iter().map(|listed| listed.rows).sum(),
            bytes: all.iter().map(|listed| listed.file.size).sum(),
            taken_back,
            reopened,
            partials: partials.collect(),
            changes: self.checkpoint.changes.clone(),
            changes_after: self.checkpoint.changes_after,
            folder: Some(self.folder.clone()),
            files: all,
        };
        // Parts that were joined go with their last reader.
        for old in self.results.files.iter().filter(|old| old.is_part) {
            if self.slot.is_some() && !fresh.files.iter().any(|listed| listed.file.path == old.file.path) {
                old.file.supersede();
            }
        }
        self.results = Arc::new(fresh);
    }

    fn publish(&self) {
        let (open, open_rows, open_bytes) = match &self.body {
            Body::Windowed(body) => (body.state.batches(), body.state.rows(), body.state.bytes()),
            Body::Rows(body) => (body.batches(), body.rows(), body.bytes()),
            Body::Derived => (Vec::new(), 0, 0),
        };
        self.handle.publish(Snapshot {
            next_offset: self.checkpoint.next_offset,
            watermark: self.checkpoint.watermark.current(),
            counts: self.checkpoint.counts,
            open_rows,
            open_bytes,
            plan: Arc::clone(&self.plan),
            begins: self.checkpoint.begins,
            build: self.checkpoint.build,
            generation: self.checkpoint.generation,
            closed_until: self.checkpoint.closed_until,
            results: Arc::clone(&self.results),
            open,
            upstream: None,
            rest: OnceCell::new(),
            counted: std::sync::OnceLock::new(),
        });
    }

    /// The files of the state that this view's checkpoint and the other one name.
    fn kept(&self) -> HashSet<PathBuf> {
        let mut kept = self.checkpoint.files(&self.folder);
        for slot in [Slot::Current, Slot::Next] {
            let path = self.folder.checkpoint(slot);
            let own = self.slot == Some(slot);
            match Checkpoint::load(&path) {
                Ok(other) if !own => {
                    kept.extend(other.files(&self.folder));
                    kept.insert(path);
                }
                Ok(found) if found.generation == self.checkpoint.generation => {
                    kept.insert(path);
                }
                _ => {}
            }
        }
        kept
    }
}

/// Whether a file is deleted with its last reader rather than at once.
fn is_pinned(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "result" || ending == "part")
}

fn watermark_of(plan: &ViewPlan, settings: &ViewSettings) -> Watermark {
    match plan.time() {
        TimeColumn::EventTime => Watermark::new(settings.watermark_delay),
        TimeColumn::ReceivedTime => Watermark::for_received_time(),
    }
}
