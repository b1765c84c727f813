//! The body of a view with windows: applies partial rows, closes windows as the watermark passes, corrects what comes
//! late.
//!
//! ```text
//!   events ─ aggregate ─▶ state (partial rows by slice)
//!                           │  commit: windows that end at or before the watermark
//!                           ├─────────────▶ result period: finished rows ─▶ Parquet
//!                           │  commit: slices whose last window has closed
//!                           └─────────────▶ partial rows, filed by period, for as long as late events may come
//!   a late event reopens the period: its partial rows return to the state, and the next commit rewrites its file
//! ```
//!
//! So at every offset a window's rows are in exactly one place: in its period's file if that is there and the window ended
//! at or before the last commit's watermark, and in the state otherwise. A tumbling window or a session is one slice, and
//! leaves the state when it is closed; a pane of a hopping window stays until its last window is.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use datafusion::arrow::{
    array::{BooleanArray, RecordBatch},
    compute::filter_record_batch,
};
use lakehead_model::{TimeRange, Timestamp};
use lakehead_window::Windows;

use super::{
    closing::{Closing, closing_periods, reach},
    diff,
    files::{self, Checkpoint, Folder, Partials, ResultFile, RunFile},
    finish::{Finished, finish},
    lateness::{Classifier, is_correctable, last_end_in},
    settings::ViewSettings,
    state::{PickedRows, Run, Slice, Slices, State, by_window, filter},
    transaction::{LiveFile, Transaction},
};
use crate::{
    error::Error,
    plan::{ViewPlan, Windowed},
};

/// How many files of partial rows one period may have before they are made one.
const PARTIAL_FILES_MAX: usize = 16;

/// The state and what else changes between commits.
#[derive(Debug, Default)]
pub(super) struct WindowedBody {
    pub(super) state: State,
    /// The files of partial rows that the next commit will name, without those that it writes itself.
    pub(super) partials: BTreeMap<Timestamp, Partials>,
    /// Reopened periods, which the next commit writes again, each with the file of its former rows.
    pub(super) reopened: BTreeMap<Timestamp, Option<Arc<ResultFile>>>,
}

/// The body after a commit, adopted once the commit is durable.
pub(super) struct Draft {
    /// The state after it, where it changes.
    state: Option<State>,
    /// The files of runs that the commit wrote, by the run's place in the state.
    fresh: Vec<(usize, RunFile)>,
}

impl WindowedBody {
    pub(super) fn restore(plan: &Windowed, checkpoint: &Checkpoint, folder: &Folder) -> Result<Self, Error> {
        let read = |run: &RunFile| -> Result<Run, Error> {
            let batches = files::read_partial(&folder.run(checkpoint.build, *run))?;
            Ok(Run::new(run.tier, batches, Some(*run)))
        };
        let runs = checkpoint.runs.iter().map(read).collect::<Result<_, _>>()?;
        let state = State::restored(plan, runs)?;
        Ok(Self { state, partials: checkpoint.partials.clone(), reopened: BTreeMap::new() })
    }

    /// Applies partial rows. Answers the result periods that have to be corrected.
    pub(super) async fn apply(
        &mut self,
        plan: &Windowed,
        settings: &ViewSettings,
        checkpoint: &mut Checkpoint,
        rows: Vec<RecordBatch>,
    ) -> Result<HashSet<Timestamp>, Error> {
        let mut classifier = Classifier {
            plan,
            settings,
            closed_until: checkpoint.closed_until,
            settled_until: checkpoint.settled_until,
            takes_all: checkpoint.takes_all(),
            watermark: checkpoint.watermark.current().unwrap_or(Timestamp(i64::MIN)),
            counts: &mut checkpoint.counts,
            touched: HashSet::new(),
        };
        let mut kept = Vec::with_capacity(rows.len());
        for batch in rows {
            let slices = Slices::of(plan, &batch)?;
            let accepted: BooleanArray =
                slices.iter().map(|(slice, events)| Some(classifier.accepts(slice, events))).collect();
            let all = accepted.true_count() == batch.num_rows();
            kept.push(if all { batch } else { filter_record_batch(&batch, &accepted)? });
        }
        let touched = classifier.touched;
        self.state.push(plan, kept).await?;
        Ok(touched)
    }

    /// Reopens a result period: reads the partial rows that it is made of back into the state. `file` is its result file.
    pub(super) async fn reopen(
        &mut self,
        plan: &Windowed,
        range: TimeRange,
        file: Option<Arc<ResultFile>>,
        folder: &Folder,
        build: u64,
    ) -> Result<(), Error> {
        let span = TimeRange { start: range.start, end: last_end_in(plan, range) };
        let needed: Vec<Timestamp> = self
            .partials
            .iter()
            .filter(|(start, partials)| **start < span.end && span.start < partials.end)
            .map(|(start, _)| *start)
            .collect();
        for start in needed {
            let Some(partials) = self.partials.get(&start) else { continue };
            let rows = read(folder, build, start, partials)?;
            // Only after it was read: a failure must not lose it.
            self.partials.remove(&start);
            self.state.push(plan, rows).await?;
        }
        self.reopened.entry(range.start).or_insert(file);
        Ok(())
    }

    /// Writes what a commit at its watermark closes. Where very many periods are due, it sets the commit's watermark back,
    /// as if the commit had come earlier, and leaves the rest to the next.
    pub(super) async fn commit(
        &self,
        plan: &ViewPlan,
        windowed: &Windowed,
        settings: &ViewSettings,
        live: &BTreeMap<Timestamp, LiveFile>,
        next: &mut Transaction,
    ) -> Result<Draft, Error> {
        let mut draft = Draft { state: None, fresh: Vec::new() };
        next.checkpoint.partials = self.partials.clone();
        let earliest = self.state.earliest().map(|start| windowed.windows.first_end(start, start));
        if earliest.is_some_and(|end| end <= next.watermark) {
            self.close(plan, windowed, settings, live, next, &mut draft).await?;
        }
        let state = draft.state.as_ref().unwrap_or(&self.state);
        let mut runs = Vec::new();
        for (index, run) in state.runs().iter().enumerate() {
            let file = match run.file {
                Some(file) => file,
                None => {
                    let number = u32::try_from(index).unwrap_or(u32::MAX);
                    let file = RunFile { generation: next.checkpoint.generation, number, tier: run.tier };
                    let path = next.folder.run(next.checkpoint.build, file);
                    files::write_partial(&path, &windowed.partial.schema(), &run.batches, &mut next.syncing)?;
                    draft.fresh.push((index, file));
                    file
                }
            };
            runs.push(file);
        }
        next.checkpoint.runs = runs;
        if !next.checkpoint.takes_all() {
            let watermark = next.watermark;
            let settled = &mut next.checkpoint.settled_until;
            next.checkpoint.partials.retain(|start, partials| {
                let period = TimeRange { start: *start, end: partials.end };
                let keeps = is_correctable(windowed, settings, watermark, period);
                *settled = if keeps { *settled } else { last_end_in(windowed, period).max(*settled) };
                keeps
            });
        }
        Ok(draft)
    }

    async fn close(
        &self,
        plan: &ViewPlan,
        windowed: &Windowed,
        settings: &ViewSettings,
        live: &BTreeMap<Timestamp, LiveFile>,
        next: &mut Transaction,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        // Rows that are nearly all different are merged once, where they become results.
        let rows = match &windowed.windows {
            Windows::Session(_) => self.state.reduced(windowed).await?,
            _ if self.state.is_nearly_reduced() => self.state.batches(),
            _ => self.state.reduced(windowed).await?,
        };
        self.write_results(plan, windowed, live, &rows, next).await?;
        let (leaving, staying) = split_closed(windowed, &rows, next.watermark)?;
        file_partials(windowed, settings, leaving, &rows, next)?;
        let mut state = self.state.emptied();
        state.replace(windowed, staying)?;
        draft.state = Some(state);
        Ok(())
    }

    /// Writes the result files of the windows that close, and sets the commit's watermark back where these are too many.
    async fn write_results(
        &self,
        plan: &ViewPlan,
        windowed: &Windowed,
        live: &BTreeMap<Timestamp, LiveFile>,
        rows: &[RecordBatch],
        next: &mut Transaction,
    ) -> Result<(), Error> {
        let (watermark, was_closed_until) = (next.watermark, next.checkpoint.closed_until);
        let is_filed = |window: TimeRange| {
            window.end <= was_closed_until && live.contains_key(&windowed.period.range(window.start).start)
        };
        let closes = |window: TimeRange, until: Timestamp| window.end <= until && !is_filed(window);
        let mut closing = closing_periods(windowed, rows, |window| closes(window, watermark))?;
        let until = reach(closing.values().map(|closing| closing.first_end).collect(), was_closed_until, watermark);
        closing.retain(|_, closing| closing.first_end <= until);
        next.is_whole = until == watermark;
        next.watermark = until;
        for Closing { period, rows: picked, .. } in closing.into_values() {
            let in_it = |window: TimeRange| closes(window, until) && period.contains(window.start);
            let picked = picked.take_from(rows)?;
            let windows = picked.iter().map(|batch| by_window(windowed, batch, in_it));
            let windows: Vec<RecordBatch> = windows.collect::<Result<_, _>>()?;
            let Finished { rows: fresh, mut failed } = finish(plan, windowed, windows).await?;
            let filed = live.get(&period.start);
            if let Some(live) = filed {
                failed = failed.and(&live.failed);
            }
            match self.reopened.get(&period.start) {
                Some(Some(old)) => {
                    let before = files::read_parquet(&old.path, &plan.schema())?;
                    next.tell(|| diff::between(plan, before, fresh.clone()))?;
                }
                _ => next.tell(|| diff::inserted(plan, &fresh))?,
            }
            next.write(plan, period, filed.map(|live| live.file.path.as_path()), fresh, failed, None)?;
        }
        // A session that begins earlier for a late event leaves the period that it was in.
        for (start, old) in &self.reopened {
            let Some(old) = old.as_ref().filter(|_| !next.has_written(*start)) else { continue };
            let before = files::read_parquet(&old.path, &plan.schema())?;
            next.tell(|| diff::between(plan, before, Vec::new()))?;
        }
        Ok(())
    }

    /// Takes over what a commit made, now that it stands.
    pub(super) fn adopt(&mut self, draft: Draft, checkpoint: &Checkpoint) {
        if let Some(state) = draft.state {
            self.state = state;
        }
        for (index, file) in draft.fresh {
            if let Some(run) = self.state.runs_mut().get_mut(index) {
                run.file = Some(file);
            }
        }
        self.partials = checkpoint.partials.clone();
        self.reopened.clear();
    }
}

/// Picked partial rows by the start of the result period that they are filed in.
type ByPeriod = BTreeMap<Timestamp, (TimeRange, PickedRows)>;

/// The rows whose last window has closed at `until`, and those that stay in the state.
fn split_closed(
    windowed: &Windowed,
    rows: &[RecordBatch],
    until: Timestamp,
) -> Result<(ByPeriod, Vec<RecordBatch>), Error> {
    let (mut leaving, mut staying) = (ByPeriod::new(), Vec::new());
    let leaves = |slice: Slice| windowed.windows.last_end(slice.start, slice.last) <= until;
    for (index, batch) in rows.iter().enumerate() {
        staying.push(filter(windowed, batch, |slice| !leaves(slice))?);
        let mut last: Option<TimeRange> = None;
        for (row, (slice, _)) in (0_u32..).zip(Slices::of(windowed, batch)?.iter()) {
            let Some(slice) = slice.filter(|slice| leaves(*slice)) else { continue };
            let known = last.filter(|last| last.contains(slice.start));
            let period = known.unwrap_or_else(|| windowed.period.range(slice.start));
            last = Some(period);
            leaving.entry(period.start).or_insert_with(|| (period, PickedRows::default())).1.add(index, row);
        }
    }
    Ok((leaving, staying))
}

/// Writes the partial rows that leave the state, as far as late events may still need them.
fn file_partials(
    windowed: &Windowed,
    settings: &ViewSettings,
    leaving: ByPeriod,
    rows: &[RecordBatch],
    next: &mut Transaction,
) -> Result<(), Error> {
    let (takes_all, until) = (next.checkpoint.takes_all(), next.watermark);
    for (start, (period, picked)) in leaving {
        let generation = next.checkpoint.generation;
        let partials =
            next.checkpoint.partials.entry(start).or_insert(Partials { end: period.end, generations: Vec::new() });
        if !takes_all && !is_correctable(windowed, settings, until, period) {
            // No late event needs them any more: the entry, with the files that it has, goes with this commit.
            continue;
        }
        let mut rows = picked.take_from(rows)?;
        if partials.generations.len() >= PARTIAL_FILES_MAX {
            rows.extend(read(&next.folder, next.checkpoint.build, start, partials)?);
            partials.generations.clear();
        }
        let path = next.folder.partial(period, next.checkpoint.build, generation);
        files::write_partial(&path, &windowed.partial.schema(), &rows, &mut next.syncing)?;
        partials.generations.push(generation);
    }
    Ok(())
}

fn read(folder: &Folder, build: u64, start: Timestamp, partials: &Partials) -> Result<Vec<RecordBatch>, Error> {
    let range = TimeRange { start, end: partials.end };
    let mut rows = Vec::new();
    for generation in &partials.generations {
        rows.extend(files::read_partial(&folder.partial(range, build, *generation))?);
    }
    Ok(rows)
}
