//! A view over another view's rows: its result files are made from the other's, and hold for as long as those do.
//!
//! ```text
//!   upstream   ▤ 10h.7   ▤ 11h.9   ▤ 12h.3     open windows
//!                └───────┬──────┘      │            │
//!   derived        ▥ day, made of      └──────┬─────┘
//!                    10h.7, 11h.9             the rest, computed when asked
//! ```
//!
//! A file says what it was made of. When the upstream view has corrected one of those, the file does not hold any more: a
//! query computes those windows from the upstream's rows, and the next commit makes the file anew. So at every moment the
//! answer is that of the query over the upstream view at that moment, and a crash can lose nothing but work.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, AsArray, BooleanArray, RecordBatch},
        compute::filter_record_batch,
        datatypes::TimestampMicrosecondType,
    },
    execution::SessionStateBuilder,
    prelude::SessionContext,
};
use futures::future::BoxFuture;
use lakehead_model::{Name, TimeRange, Timestamp};
use lakehead_window::Windows;
use tokio::sync::OnceCell;

use super::{
    failed_values::FailedValues,
    files::{self, MadeOf},
    finish::Finished,
    snapshot::{Listed, OpenRows, Results, Snapshot},
    table::ViewTable,
};
use crate::{
    checked::{self, Notes, noted},
    error::Error,
    functions,
    micro_batch::columns,
    plan::{Derived, Piece, PlanKind, ViewPlan},
    rewrite,
};

/// What a result file is to be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) period: TimeRange,
    pub(crate) made_of: MadeOf,
}

fn derived(plan: &ViewPlan) -> Option<&Derived> {
    match plan.kind() {
        PlanKind::Derived(derived) => Some(derived),
        _ => None,
    }
}

/// The span of time whose rows the windows that start in `period` are made of. The last of them may reach beyond it: an hour
/// is no multiple of seven minutes.
fn span(derived: &Derived, period: TimeRange) -> TimeRange {
    let last = Timestamp(period.end.0.saturating_sub(1));
    let end = match derived.windows.as_ref().map(|(windows, _)| windows) {
        Some(Windows::Hop(hop)) => period.end.plus(hop.size()),
        Some(Windows::Tumble(tumble)) => tumble.window(last).end,
        Some(Windows::Calendar(calendar)) => calendar.window(last).end,
        Some(Windows::Session(_)) | None => period.end,
    };
    TimeRange { start: period.start, end: end.max(period.end) }
}

fn overlaps(a: TimeRange, b: TimeRange) -> bool {
    a.start < b.end && b.start < a.end
}

/// The upstream's files that have rows of `span`. All are in the order of time, and none reaches into the next, so that
/// few are looked at.
fn files_over(upstream: &Snapshot, span: TimeRange) -> impl Iterator<Item = &Listed> {
    let files = &upstream.results.files;
    let first = files.partition_point(|listed| listed.range.end <= span.start);
    files.iter().skip(first).take_while(move |listed| listed.range.start < span.end)
}

/// What a file is made of whose windows begin before `before`: the upstream's files that rows of `[span.start, until)` lie in.
fn made_of(upstream: &Snapshot, before: Timestamp, span: TimeRange, until: Timestamp) -> MadeOf {
    let span = TimeRange { start: span.start, end: span.end.min(until) };
    let mut made_of = MadeOf { before, until, files: Vec::new(), sums: Vec::new() };
    for listed in files_over(upstream, span) {
        made_of.files.push((listed.range.start, upstream.build, listed.generation));
        made_of.sums.push(listed.file.sum);
    }
    made_of
}

/// What the file of a view without a window of its own is made of: one file of the upstream's.
fn made_of_one(upstream: &Snapshot, listed: &Listed) -> MadeOf {
    MadeOf {
        before: listed.range.end,
        until: listed.range.end,
        files: vec![(listed.range.start, upstream.build, listed.generation)],
        sums: vec![listed.file.sum],
    }
}

/// The result files that should be there, as of `upstream`.
pub(crate) fn tasks(plan: &ViewPlan, upstream: &Snapshot) -> BTreeMap<Timestamp, Task> {
    let mut tasks = BTreeMap::new();
    let Some(derived) = derived(plan) else { return tasks };
    let complete = upstream.complete_before();
    for listed in &upstream.results.files {
        let Some((windows, _)) = &derived.windows else {
            let made_of = made_of_one(upstream, listed);
            tasks.insert(listed.range.start, Task { period: listed.range, made_of });
            continue;
        };
        let before = windows.complete_before(complete);
        let first = match windows {
            Windows::Hop(hop) => hop.first_over(listed.range.start).start,
            _ => windows.slice(listed.range.start),
        };
        let mut period = plan.period_at(first);
        while period.start < listed.range.end {
            let closed = before.min(period.end);
            if closed > period.start && !tasks.contains_key(&period.start) {
                let span = span(derived, period);
                let until = complete.min(span.end);
                let made_of = made_of(upstream, closed, span, until);
                tasks.insert(period.start, Task { period, made_of });
            }
            if period.end <= period.start {
                break;
            }
            period = plan.period_at(period.end);
        }
    }
    tasks
}

/// The starts of the view's windows that are over what the upstream view has reopened.
fn reopened(own: &Snapshot, upstream: &Snapshot) -> Vec<TimeRange> {
    let windows = derived(&own.plan).and_then(|derived| derived.windows.as_ref()).map(|(windows, _)| windows);
    let over = |period: &TimeRange| {
        let start = match windows {
            Some(Windows::Hop(hop)) => hop.first_over(period.start).start,
            Some(windows) => windows.slice(period.start),
            None => period.start,
        };
        TimeRange { start, end: period.end }
    };
    upstream.results.reopened.iter().map(over).collect()
}

/// The view's snapshot together with one of its upstream view: files that do not hold any more are left out.
pub(crate) fn pinned(own: &Snapshot, name: Name, upstream: Arc<Snapshot>) -> Snapshot {
    let holds = |listed: &&Listed| {
        let (Some(was), Some(derived)) = (&listed.made_of, derived(&own.plan)) else { return false };
        match derived.windows {
            Some(_) => {
                let span = span(derived, listed.range);
                let read = TimeRange { start: span.start, end: span.end.min(was.until) };
                let is_reopened = upstream.results.reopened.iter().any(|period| overlaps(*period, read));
                !is_reopened && *was == made_of(&upstream, was.before, span, was.until)
            }
            None => files_over(&upstream, listed.range).any(|file| *was == made_of_one(&upstream, file)),
        }
    };
    let files: Vec<Listed> = own.results.files.iter().filter(holds).cloned().collect();
    let results = Results {
        rows: files.iter().map(|listed| listed.rows).sum(),
        bytes: files.iter().map(|listed| listed.file.size).sum(),
        files,
        reopened_files: Vec::new(),
        reopened: reopened(own, &upstream),
        partials: BTreeMap::new(),
        changes: Arc::clone(&own.results.changes),
    };
    Snapshot {
        next_offset: upstream.next_offset,
        watermark: upstream.watermark,
        counts: upstream.counts,
        open_rows: 0,
        open_bytes: 0,
        plan: Arc::clone(&own.plan),
        begins: upstream.begins,
        build: own.build,
        generation: own.generation,
        closed_until: upstream.closed_until,
        results: Arc::new(results),
        open: Vec::new(),
        upstream: Some((name, upstream)),
        open_rows_of: &OfUpstream,
        rest: OnceCell::new(),
        counted: std::sync::OnceLock::new(),
    }
}

/// Makes the rows that no file of the view holds of the rows of its upstream view.
#[derive(Debug)]
struct OfUpstream;

impl OpenRows for OfUpstream {
    fn compute<'a>(&'a self, of: &'a Snapshot) -> BoxFuture<'a, Result<Finished, Error>> {
        Box::pin(rest(of))
    }
}

async fn rest(own: &Snapshot) -> Result<Finished, Error> {
    let (Some((name, upstream)), Some(derived)) = (&own.upstream, derived(&own.plan)) else {
        return Ok(Finished::default());
    };
    let notes: Arc<Notes> = Arc::default();
    let failed = |notes: &Notes| {
        let (count, told) = notes.take();
        FailedValues::noted(count, told)
    };
    if derived.windows.is_none() {
        let held: HashSet<Timestamp> = own.results.files.iter().map(|listed| listed.range.start).collect();
        let held = |listed: &Listed| held.contains(&listed.range.start);
        let table = ViewTable::pinned(Arc::clone(upstream)).only(|listed| !held(listed), true);
        let rows = run(&own.plan, name, table, &notes).await?;
        return Ok(Finished { rows, failed: failed(&notes) });
    }
    let covered = own.results.files.iter().filter_map(|listed| {
        listed.made_of.as_ref().map(|made_of| TimeRange { start: listed.range.start, end: made_of.before })
    });
    let covered: Vec<TimeRange> = covered.collect();
    // A file of the upstream is needed unless all windows over all of it are covered.
    let needed = |listed: &Listed| match &derived.windows {
        Some((Windows::Hop(hop), _)) => {
            let first = hop.first_over(listed.range.start).start;
            !is_covered(&covered, TimeRange { start: first, end: listed.range.end })
        }
        Some((windows, _)) => {
            let first = windows.slice(listed.range.start);
            !is_covered(&covered, TimeRange { start: first, end: listed.range.end })
        }
        None => true,
    };
    let table = ViewTable::pinned(Arc::clone(upstream)).only(needed, true);
    let rows = run(&own.plan, name, table, &notes).await?;
    let is_filed = |start| covered.get(first_to_end_after(&covered, start)).is_some_and(|one| one.contains(start));
    let rows = windows_where(&own.plan, rows, |start| !is_filed(start))?;
    Ok(Finished { rows, failed: failed(&notes) })
}

/// The place of the first of these ranges, which are in order, that ends after `time`.
fn first_to_end_after(ranges: &[TimeRange], time: Timestamp) -> usize {
    ranges.partition_point(|range| range.end <= time)
}

/// Whether `range` lies in ranges that touch each other, which are in order.
fn is_covered(covered: &[TimeRange], range: TimeRange) -> bool {
    let mut at = range.start;
    for one in covered.iter().skip(first_to_end_after(covered, at)) {
        if !one.contains(at) {
            break;
        }
        at = one.end;
    }
    at >= range.end
}

/// How many rows of the upstream view are read at once, to make several files of them: some hundred megabytes.
const ROWS_AT_ONCE: u64 = 1_000_000;

pub(crate) async fn make(
    plan: &ViewPlan,
    name: &Name,
    upstream: &Arc<Snapshot>,
    tasks: &[&Task],
) -> Result<Vec<Finished>, Error> {
    let Some(derived) = derived(plan) else { return Ok(Vec::new()) };
    let mut made = Vec::with_capacity(tasks.len());
    if let Some(piece) = &derived.piece {
        for task in tasks {
            made.push(make_row_by_row(plan, derived, piece, upstream, task).await?);
        }
        return Ok(made);
    }
    let of = |task: &Task| files_over(upstream, span(derived, task.period));
    let mut rest = tasks;
    while !rest.is_empty() {
        let (mut together, mut count) = (0, 0);
        for task in rest {
            count += of(task).map(|listed| listed.rows).sum::<u64>();
            if together > 0 && count > ROWS_AT_ONCE {
                break;
            }
            together += 1;
        }
        let (now, later) = rest.split_at(together);
        rest = later;
        let needed = |listed: &Listed| now.iter().any(|task| overlaps(listed.range, span(derived, task.period)));
        let notes: Arc<Notes> = Arc::default();
        let rows = run(plan, name, ViewTable::pinned(Arc::clone(upstream)).only(needed, false), &notes).await?;
        let (mut count, mut told) = notes.take();
        for task in now {
            let keep = |start| task.period.start <= start && start < task.made_of.before;
            // Files that are made together tell together what failed, in the first of them.
            let failed = FailedValues::noted(std::mem::take(&mut count), std::mem::take(&mut told));
            made.push(Finished { rows: windows_where(plan, rows.clone(), keep)?, failed });
        }
    }
    Ok(made)
}

/// The rows of the result file of a view without a window of its own: each is made of one row of the upstream's file.
async fn make_row_by_row(
    plan: &ViewPlan,
    derived: &Derived,
    piece: &Piece,
    upstream: &Snapshot,
    task: &Task,
) -> Result<Finished, Error> {
    let file = files_over(upstream, task.period).find(|listed| listed.range.start == task.period.start);
    let Some(file) = file.map(|listed| listed.file.path.clone()) else { return Ok(Finished::default()) };
    let (schema, above) = (plan.schema(), upstream.plan().schema());
    let read = files::read_parquet(&file, &above)?;
    let rows_for = |piece: &Piece| {
        let input = piece.input();
        let own = |batch: &RecordBatch| columns(&batch.clone().with_schema(Arc::clone(&above))?, &input);
        read.iter().map(own).collect::<Result<Vec<_>, Error>>()
    };
    let (rows, failed) = match (piece.run(rows_for(piece)?).await, &derived.careful) {
        (Ok(rows), _) => (rows, FailedValues::default()),
        (Err(_), Some(careful)) => {
            let (rows, count, notes) = noted(careful.run(rows_for(careful)?)).await;
            (rows?, FailedValues::noted(count, notes))
        }
        (Err(error), None) => return Err(error),
    };
    let shown: Vec<usize> = (0..schema.fields().len()).collect();
    let rows = rows.into_iter().map(|batch| batch.project(&shown)?.with_schema(Arc::clone(&schema)));
    Ok(Finished { rows: rows.collect::<Result<_, _>>()?, failed })
}

/// The rows whose window's start satisfies `keep`.
fn windows_where(
    plan: &ViewPlan,
    rows: Vec<RecordBatch>,
    keep: impl Fn(Timestamp) -> bool,
) -> Result<Vec<RecordBatch>, Error> {
    let column = plan.shape().window.ok_or_else(|| Error::Engine("a view over a view shows no window".into()))?;
    let kept = |batch: RecordBatch| -> Result<RecordBatch, Error> {
        let starts = batch.column(column).as_primitive_opt::<TimestampMicrosecondType>();
        let starts = starts.ok_or_else(|| Error::Engine("a window's start is not a time".into()))?;
        let keep = (0..starts.len()).map(|row| Some(starts.is_valid(row) && keep(Timestamp(starts.value(row)))));
        Ok(filter_record_batch(&batch, &keep.collect::<BooleanArray>())?)
    };
    rows.into_iter().map(kept).collect()
}

/// Runs the view's SQL over a part of the upstream view's rows.
pub(crate) async fn run(
    plan: &ViewPlan,
    upstream: &Name,
    table: ViewTable,
    notes: &Arc<Notes>,
) -> Result<Vec<RecordBatch>, Error> {
    let config = functions::config().with_target_partitions(1);
    let state = SessionStateBuilder::new().with_config(config).with_default_features();
    let state = checked::session(state, checked::Mode::Lenient(Arc::clone(notes)));
    let context = SessionContext::new_with_state(state.build());
    functions::register(&context)?;
    context.register_table(upstream.as_str(), Arc::new(table))?;
    let logical = rewrite::executable(lakehead_planning::of_text(&context.state(), plan.sql()).await?)?;
    let rows = lakehead_planning::collect(&context, logical).await?;
    let schema = plan.schema();
    Ok(rows.into_iter().map(|batch| batch.with_schema(Arc::clone(&schema))).collect::<Result<_, _>>()?)
}
