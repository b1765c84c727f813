//! The audit of a view: what it says against a second count of the log.
//!
//! ```text
//!   log ──▶ the view's SQL, planned as a batch query ──▶ rows ─┐
//!    │                                                         ├─ compared, row by row
//!    │      result files, partial rows, open windows ──▶ rows ─┘
//!    └────▶ events that pass its WHERE, by window ──▶ the balance of its counts
//! ```
//!
//! The second count shares the decoder and DataFusion's functions with the view, and nothing else: no state, no
//! watermark, no checkpoint, no partial rows. What it takes for true is the log. Late events that the view left out are
//! in the log all the same; a window that differs because of them is *explained*, as far as the view's own counts of
//! such events go, and not one event further.
//!
//! Memory is bounded: the result periods are taken a few at a time, by how many rows they have, and one that has too many
//! window by window.

mod amounts;
mod compare;
mod explained;
mod recount;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use datafusion::arrow::array::RecordBatch;
use futures::future::BoxFuture;
use lakehead_model::{Name, Offset, TimeRange, Timestamp};
use lakehead_window::{ResultPeriod, Tumble};
use serde::{Deserialize, Serialize};

pub(crate) use self::compare::{Comparison, Side};
use self::{compare::Differing, explained::Budget, recount::Recount};
use crate::{
    Error, Lake, Snapshot, ViewHandle, ViewPlan,
    cells::{self, Cells},
    derived, files,
    plan::{Kind, Windowed},
    snapshot::{Listed, finished},
    view_table::ViewTable,
};

/// What an audit says that was told to stop.
pub(crate) const STOPPED: &str = "the audit was stopped";

/// Differences that are told in full; more are only counted.
const TOLD_MAX: usize = 10;

/// Where retention has cut the log, windows that began this long after the first event kept are taken as whole: an
/// event is received after it happened, save for clocks that disagree, and none disagree by this much.
const CLOCKS_DISAGREE_MAX: Duration = Duration::from_secs(3600);

/// Slows an audit down so that the live path does not feel it, and stops it.
pub trait Pace: Send + Sync {
    /// `bytes` of events were read. May block for a while. False: stop.
    fn read(&self, bytes: u64) -> bool;
}

/// How much of a view is audited, and how.
#[derive(Clone)]
pub struct Extent {
    /// Only windows that begin at or after this are compared; the balance then cannot be struck.
    pub since: Option<Timestamp>,
    /// Result files that were compared before and need not be again, by their paths' last part.
    pub known: Arc<HashSet<String>>,
    /// Threads that read and count.
    pub threads: usize,
    /// Rows that are compared at once, unless one window has more, or one result period of sessions. Each takes about half a
    /// KiB; fewer rows mean that the log is read more often.
    pub rows_at_once: u64,
    /// How fast.
    pub pace: Arc<dyn Pace>,
}

/// What an audit found out about one view.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewAudit {
    /// The stream it reads.
    pub stream: String,
    /// View and log were compared as of this offset.
    pub offset: Offset,
    /// What became of the events; `None` where the log begins after the view did, or only a part was audited.
    pub balance: Option<Balance>,
    /// Windows before this were not compared: they are not wholly in the log, or were not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_from: Option<String>,
    /// Result files compared.
    pub files: u64,
    /// Windows whose events were counted again; where no partial rows are kept of them any more, result periods of such.
    pub windows: u64,
    /// Rows compared.
    pub rows: u64,
    /// Rows that differ because of late events that the view left out, as its counts say.
    pub explained: u64,
    /// Whatever does not add up.
    pub differences: u64,
    /// The first of them, in full.
    pub told: Vec<Difference>,
    /// What was not looked at, and why.
    #[serde(default)]
    pub not_checked: Vec<String>,
    /// The result files that were compared and found right, by name.
    #[serde(skip)]
    pub compared: Vec<String>,
}

/// What became of the events of the log, by the view's counts and by the second count.
///
/// It adds up when `events = in_view + filtered + late_dropped + too_late + without_time + failed`, and what was counted twice
/// is the same both times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Events in the log before the offset.
    pub events: u64,
    /// Events that the view says it has seen.
    pub seen: u64,
    /// Events in its windows, as it says.
    pub in_view: u64,
    /// Events that its WHERE leaves out, by the second count.
    pub filtered: u64,
    /// Late events left out because of `late = "drop"`, as it says.
    pub late_dropped: u64,
    /// Late events left out because they came later than `lateness`, as it says.
    pub too_late: u64,
    /// Events without event time, as it says.
    pub without_time: u64,
    /// The same by the second count.
    pub without_time_in_log: u64,
    /// Events that an expression of its SQL fails on, as it says.
    #[serde(default)]
    pub failed: u64,
    /// The same by the second count.
    #[serde(default)]
    pub failed_in_log: u64,
}

impl Balance {
    /// Whether it adds up.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let parts = self.in_view + self.filtered + self.late_dropped + self.too_late + self.without_time + self.failed;
        self.seen == self.events
            && parts == self.events
            && self.without_time == self.without_time_in_log
            && self.failed == self.failed_in_log
    }
}

/// One thing that does not add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The window, or the result period, or nothing when it is about the whole view.
    pub window: String,
    /// What it is about: the row's keys, a file, the balance.
    pub what: String,
    /// What the view has there.
    pub view: String,
    /// What the log has.
    pub log: String,
}

/// In one line: where, what, and both sides.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { window, what, view, log } = self;
        match window.as_str() {
            "" => write!(f, "{what}")?,
            _ => write!(f, "{window}: {what}")?,
        }
        match (view.as_str(), log.as_str()) {
            ("", "") => Ok(()),
            (view, "") => write!(f, ": {view}"),
            (view, log) => write!(f, ": the view has {view}, the log {log}"),
        }
    }
}

impl ViewAudit {
    /// Counts a difference, and keeps it while there is room.
    fn differs(&mut self, difference: Difference) {
        self.differences += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(difference);
        }
    }

    /// Notes something that does not add up about the whole view.
    pub fn found(&mut self, what: &str) {
        self.differs(Difference { what: what.to_owned(), ..Difference::default() });
    }

    /// Notes that the view's own files could not be read, so that the next start rebuilds it.
    pub fn unreadable(&mut self, why: &str) {
        self.differs(Difference { what: format!("{why}; the next start rebuilds the view"), ..Difference::default() });
    }
}

impl Lake {
    /// Audits a view against the log, as of the view's offset at this moment. Changes nothing.
    ///
    /// # Errors
    /// When the log or a file of the view cannot be read, and when the pace says stop.
    pub fn audit<'a>(&'a self, view: &'a ViewHandle, extent: &'a Extent) -> BoxFuture<'a, Result<ViewAudit, Error>> {
        Box::pin(async move { Audit::new(self, view, extent).await?.run().await })
    }
}

/// A view and the log, pinned, and what was found so far.
struct Audit<'a> {
    view: &'a ViewHandle,
    extent: &'a Extent,
    snapshot: Arc<Snapshot>,
    recount: Recount,
    /// Windows that begin before this are left out.
    from: Option<Timestamp>,
    /// Events that the view left out, as it says, and that no cell was found to lack yet.
    left_out: u64,
    /// What rows may differ by them.
    budget: Budget,
    found: ViewAudit,
}

/// Result periods whose files are read in one go.
#[derive(Default)]
struct Pass {
    periods: Vec<TimeRange>,
    rows: u64,
}

/// What is compared in one go: a pass, or some of the windows of one result period that has more rows than are compared at
/// once.
struct Part {
    /// What is counted again.
    periods: Vec<TimeRange>,
    /// The view's rows whose windows begin then; `None`: all of the pass.
    windows: Option<TimeRange>,
}

impl Part {
    fn has(&self, window: Timestamp) -> bool {
        self.windows.is_none_or(|windows| (windows.start..windows.end).contains(&window))
    }
}

/// How many events each window has. A result period of which the view keeps no partial rows counts as one, since there is
/// nothing to hold its windows against, and a year has thirty million seconds.
type Windows = BTreeMap<Timestamp, u64>;

impl<'a> Audit<'a> {
    async fn new(lake: &Lake, view: &'a ViewHandle, extent: &'a Extent) -> Result<Self, Error> {
        let snapshot = view.snapshot();
        let plan = snapshot.plan();
        let name = plan.stream();
        let Some((schema, stream)) = lake.stream(name) else {
            return Err(Error::Sql(format!("there is no stream {name}")));
        };
        let head = stream.head();
        let start = head.start.min(snapshot.next_offset);
        let whole = if start.0 == 0 { None } else { first_whole(stream.clone(), start).await? };
        let fresh = if extent.known.is_empty() { None } else { first_unknown(&snapshot, extent) };
        let from = [whole, extent.since, fresh].into_iter().flatten().max();
        let range = Range { start, end: snapshot.next_offset };
        let recount = Recount::new(&snapshot, stream, schema, range, extent).await?;
        let counts = snapshot.counts;
        let found = ViewAudit {
            stream: name.to_string(),
            offset: snapshot.next_offset,
            compared_from: from.map(|from| from.to_string()),
            ..ViewAudit::default()
        };
        let left_out = counts.late_dropped + counts.too_late;
        let budget = Budget::new(snapshot.plan().windowed(), left_out, counts.partly);
        Ok(Self { view, extent, snapshot, recount, from, left_out, budget, found })
    }

    async fn run(mut self) -> Result<ViewAudit, Error> {
        let plan = Arc::clone(self.snapshot.plan());
        let comparison = Arc::new(Comparison::new(&plan, plan.shape()));
        match plan.kind() {
            Kind::Windowed(_) => {}
            Kind::Rows(_) => return self.run_rows(&comparison).await,
            Kind::Derived(_) => return self.run_derived(&comparison).await,
        }
        let counted = self.view_windows().await?;
        let single = counted.keys().next().map_or(Timestamp(i64::MAX), |first| single_from(&plan, *first));
        let (windows, without_window, failed) = self.recount.windows(self.from, single).await?;
        if self.recount.unnests()? {
            self.strike_rows(&windows, without_window);
        } else if self.from.is_none() && self.extent.known.is_empty() {
            self.strike_balance(&windows, without_window, failed);
        }
        self.compare_windows(&windows, &counted);
        for pass in self.passes(&windows) {
            self.compare_pass(&pass, &comparison, &windows, &counted).await?;
        }
        Ok(self.found)
    }

    /// A projection: its rows hour by hour against the query over what was received then. It has no windows, so there is
    /// no balance of events but only rows.
    async fn run_rows(mut self, comparison: &Arc<Comparison>) -> Result<ViewAudit, Error> {
        let snapshot = Arc::clone(&self.snapshot);
        let mut finished: BTreeMap<Timestamp, Vec<&Listed>> = BTreeMap::new();
        for listed in &snapshot.results.files {
            if self.is_in(listed.range.start) && !self.extent.known.contains(&file_name(listed)) {
                finished.entry(listed.range.start).or_default().push(listed);
            }
        }
        let last = snapshot.results.files.iter().map(|listed| listed.range).max_by_key(|range| range.start);
        for (start, files) in finished {
            let Some(range) = files.first().map(|listed| listed.range) else { continue };
            let mut rows = Vec::new();
            let mut compared = Vec::new();
            let before = self.found.differences;
            for listed in files {
                let (path, schema) = (listed.file.path.clone(), snapshot.plan().schema());
                rows.extend(blocking(move || files::read_parquet(&path, &schema)).await??);
                if !listed.is_part {
                    self.compare_public(listed).await?;
                }
                compared.push(file_name(listed));
            }
            // What is in memory is of the newest hour, or of later ones.
            let is_last = last.is_some_and(|last| last.start == start);
            let end = if is_last { Timestamp(i64::MAX) } else { range.end };
            if is_last {
                rows.extend(snapshot.open.iter().cloned());
            }
            self.compare_rows(comparison, TimeRange { start: range.start, end }, rows).await?;
            self.found.files += compared.len() as u64;
            if before == self.found.differences && !is_last {
                self.found.compared.extend(compared);
            }
        }
        if last.is_none() {
            let all = TimeRange { start: self.from.unwrap_or(Timestamp(i64::MIN)), end: Timestamp(i64::MAX) };
            self.compare_rows(comparison, all, snapshot.open.clone()).await?;
        }
        Ok(self.found)
    }

    async fn compare_rows(
        &mut self,
        comparison: &Arc<Comparison>,
        range: TimeRange,
        rows: Vec<RecordBatch>,
    ) -> Result<(), Error> {
        let log = self.recount.rows(range, &[range]).await?;
        self.found.rows += log.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        let differing = compare(comparison, rows, log).await?;
        self.tell(differing, |_| range.start.to_string());
        Ok(())
    }

    fn tell(&mut self, differing: Vec<Differing>, window: impl Fn(&Differing) -> String) {
        for differing in differing {
            let shown = |row: Option<String>| row.unwrap_or_else(|| "no such row".to_owned());
            let window = differing.window.map_or_else(|| window(&differing), |window| window.to_string());
            let (view, log) = (shown(differing.view), shown(differing.log));
            self.found.differs(Difference { window, what: differing.key, view, log });
        }
    }

    /// A view over another view: all of its rows against its query over all of the other's. The other is audited by
    /// itself.
    async fn run_derived(mut self, comparison: &Arc<Comparison>) -> Result<ViewAudit, Error> {
        let snapshot = Arc::clone(&self.snapshot);
        let Some((name, upstream)) = &snapshot.upstream else { return Ok(self.found) };
        let plan = snapshot.plan();
        let again = derived::run(plan, name, ViewTable::pinned(Arc::clone(upstream)), &Arc::default()).await?;
        let mut rows = snapshot.rest().await?.to_vec();
        for listed in &snapshot.results.files {
            let (path, schema) = (listed.file.path.clone(), plan.schema());
            rows.extend(blocking(move || files::read_parquet(&path, &schema)).await??);
            self.compare_public(listed).await?;
            self.found.files += 1;
        }
        self.found.rows += again.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        let differing = compare(comparison, rows, again).await?;
        self.tell(differing, |_| String::new());
        Ok(self.found)
    }

    fn is_in(&self, window: Timestamp) -> bool {
        self.from.is_none_or(|from| window >= from)
    }

    fn strike_balance(&mut self, windows: &Windows, without_window: u64, failed_in_log: u64) {
        let counts = self.snapshot.counts;
        let passed = windows.values().sum::<u64>() + without_window;
        let balance = Balance {
            events: self.snapshot.next_offset.0,
            seen: counts.events,
            in_view: counts.in_view,
            filtered: self.snapshot.next_offset.0.saturating_sub(passed + failed_in_log),
            late_dropped: counts.late_dropped,
            too_late: counts.too_late,
            without_time: counts.without_time,
            without_time_in_log: without_window,
            failed: counts.failed,
            failed_in_log,
        };
        if !balance.adds_up() {
            let Balance { seen, in_view, filtered, late_dropped, too_late, without_time, failed, .. } = balance;
            let view = format!(
                "{seen} seen: {in_view} in windows, {late_dropped} late and dropped, {too_late} too late, {without_time} without time, \
                 {failed} that an expression fails on"
            );
            let log = format!(
                "{} events: {filtered} filtered, {failed_in_log} that an expression fails on, {passed} not, of them \
                 {without_window} without time",
                balance.events
            );
            self.found.differs(Difference { what: "the balance of events".into(), view, log, ..Difference::default() });
        }
        self.found.balance = Some(balance);
    }

    /// Where `unnest` makes several rows of one event, the view counts rows, and nobody can say of how many events.
    fn strike_rows(&mut self, windows: &Windows, without_window: u64) {
        let why = "because unnest makes several rows of one, or none; the rows are counted in its place";
        self.found.not_checked.push(format!("what became of each event, {why}"));
        if self.from.is_some() || !self.extent.known.is_empty() {
            return;
        }
        let counts = self.snapshot.counts;
        let (in_log, end) = (windows.values().sum::<u64>() + without_window, self.snapshot.next_offset.0);
        let in_view = counts.in_view + counts.late_dropped + counts.too_late + counts.without_time;
        if in_view != in_log || counts.without_time != without_window || counts.events != end {
            let view = format!("{} events seen, {in_view} rows, {} without time", counts.events, counts.without_time);
            let log = format!("{end} events, {in_log} rows, {without_window} without time");
            self.found.differs(Difference { what: "the balance of rows".into(), view, log, ..Difference::default() });
        }
    }

    /// How many events the view's partial rows have in each cell, as far as they are still kept.
    async fn view_windows(&mut self) -> Result<Windows, Error> {
        let mut windows = Windows::new();
        let snapshot = Arc::clone(&self.snapshot);
        let Some(windowed) = snapshot.plan.windowed() else { return Ok(windows) };
        add_events(windowed, &mut windows, &snapshot.open)?;
        for paths in snapshot.results.partials.values() {
            if let Some(rows) = partial_rows(paths).await? {
                add_events(windowed, &mut windows, &rows)?;
            }
        }
        Ok(windows)
    }

    /// Where the partial rows are kept, the events of each window are compared: a lost event is found even where no
    /// column counts.
    fn compare_windows(&mut self, log: &Windows, view: &Windows) {
        self.found.windows = log.len() as u64;
        for (window, in_view) in view {
            if !self.is_in(*window) {
                continue;
            }
            let in_log = log.get(window).copied().unwrap_or(0);
            if *in_view == in_log {
                continue;
            }
            let lacks = in_log.saturating_sub(*in_view);
            if lacks > 0 && lacks <= self.left_out {
                self.left_out -= lacks;
                continue;
            }
            self.found.differs(Difference {
                window: window.to_string(),
                what: "events in the window".into(),
                view: in_view.to_string(),
                log: in_log.to_string(),
            });
        }
    }

    /// The result periods that view or log have anything in, in order, a few at a time.
    fn passes(&self, windows: &Windows) -> Vec<Pass> {
        let plan = Arc::clone(self.snapshot.plan());
        let mut rows: BTreeMap<Timestamp, (TimeRange, u64)> = BTreeMap::new();
        let mut add = |range: TimeRange, count: u64| {
            rows.entry(range.start).or_insert((range, 0)).1 += count;
        };
        for (window, events) in windows {
            // Never more rows than events; mostly far fewer, which the files then say.
            let own = plan.windowed().map(|windowed| windowed.period.range(*window));
            let over = periods_over(&plan, *window);
            for period in own.into_iter().chain(over.into_iter().filter(|period| Some(*period) != own)) {
                add(period, (*events).min(1));
            }
        }
        for (cell, rows) in open_cells(&self.snapshot) {
            for period in periods_over(&plan, cell) {
                add(period, rows);
            }
        }
        for listed in &self.snapshot.results.files {
            add(listed.range, listed.rows);
        }
        let open: BTreeSet<Timestamp> = self.open_periods();
        let known: HashSet<Timestamp> = self
            .snapshot
            .results
            .files
            .iter()
            .filter(|listed| !open.contains(&listed.range.start) && self.extent.known.contains(&file_name(listed)))
            .map(|listed| listed.range.start)
            .collect();
        let mut passes: Vec<Pass> = Vec::new();
        for (start, (range, count)) in rows {
            if !self.is_in(start) || known.contains(&start) {
                continue;
            }
            match passes.last_mut() {
                Some(pass) if pass.rows + count <= self.extent.rows_at_once => {
                    pass.rows += count;
                    pass.periods.push(range);
                }
                _ => passes.push(Pass { rows: count, periods: vec![range] }),
            }
        }
        passes
    }

    fn open_periods(&self) -> BTreeSet<Timestamp> {
        let plan = self.snapshot.plan();
        open_cells(&self.snapshot)
            .into_keys()
            .flat_map(|cell| periods_over(plan, cell))
            .map(|period| period.start)
            .collect()
    }

    async fn compare_pass(
        &mut self,
        pass: &Pass,
        comparison: &Arc<Comparison>,
        windows: &Windows,
        counted: &Windows,
    ) -> Result<(), Error> {
        let starts: HashSet<Timestamp> = pass.periods.iter().map(|period| period.start).collect();
        let snapshot = Arc::clone(&self.snapshot);
        let has_having = snapshot.plan().shape().has_having;
        let (mut filed, mut compared) = (Vec::new(), Vec::new());
        for listed in snapshot.results.files.iter().filter(|listed| starts.contains(&listed.range.start)) {
            let before = self.found.differences;
            filed.extend(self.file_rows(listed, comparison).await?);
            if before == self.found.differences {
                compared.push(file_name(listed));
            }
        }
        let before = self.found.differences;
        for part in self.parts(pass, comparison) {
            let (Some(first), Some(last)) = (part.periods.first(), part.periods.last()) else { continue };
            // A pass may leap over periods that were compared before; the log's rows of those are left out by window.
            let log = self.recount.rows(TimeRange { start: first.start, end: last.end }, &part.periods).await?;
            let mut rows = self.open_rows(&starts, &part).await?;
            match &part.windows {
                Some(_) => rows.extend(comparison.rows_in(&filed, |window| part.has(window))?),
                None => rows.append(&mut filed),
            }
            self.found.rows += log.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
            let differing = compare_exactly(comparison, rows, log).await?;
            for differing in self.recount.beyond_rounding(comparison, differing, &part.periods).await? {
                let explained = snapshot.plan().windowed().is_some_and(|plan| {
                    let closed_until = snapshot.closed_until;
                    self.budget.explains(plan, &differing, (windows, counted), closed_until, has_having)
                });
                if explained {
                    self.found.explained += 1;
                    continue;
                }
                let shown = |row: Option<String>| row.unwrap_or_else(|| "no such row".to_owned());
                self.found.differs(Difference {
                    window: differing.window.map_or_else(|| period_text(first, last), |window| window.to_string()),
                    what: differing.key,
                    view: shown(differing.view),
                    log: shown(differing.log),
                });
            }
        }
        self.found.files += compared.len() as u64;
        if before == self.found.differences {
            self.found.compared.extend(compared);
        }
        Ok(())
    }

    /// A pass as it is compared. Sessions are not cut, since one may reach over any time, nor calendars, whose periods are a few
    /// windows, nor rows that do not say their window.
    fn parts(&self, pass: &Pass, comparison: &Comparison) -> Vec<Part> {
        let whole = || vec![Part { periods: pass.periods.clone(), windows: None }];
        let step = match self.snapshot.plan().windowed().map(|plan| &plan.windows) {
            Some(lakehead_window::Windows::Tumble(tumble)) => Some(tumble.size()),
            Some(lakehead_window::Windows::Hop(hop)) => Some(hop.slide()),
            _ => None,
        };
        match (pass.periods.as_slice(), step.filter(|_| comparison.says_window())) {
            ([period], Some(step)) if pass.rows > self.extent.rows_at_once => {
                let cuts = cuts(*period, step, pass.rows.div_ceil(self.extent.rows_at_once.max(1)));
                // What begins outside of its period is a difference, too, so the first and the last have no bound there.
                let starts = std::iter::once(Timestamp(i64::MIN)).chain(cuts.iter().copied());
                let ends = cuts.iter().copied().chain(std::iter::once(Timestamp(i64::MAX)));
                let part = |(start, end): (Timestamp, Timestamp)| Part {
                    periods: vec![TimeRange { start: start.max(period.start), end: end.min(period.end) }],
                    windows: Some(TimeRange { start, end }),
                };
                starts.zip(ends).map(part).collect()
            }
            _ => whole(),
        }
    }

    /// The rows of open windows in these periods, as far as they are of `part`.
    async fn open_rows(&self, periods: &HashSet<Timestamp>, part: &Part) -> Result<Vec<RecordBatch>, Error> {
        let (snapshot, plan) = (&self.snapshot, self.snapshot.plan());
        let Some(windowed) = plan.windowed() else { return Ok(Vec::new()) };
        let filed: HashSet<Timestamp> = snapshot.results.files.iter().map(|listed| listed.range.start).collect();
        finished(plan, windowed, snapshot.open.clone(), |window| {
            let period = windowed.period.range(window.start).start;
            periods.contains(&period)
                && part.has(window.start)
                && (window.end > snapshot.closed_until || !filed.contains(&period))
        })
        .await
        .map(|finished| finished.rows)
    }

    /// The rows of a result file, which is compared with its count, its partial rows and its public name on the way.
    async fn file_rows(&mut self, listed: &Listed, comparison: &Arc<Comparison>) -> Result<Vec<RecordBatch>, Error> {
        let about = |what: String| Difference { window: listed.range.start.to_string(), what, ..Difference::default() };
        let (path, schema) = (listed.file.path.clone(), self.snapshot.plan().schema());
        let rows = match blocking(move || files::read_parquet(&path, &schema)).await? {
            Ok(rows) => rows,
            Err(error) => {
                self.found.differs(about(format!("the result file {} cannot be read: {error}", file_name(listed))));
                return Ok(Vec::new());
            }
        };
        let count: u64 = rows.iter().map(|batch| batch.num_rows() as u64).sum();
        if count != listed.rows {
            let view = format!("{count} rows in the file, {} by the checkpoint", listed.rows);
            self.found.differs(Difference { view, ..about(format!("the result file {}", file_name(listed))) });
        }
        self.compare_public(listed).await?;
        // Where late events have taken its partial rows back into the state, the next commit writes both anew.
        let Some(paths) = self.snapshot.results.partials.get(&listed.range.start).cloned() else { return Ok(rows) };
        let plan = Arc::clone(self.snapshot.plan());
        if let (true, Some(windowed), Some(partial)) = (listed.correctable, plan.windowed(), partial_rows(&paths).await?)
            // The panes of hopping windows are shared between periods.
            && !matches!(windowed.windows, lakehead_window::Windows::Hop(_))
        {
            let partial = finished(&plan, windowed, partial, |_| true).await?.rows;
            for differing in compare(comparison, partial, rows.clone()).await? {
                let shown = |row: Option<String>| row.unwrap_or_else(|| "no such row".to_owned());
                self.found.differs(Difference {
                    window: differing
                        .window
                        .map_or_else(|| listed.range.start.to_string(), |window| window.to_string()),
                    what: format!("{}, in the partial rows (view) and the result file (log)", differing.key),
                    view: shown(differing.view),
                    log: shown(differing.log),
                });
            }
        }
        Ok(rows)
    }

    /// What other programs read under the period's public name must be the file that the checkpoint names.
    async fn compare_public(&mut self, listed: &Listed) -> Result<(), Error> {
        let Some(public) = files::public_beside(&listed.file.path, listed.range) else { return Ok(()) };
        let own = listed.file.path.clone();
        let shown = public.display().to_string();
        let same = blocking(move || is_same_file(&own, &public)).await?;
        // A commit since the snapshot has put a newer file there; the next audit looks at that one.
        let is_current = || {
            let now = self.view.snapshot();
            now.results.files.iter().any(|now| now.file.path == listed.file.path)
        };
        if !same && is_current() {
            self.found.differs(Difference {
                window: listed.range.start.to_string(),
                what: format!("{shown} is not the result file that the checkpoint names"),
                ..Difference::default()
            });
        }
        Ok(())
    }
}

/// The start of the first result period that was not compared before.
fn first_unknown(snapshot: &Snapshot, extent: &Extent) -> Option<Timestamp> {
    let plan = snapshot.plan();
    let files = snapshot.results.files.iter().filter(|listed| !extent.known.contains(&file_name(listed)));
    let open = open_cells(snapshot).into_keys().flat_map(|cell| periods_over(plan, cell)).map(|period| period.start);
    files.map(|listed| listed.range.start).chain(open).min().or(snapshot.watermark)
}

/// The starts of the cells that the state has something in, and how many rows each has.
fn open_cells(snapshot: &Snapshot) -> BTreeMap<Timestamp, u64> {
    let Some(windowed) = snapshot.plan.windowed() else { return BTreeMap::new() };
    let mut cells = BTreeMap::new();
    for batch in &snapshot.open {
        let Ok(found) = Cells::of(windowed, batch) else { continue };
        for cell in found.iter().filter_map(|(cell, _)| cell) {
            *cells.entry(cell.start).or_default() += 1;
        }
    }
    cells
}

/// The result periods of the windows over a cell.
fn periods_over(plan: &ViewPlan, cell: Timestamp) -> Vec<TimeRange> {
    let Some(windowed) = plan.windowed() else { return Vec::new() };
    let cell = cells::Cell { start: cell, last: cell, events: 0 };
    let mut periods: Vec<TimeRange> = Vec::new();
    for window in cells::windows_over(&windowed.windows, cell) {
        let period = windowed.period.range(window.start);
        if !periods.contains(&period) {
            periods.push(period);
        }
    }
    periods
}

/// What the events of log and view are counted by, where it is not the window itself: the panes of hopping windows, and
/// stretches of time that no session's events straddle.
pub(crate) fn counted_by(plan: &Windowed) -> Option<Tumble> {
    match (&plan.windows, &plan.period) {
        (lakehead_window::Windows::Hop(hop), _) => Some(hop.pane()),
        (lakehead_window::Windows::Session(_), ResultPeriod::Window(cells)) => Some(*cells),
        (lakehead_window::Windows::Session(_), _) => Tumble::new(Duration::from_secs(3600)).ok(),
        _ => None,
    }
}

/// Under which time the events of a cell are counted.
fn counted_under(plan: &Windowed, cell: Timestamp) -> Timestamp {
    match plan.windows {
        lakehead_window::Windows::Session(_) => plan.period.range(cell).start,
        _ => cell,
    }
}

/// Where a period is cut into `parts`, or as many as windows begin in it, `step` apart. A window that begins before a cut is
/// counted before it, wherever it ends.
fn cuts(period: TimeRange, step: Duration, parts: u64) -> Vec<Timestamp> {
    let step = i64::try_from(step.as_micros()).unwrap_or(i64::MAX).max(1);
    let windows = period.end.0.saturating_sub(period.start.0) / step;
    let parts = i64::try_from(parts).unwrap_or(i64::MAX).clamp(1, windows.max(1));
    let cut = |part: i64| {
        Timestamp(period.start.0.saturating_add((part.saturating_mul(windows) / parts).saturating_mul(step)))
    };
    (1..parts).map(cut).collect()
}

/// The first moment from which on windows are counted one by one, `first` being the first cell of which the view has partial
/// rows.
fn single_from(plan: &ViewPlan, first: Timestamp) -> Timestamp {
    plan.windowed().map_or(first, |windowed| windowed.period.range(first).start)
}

/// What the events of log and view are counted by where the view keeps no partial rows: the result period, if many windows are in
/// one.
pub(crate) fn counted_together_by(plan: &Windowed) -> Option<Tumble> {
    use lakehead_window::Windows::{Hop, Tumble as Tumbling};
    let seconds = match (&plan.windows, &plan.period) {
        (Tumbling(_) | Hop(_), ResultPeriod::Hour) => 3_600,
        (Tumbling(_) | Hop(_), ResultPeriod::Day) => 86_400,
        _ => return None,
    };
    Tumble::new(Duration::from_secs(seconds)).ok()
}

fn add_events(plan: &Windowed, windows: &mut Windows, batches: &[RecordBatch]) -> Result<(), Error> {
    for batch in batches {
        for cell in Cells::of(plan, batch)?.iter().filter_map(|(cell, _)| cell) {
            *windows.entry(counted_under(plan, cell.start)).or_default() += cell.events;
        }
    }
    Ok(())
}

fn is_same_file(own: &Path, public: &Path) -> bool {
    let inode = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    // A file system without hard links has a copy.
    inode(own).is_some_and(|own| inode(public) == Some(own))
        || matches!((std::fs::read(own), std::fs::read(public)), (Ok(own), Ok(public)) if own == public)
}

fn period_text(first: &TimeRange, last: &TimeRange) -> String {
    format!("{} to {}", first.start, last.end)
}

fn file_name(listed: &Listed) -> String {
    listed.file.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The partial rows in these files; `None` when a commit has just replaced them.
async fn partial_rows(paths: &[PathBuf]) -> Result<Option<Vec<RecordBatch>>, Error> {
    let mut rows = Vec::new();
    for path in paths {
        let path = path.clone();
        match blocking(move || files::read_partial(&path)).await? {
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => rows.extend(read?),
        }
    }
    Ok(Some(rows))
}

/// The first moment from which on windows are wholly in a log that begins at `start`.
async fn first_whole(stream: lakehead_store::Stream, start: Offset) -> Result<Option<Timestamp>, Error> {
    let first = blocking(move || stream.reader(start).next()).await??;
    Ok(first.map(|block| block.received_time.plus(CLOCKS_DISAGREE_MAX)))
}

/// Off the threads that serve: a quarter of a million rows keep a core busy for a while.
async fn compare_exactly(
    comparison: &Arc<Comparison>,
    view: Vec<RecordBatch>,
    log: Vec<RecordBatch>,
) -> Result<Vec<Differing>, Error> {
    let comparison = Arc::clone(comparison);
    blocking(move || comparison.compare(&Side::new(&comparison, view)?, &Side::new(&comparison, log)?)).await?
}

/// As [`compare_exactly`], but for floats that differ by less than a billionth.
async fn compare(
    comparison: &Arc<Comparison>,
    view: Vec<RecordBatch>,
    log: Vec<RecordBatch>,
) -> Result<Vec<Differing>, Error> {
    let mut differing = compare_exactly(comparison, view, log).await?;
    differing.retain(|differing| !differing.is_near());
    Ok(differing)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Engine(error.to_string()))
}

/// A view by name.
impl Lake {
    /// The view of this name.
    #[must_use]
    pub fn view(&self, name: &Name) -> Option<ViewHandle> {
        self.views().into_iter().find(|view| view.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step_seconds: u64, parts: u64, expected: &[i64]) {
        let second = |second: i64| Timestamp(second * 1_000_000);
        let hour = TimeRange { start: second(7_200), end: second(10_800) };
        let found = cuts(hour, Duration::from_secs(step_seconds), parts);
        assert_eq!(found, expected.iter().map(|at| second(7_200 + at)).collect::<Vec<_>>());
    }

    #[test]
    fn a_period_is_cut_between_windows_and_never_into_more_than_it_has() {
        check(600, 1, &[]);
        check(600, 3, &[1_200, 2_400]);
        check(600, 4, &[600, 1_800, 2_400]);
        check(600, u64::MAX, &[600, 1_200, 1_800, 2_400, 3_000]);
        check(3_600, 9, &[]);
        check(7_200, 9, &[]);
        check(420, 2, &[1_680]);
    }
}
