//! The second count: a view's SQL as a batch query over the log.
//!
//! DataFusion plans the text that the user wrote, over the stream cut at the view's offset; none of the pieces that the
//! view itself runs has a part in it. The only thing added is a filter on the time, above the stream, so that a few
//! result periods are counted at once.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch},
        compute::cast,
        datatypes::{DataType, Float64Type, Int64Type, IntervalMonthDayNano, TimestampMicrosecondType},
    },
    common::{Column, ScalarValue, tree_node::Transformed},
    execution::{SessionStateBuilder, memory_pool::GreedyMemoryPool, runtime_env::RuntimeEnvBuilder},
    functions_aggregate::expr_fn::count,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit, when},
    prelude::SessionContext,
};
use lakehead_model::{Offset, StreamSchema, TimeRange, Timestamp};
use lakehead_planning::Walk;
use lakehead_store::Stream;
use lakehead_window::Tumble;

use super::{
    amounts,
    extent::Extent,
    window_counts::{WindowCounts, counted_by, counted_together_by, counted_under},
};
use crate::{
    checked::{self, Mode, Notes},
    error::Error,
    functions,
    keyed_rows::{Comparison, Differing},
    plan::{ViewPlan, find_aggregate, groups, is_window},
    rewrite,
    stream_table::StreamTable,
    view::{Snapshot, last_end_in, table::ViewTable},
};

/// Memory of one audit, as far as DataFusion accounts for it: four times what the rows of one pass are expected to take.
const MEMORY_BYTES_MAX: usize = 512 << 20;

/// The unit roundoff of a float of 64 bits: 2^-53.
const UNIT: f64 = f64::EPSILON / 2.0;

/// Roundings beside those of the sum itself: of the operations on it in an output column, and of what is summed.
const ROUNDINGS_MORE: f64 = 16.0;

/// Counts a view again.
pub(super) struct Recount {
    context: SessionContext,
    logical: LogicalPlan,
    plan: Arc<ViewPlan>,
    /// What fails while it counts.
    failed: Arc<Notes>,
}

impl Recount {
    pub(super) async fn new(
        snapshot: &Snapshot,
        stream: Stream,
        schema: StreamSchema,
        range: Range<Offset>,
        extent: &Extent,
    ) -> Result<Self, Error> {
        let config = functions::config().with_target_partitions(extent.threads.max(1));
        let runtime =
            RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(MEMORY_BYTES_MAX))).build_arc()?;
        let state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
        let failed: Arc<Notes> = Arc::default();
        let state = checked::session(state, Mode::Lenient(Arc::clone(&failed)));
        let context = SessionContext::new_with_state(state.build());
        functions::register(&context)?;
        let plan = snapshot.plan();
        let table = StreamTable::paced(stream, schema, range, Arc::clone(&extent.pace));
        context.register_table(plan.stream().as_str(), Arc::new(table))?;
        if let Some((name, upstream)) = &snapshot.upstream {
            context.register_table(name.as_str(), Arc::new(ViewTable::pinned(Arc::clone(upstream))))?;
        }
        plan.register_inlined(&context).await?;
        let logical = lakehead_planning::of_text(&context.state(), plan.sql()).await?;
        Ok(Self { context, logical, plan: Arc::clone(plan), failed })
    }

    /// How many events pass the view's WHERE, by the slice that `counted_by` says, those before `single` by what
    /// `counted_together_by` says, and how many of them have no time. For a projection and a view over a view there is
    /// nothing to count by. Events on which an expression fails pass nowhere; how many these are is the last number.
    pub(super) async fn windows(
        &self,
        from: Option<Timestamp>,
        single: Timestamp,
    ) -> Result<(WindowCounts, u64, u64), Error> {
        let (Some(windowed), Some(aggregate)) = (self.plan.windowed(), find_aggregate(&self.logical)?) else {
            return Ok(Default::default());
        };
        let window = aggregate.group_expr.iter().find(|group| is_window(group)).cloned().map(Expr::unalias);
        let Some(Expr::ScalarFunction(call)) = window else {
            return Err(Error::Engine("the view has no window among its groups".into()));
        };
        let by = match (counted_by(windowed), call.args.first()) {
            (Some(size), Some(time)) => functions::tumble().call(vec![time.clone(), size_literal(size)]),
            _ => Expr::ScalarFunction(call),
        };
        let by = match counted_together_by(windowed) {
            Some(period) => {
                let together = functions::tumble().call(vec![by.clone(), size_literal(period)]);
                when(by.clone().gt_eq(time(single)), by).otherwise(together)?
            }
            None => by,
        };
        let input = checked::without_failing(&aggregate)?;
        let input = match from {
            Some(from) => self.within(input, from, Timestamp(i64::MAX))?,
            None => input,
        };
        self.failed.take();
        let plan = LogicalPlanBuilder::from(input)
            .aggregate([by.alias("opened")], [count(lit(1_i64)).alias("events")])?
            .build()?;
        let (mut windows, mut without) = (BTreeMap::new(), 0);
        for batch in self.collect(plan).await? {
            let starts = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            let events = batch.column(1).as_primitive::<Int64Type>();
            for (start, events) in starts.iter().zip(events.iter()) {
                let events = u64::try_from(events.unwrap_or(0)).unwrap_or(0);
                match start {
                    Some(start) => *windows.entry(counted_under(windowed, Timestamp(start))).or_default() += events,
                    None => without += events,
                }
            }
        }
        Ok((windows, without, self.failed.take().0))
    }

    /// The rows of the windows that begin in `periods`, all of which lie in `range`. Of a projection, the rows received
    /// then.
    pub(super) async fn rows(&self, range: TimeRange, periods: &[TimeRange]) -> Result<Vec<RecordBatch>, Error> {
        self.rows_of(&self.logical, range, periods).await
    }

    async fn rows_of(
        &self,
        logical: &LogicalPlan,
        range: TimeRange,
        periods: &[TimeRange],
    ) -> Result<Vec<RecordBatch>, Error> {
        let contiguous = periods.windows(2).all(|pair| matches!(pair, [a, b] if a.end == b.start));
        let runs = if contiguous { vec![range] } else { joined(periods) };
        let mut rows = Vec::new();
        for run in runs {
            let plan = match self.plan.windowed() {
                Some(windowed) => {
                    let plan = windows_in(logical.clone(), run)?;
                    self.within(plan, run.start, last_end_in(windowed, run))?
                }
                None => self.within(logical.clone(), run.start, run.end)?,
            };
            rows.extend(self.collect(rewrite::executable(plan)?).await?);
        }
        Ok(rows)
    }

    /// Whether `unnest` stands below the aggregation, so that what is counted there are rows and not events.
    pub(super) fn unnests(&self) -> Result<bool, Error> {
        let Some(aggregate) = find_aggregate(&self.logical)? else { return Ok(false) };
        Ok(aggregate.input.any(&mut |node| Ok(matches!(node, LogicalPlan::Unnest(_))))?)
    }

    /// Of rows that differ, those that differ by more than the order of the events can make. Where only floats differ, sums of
    /// which may cancel, the same query over the amounts of what is summed gives the bound: two sums of `n` numbers, each
    /// rounded `n` times, differ by at most `2 n u` times the sum of their amounts, where `u` is 2^-53 (N. J. Higham, Accuracy
    /// and Stability of Numerical Algorithms, 2nd edition, section 4.2).
    pub(super) async fn beyond_rounding(
        &self,
        comparison: &Comparison,
        differing: Vec<Differing>,
        periods: &[TimeRange],
    ) -> Result<Vec<Differing>, Error> {
        if differing.iter().all(|differing| differing.floats.is_none()) {
            return Ok(differing);
        }
        let by_billionth = |differing: Vec<Differing>| differing.into_iter().filter(|one| !one.is_near()).collect();
        let Some(sql) = amounts::of(self.plan.sql()) else { return Ok(by_billionth(differing)) };
        let (Some(first), Some(last)) = (periods.first(), periods.last()) else { return Ok(differing) };
        let Ok(logical) = lakehead_planning::of_text(&self.context.state(), &sql).await else {
            return Ok(by_billionth(differing));
        };
        let range = TimeRange { start: first.start, end: last.end };
        let mut bounds: HashMap<Box<[u8]>, (f64, Vec<f64>)> = HashMap::new();
        for batch in self.rows_of(&logical, range, periods).await? {
            let keys = comparison.keys_of(&batch)?;
            let columns: Vec<_> = batch.columns().iter().map(|column| cast(column, &DataType::Float64)).collect();
            for (row, key) in keys.into_iter().enumerate() {
                let value = |column: &Result<ArrayRef, _>| match column {
                    Ok(column) if column.is_valid(row) => column.as_primitive::<Float64Type>().value(row),
                    _ => 0.0,
                };
                let mut values: Vec<f64> = columns.iter().map(value).collect();
                let events = values.pop().unwrap_or(0.0);
                bounds.insert(key, (events, values));
            }
        }
        let is_beyond = |differing: &Differing| {
            let Some(floats) = &differing.floats else { return true };
            let Some((events, amounts)) = bounds.get(&floats.key) else { return !differing.is_near() };
            floats.columns.iter().any(|(column, view, log)| {
                let amount = amounts.get(*column).copied().unwrap_or(0.0);
                (view - log).abs() > 2.0 * (events + ROUNDINGS_MORE) * UNIT * amount
            })
        };
        Ok(differing.into_iter().filter(is_beyond).collect())
    }

    /// `plan` over the events of `[start, end)` only.
    fn within(&self, plan: LogicalPlan, start: Timestamp, end: Timestamp) -> Result<LogicalPlan, Error> {
        let narrowed = plan.up(&mut |node| {
            let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
            let column = Expr::Column(Column::new(Some(scan.table_name.clone()), self.plan.time().name()));
            let bounds = column.clone().gt_eq(time(start)).and(column.lt(time(end)));
            Ok(Transformed::yes(LogicalPlanBuilder::from(node).filter(bounds)?.build()?))
        })?;
        Ok(narrowed.data)
    }

    async fn collect(&self, plan: LogicalPlan) -> Result<Vec<RecordBatch>, Error> {
        Ok(lakehead_planning::collect(&self.context, plan).await?)
    }
}

/// Periods that follow each other, as one.
fn joined(periods: &[TimeRange]) -> Vec<TimeRange> {
    let mut runs: Vec<TimeRange> = Vec::new();
    for period in periods {
        match runs.last_mut() {
            Some(run) if run.end == period.start => run.end = period.end,
            _ => runs.push(*period),
        }
    }
    runs
}

fn time(time: Timestamp) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(time.0), Some("UTC".into())))
}

fn size_literal(size: Tumble) -> Expr {
    let nanoseconds = i64::try_from(size.size().as_nanos()).unwrap_or(i64::MAX);
    lit(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months: 0, days: 0, nanoseconds })))
}

/// `plan` with only those windows that begin in `range`: a filter right above the aggregation.
fn windows_in(plan: LogicalPlan, range: TimeRange) -> Result<LogicalPlan, Error> {
    let narrowed = plan.up(&mut |node| {
        let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
        let Some(group) = groups(aggregate).iter().position(is_window) else { return Ok(Transformed::no(node)) };
        let (qualifier, field) = aggregate.schema.qualified_field(group);
        let window = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        let bounds = window.clone().gt_eq(time(range.start)).and(window.lt(time(range.end)));
        Ok(Transformed::yes(LogicalPlanBuilder::from(node).filter(bounds)?.build()?))
    })?;
    Ok(narrowed.data)
}
