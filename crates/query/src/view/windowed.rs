//! The body of a view with windows: takes partial rows in, closes windows as the watermark passes, corrects what comes
//! late.
//!
//! ```text
//!   events ─ digest ─▶ state (partial rows by cell)
//!                        │  commit: windows that end at or before the watermark
//!                        ├─────────────▶ result period: finished rows ─▶ Parquet
//!                        │  commit: cells whose last window has closed
//!                        └─────────────▶ partial rows, filed by period, for as long as late events may come
//!   a late event takes the period's partial rows back into the state; the next commit writes its file anew
//! ```
//!
//! So at every offset a window's rows are in exactly one place: in its period's file if that is there and the window ended
//! at or before the last commit's watermark, and in the state otherwise. A tumbling window or a session is one cell, and
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
use lakehead_window::{Timeliness, Windows, classify};

use super::{Committing, Counts, Late, Live, PERIODS_MAX, ViewSettings, changes};
use crate::{
    Error, ViewPlan,
    cells::{self, Cell, Cells, Picked},
    checkpoint::{Checkpoint, Partials},
    files::{self, Folder, ResultFile},
    plan::Windowed,
    snapshot::{self, Finished},
    state::{Run, RunFile, State},
};

/// How many files of partial rows one period may have before they are made one.
const PARTIAL_FILES_MAX: usize = 16;

/// The state and what else changes between commits.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) state: State,
    /// The files of partial rows, as the next commit will name them but for what it writes itself.
    pub(super) partials: BTreeMap<Timestamp, Partials>,
    /// Periods that were taken back: the next commit writes them anew. What their rows were.
    pub(super) reopened: BTreeMap<Timestamp, Option<Arc<ResultFile>>>,
}

/// What a commit has made of the body, to be taken over when it stands.
pub(super) struct Draft {
    /// The state after it, where it changes.
    state: Option<State>,
    /// The runs that the state's own now lie in.
    fresh: Vec<(usize, RunFile)>,
}

impl Body {
    pub(super) fn restore(plan: &Windowed, checkpoint: &Checkpoint, folder: &Folder) -> Result<Self, Error> {
        let read = |run: &RunFile| -> Result<Run, Error> {
            let batches = files::read_partial(&folder.run(checkpoint.build, *run))?;
            Ok(Run::new(run.tier, batches, Some(*run)))
        };
        let runs = checkpoint.runs.iter().map(read).collect::<Result<_, _>>()?;
        let state = State::restored(plan, runs)?;
        Ok(Self { state, partials: checkpoint.partials.clone(), reopened: BTreeMap::new() })
    }

    /// Takes partial rows in. Answers the result periods that have to be corrected.
    pub(super) async fn absorb(
        &mut self,
        plan: &Windowed,
        settings: &ViewSettings,
        checkpoint: &mut Checkpoint,
        rows: Vec<RecordBatch>,
    ) -> Result<HashSet<Timestamp>, Error> {
        let mut judge = Judge {
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
            let cells = Cells::of(plan, &batch)?;
            let keeps: BooleanArray = cells.iter().map(|(cell, events)| Some(judge.keeps(cell, events))).collect();
            let all = keeps.true_count() == batch.num_rows();
            kept.push(if all { batch } else { filter_record_batch(&batch, &keeps)? });
        }
        let touched = judge.touched;
        self.state.push(plan, kept).await?;
        Ok(touched)
    }

    /// Takes the partial rows that a result period is made of back into the state. `file` is its result file.
    pub(super) async fn reopen(
        &mut self,
        plan: &Windowed,
        range: TimeRange,
        file: Option<Arc<ResultFile>>,
        folder: &Folder,
        build: u64,
    ) -> Result<(), Error> {
        let span = TimeRange { start: range.start, end: last_end(plan, range) };
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

    /// Writes what a commit at its watermark closes. Where that is much, it sets the commit's watermark back: it is then a
    /// commit as there could have been before, and the rest is left to the next.
    pub(super) async fn commit(
        &self,
        plan: &ViewPlan,
        windowed: &Windowed,
        settings: &ViewSettings,
        live: &BTreeMap<Timestamp, Live>,
        next: &mut Committing,
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
                *settled = if keeps { *settled } else { last_end(windowed, period).max(*settled) };
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
        live: &BTreeMap<Timestamp, Live>,
        next: &mut Committing,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let (watermark, was_closed_until) = (next.watermark, next.checkpoint.closed_until);
        // Rows that are nearly all different are merged once, where they become results.
        let rows = match &windowed.windows {
            Windows::Session(_) => self.state.reduced(windowed).await?,
            _ if self.state.is_nearly_reduced() => self.state.batches(),
            _ => self.state.reduced(windowed).await?,
        };
        let windows = &windowed.windows;
        let is_filed = |window: TimeRange| {
            window.end <= was_closed_until && live.contains_key(&windowed.period.range(window.start).start)
        };
        let closes = |window: TimeRange, until: Timestamp| window.end <= until && !is_filed(window);
        let mut closing = closing_periods(windowed, &rows, |window| closes(window, watermark))?;
        let until = reach(closing.values().map(|closing| closing.first_end).collect(), was_closed_until, watermark);
        closing.retain(|_, closing| closing.first_end <= until);
        next.is_whole = until == watermark;
        next.watermark = until;
        for Closing { period, rows: picked, .. } in closing.into_values() {
            let in_it = |window: TimeRange| closes(window, until) && period.contains(window.start);
            let picked = picked.take_from(&rows)?;
            let by_window = picked.iter().map(|batch| cells::by_window(windowed, batch, in_it));
            let by_window: Vec<RecordBatch> = by_window.collect::<Result<_, _>>()?;
            let Finished { rows: fresh, mut failed } = snapshot::finish(plan, windowed, by_window).await?;
            let filed = live.get(&period.start);
            if let Some(live) = filed {
                failed = failed.and(&live.failed);
            }
            match self.reopened.get(&period.start) {
                Some(Some(old)) => {
                    let before = files::read_parquet(&old.path, &plan.schema())?;
                    next.tell(|| changes::between(plan, before, fresh.clone()))?;
                }
                _ => next.tell(|| changes::inserted(plan, &fresh))?,
            }
            next.write(plan, period, filed.map(|live| live.file.path.as_path()), fresh, failed, None)?;
        }
        // A session that begins earlier for a late event leaves the period that it was in.
        for (start, old) in &self.reopened {
            let Some(old) = old.as_ref().filter(|_| !next.has_written(*start)) else { continue };
            let before = files::read_parquet(&old.path, &plan.schema())?;
            next.tell(|| changes::between(plan, before, Vec::new()))?;
        }
        let (mut leaving, mut staying) = (BTreeMap::<Timestamp, (TimeRange, Picked)>::new(), Vec::new());
        let leaves = |cell: Cell| windows.last_end(cell.start, cell.last) <= until;
        for (index, batch) in rows.iter().enumerate() {
            staying.push(cells::filter(windowed, batch, |cell| !leaves(cell))?);
            let mut last: Option<TimeRange> = None;
            for (row, (cell, _)) in (0_u32..).zip(Cells::of(windowed, batch)?.iter()) {
                let Some(cell) = cell.filter(|cell| leaves(*cell)) else { continue };
                let known = last.filter(|last| last.contains(cell.start));
                let period = known.unwrap_or_else(|| windowed.period.range(cell.start));
                last = Some(period);
                leaving.entry(period.start).or_insert_with(|| (period, Picked::default())).1.add(index, row);
            }
        }
        let takes_all = next.checkpoint.takes_all();
        for (start, (period, picked)) in leaving {
            let generation = next.checkpoint.generation;
            let partials =
                next.checkpoint.partials.entry(start).or_insert(Partials { end: period.end, generations: Vec::new() });
            if !takes_all && !is_correctable(windowed, settings, until, period) {
                // No late event needs them any more: the entry, with the files that it has, goes with this commit.
                continue;
            }
            let mut rows = picked.take_from(&rows)?;
            if partials.generations.len() >= PARTIAL_FILES_MAX {
                rows.extend(read(&next.folder, next.checkpoint.build, start, partials)?);
                partials.generations.clear();
            }
            let path = next.folder.partial(period, next.checkpoint.build, generation);
            files::write_partial(&path, &windowed.partial.schema(), &rows, &mut next.syncing)?;
            partials.generations.push(generation);
        }
        let mut state = self.state.emptied();
        state.replace(windowed, staying)?;
        draft.state = Some(state);
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

/// The windows of one result period that a commit closes.
struct Closing {
    period: TimeRange,
    /// The end of the first of them.
    first_end: Timestamp,
    /// The partial rows that are in them.
    rows: Picked,
}

/// The result periods of those windows that satisfy `closes`. One pass over the rows finds all of them: a pass for each
/// period would be quadratic where every row is in a period of its own.
fn closing_periods(
    plan: &Windowed,
    rows: &[RecordBatch],
    closes: impl Fn(TimeRange) -> bool,
) -> Result<BTreeMap<Timestamp, Closing>, Error> {
    let mut found: BTreeMap<Timestamp, Closing> = BTreeMap::new();
    for (index, batch) in rows.iter().enumerate() {
        // Rows come in runs of one cell.
        let mut last: Option<(Timestamp, Vec<(TimeRange, Timestamp)>)> = None;
        for (row, (cell, _)) in (0_u32..).zip(Cells::of(plan, batch)?.iter()) {
            let Some(cell) = cell else { continue };
            let known = last.take().filter(|(start, _)| *start == cell.start && plan.last.is_none());
            let (_, periods) = last.insert(known.unwrap_or_else(|| (cell.start, periods_over(plan, cell, &closes))));
            for (period, first_end) in periods.iter().copied() {
                let fresh = || Closing { period, first_end, rows: Picked::default() };
                let closing = found.entry(period.start).or_insert_with(fresh);
                closing.first_end = closing.first_end.min(first_end);
                closing.rows.add(index, row);
            }
        }
    }
    Ok(found)
}

/// The result periods of those windows over `cell` that satisfy `closes`, each with the end of its first window.
fn periods_over(plan: &Windowed, cell: Cell, closes: impl Fn(TimeRange) -> bool) -> Vec<(TimeRange, Timestamp)> {
    let mut periods: Vec<(TimeRange, Timestamp)> = Vec::new();
    for window in cells::windows_over(&plan.windows, cell).into_iter().filter(|window| closes(*window)) {
        let period = plan.period.range(window.start);
        if periods.last().is_none_or(|(last, _)| *last != period) {
            periods.push((period, window.end));
        }
    }
    periods
}

/// How far a commit closes windows: up to `watermark`, or to where [`PERIODS_MAX`] result periods have closed.
/// `first_ends` has for each period that would close the end of its first window. Periods that late events have opened
/// again, with windows that end at or before `was_closed_until`, are all written: those who follow are told what their
/// rows were before, and no checkpoint says it.
fn reach(mut first_ends: Vec<Timestamp>, was_closed_until: Timestamp, watermark: Timestamp) -> Timestamp {
    if first_ends.len() <= PERIODS_MAX {
        return watermark;
    }
    // The first windows of two periods never end at the same time, so each commit closes some.
    let (_, beyond, _) = first_ends.select_nth_unstable(PERIODS_MAX);
    Timestamp(beyond.0.saturating_sub(1)).max(was_closed_until)
}

/// Whether late events may still correct windows that start in `period`, so that its partial rows are kept.
fn is_correctable(plan: &Windowed, settings: &ViewSettings, watermark: Timestamp, period: TimeRange) -> bool {
    watermark < last_end(plan, period).plus(settings.lateness)
}

fn read(folder: &Folder, build: u64, start: Timestamp, partials: &Partials) -> Result<Vec<RecordBatch>, Error> {
    let range = TimeRange { start, end: partials.end };
    let mut rows = Vec::new();
    for generation in &partials.generations {
        rows.extend(files::read_partial(&folder.partial(range, build, *generation))?);
    }
    Ok(rows)
}

/// The end of the last window that starts in `period`.
pub(crate) fn last_end(plan: &Windowed, period: TimeRange) -> Timestamp {
    let last = Timestamp(period.end.0.saturating_sub(1));
    match &plan.windows {
        Windows::Tumble(tumble) => tumble.window(last).end,
        Windows::Calendar(calendar) => calendar.window(last).end,
        Windows::Hop(hop) => hop.last_over(last).end,
        Windows::Session(session) => session.end(last),
    }
}

/// Says of each partial row whether it is taken in, and counts.
struct Judge<'a> {
    plan: &'a Windowed,
    settings: &'a ViewSettings,
    closed_until: Timestamp,
    /// Periods that end at or before this have no partial rows any more: to correct them would replace them.
    settled_until: Timestamp,
    /// It is built from the log, and whatever lies there is taken in.
    takes_all: bool,
    watermark: Timestamp,
    counts: &'a mut Counts,
    touched: HashSet<Timestamp>,
}

impl Judge<'_> {
    /// Whether the partial rows of a period are gone.
    fn is_settled(&self, period: TimeRange) -> bool {
        self::last_end(self.plan, period) <= self.settled_until
    }

    fn keeps(&mut self, cell: Option<Cell>, events: u64) -> bool {
        let Some(cell) = cell else {
            self.counts.without_time += events;
            return false;
        };
        let windows = &self.plan.windows;
        let last_end = windows.last_end(cell.start, cell.last);
        let first_end = match windows {
            // An event at or after what was closed can join no session that was: those ended a gap before.
            Windows::Session(_) => Timestamp(cell.start.0.saturating_add(1)),
            _ => windows.first_end(cell.start, cell.last),
        };
        if self.closed_until < first_end {
            self.counts.in_view += events;
            return true;
        }
        let behind = self.watermark.since(first_end);
        self.counts.late_by.count(behind, events);
        let over = cells::windows_over(windows, cell);
        let is_settled = |window: &TimeRange| self.is_settled(self.plan.period.range(window.start));
        let is_too_late = !self.takes_all
            && classify(last_end, self.closed_until, self.settings.lateness, self.watermark) == Timeliness::TooLate
            || last_end <= self.closed_until && over.iter().all(is_settled);
        if is_too_late {
            self.counts.too_late += events;
            return false;
        }
        if self.settings.late == Late::Drop && !self.takes_all {
            if self.closed_until < last_end && !matches!(windows, Windows::Session(_)) {
                // In the windows that are still open, and not in those that are not.
                self.counts.in_view += events;
                self.counts.partly += events;
                return true;
            }
            self.counts.late_dropped += events;
            return false;
        }
        self.counts.in_view += events;
        self.counts.late += events;
        let mut is_partly = false;
        for window in over {
            let period = self.plan.period.range(window.start);
            let is_closed = match windows {
                Windows::Session(_) => true,
                _ => window.end <= self.closed_until,
            };
            if !is_closed {
                continue;
            }
            let lasts = self.takes_all || is_correctable(self.plan, self.settings, self.watermark, period);
            if lasts && !self.is_settled(period) {
                self.touched.insert(period.start);
            } else {
                is_partly = true;
            }
        }
        self.counts.partly += if is_partly { events } else { 0 };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_closes_so_many_periods_and_all_that_late_events_have_opened_again() {
        let max = i64::try_from(PERIODS_MAX).expect("small");
        let ends = |count: i64| (1..=count).rev().map(Timestamp).collect::<Vec<_>>();
        let (never, watermark) = (Timestamp(i64::MIN), Timestamp(10 * max));
        assert_eq!(reach(Vec::new(), never, watermark), watermark);
        assert_eq!(reach(ends(max), never, watermark), watermark);
        assert_eq!(reach(ends(max + 1), never, watermark), Timestamp(max), "the last one waits");
        assert_eq!(reach(ends(3 * max), Timestamp(1), watermark), Timestamp(max));
        let opened_again = Timestamp(2 * max);
        assert_eq!(reach(ends(3 * max), opened_again, watermark), opened_again, "no other beside them");
    }
}
