//! The second count: a view's SQL as a batch query over the log.
//!
//! DataFusion plans the text that the user wrote, over the stream cut at the view's offset; none of the pieces that the
//! view itself runs has a part in it. The only thing added is a filter on the time, above the stream, so that a few
//! result periods are counted at once.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use datafusion::{
    arrow::{
        array::{AsArray, RecordBatch},
        datatypes::{Int64Type, TimestampMicrosecondType},
    },
    common::{
        Column, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    execution::{SessionStateBuilder, memory_pool::GreedyMemoryPool, runtime_env::RuntimeEnvBuilder},
    functions_aggregate::expr_fn::count,
    logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, lit},
    prelude::SessionContext,
};
use lakehead_model::{Offset, StreamSchema, TimeRange, Timestamp};
use lakehead_store::Stream;

use super::{Extent, STOPPED, Windows, time_name};
use crate::{Error, ViewPlan, functions, rewrite, stream_table::StreamTable};

/// Memory of one audit, as far as DataFusion accounts for it: four times what the rows of one pass are expected to take.
const MEMORY_BYTES_MAX: usize = 512 << 20;

/// Counts a view again.
pub(super) struct Recount {
    context: SessionContext,
    logical: LogicalPlan,
    shape: Shape,
    plan: ViewPlan,
}

/// What the columns of a view's rows are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Columns that are groups, as they stand in the output.
    pub(super) keys: Vec<usize>,
    /// Whether every group is among them, so that they name one row.
    pub(super) keys_are_whole: bool,
    /// The column with the window's start, if it is shown.
    pub(super) window: Option<usize>,
    /// Whether rows can vanish by what is in them.
    pub(super) has_having: bool,
    /// Columns that are made of an approximation, which depends on how the events were split up.
    pub(super) approximate: Vec<usize>,
    /// Columns that are made of a moment of second order, in which rounding errors grow.
    pub(super) rough: Vec<usize>,
}

/// Aggregates whose answer depends on how the events were split up: their digests are merged in another order.
const APPROXIMATE: [&str; 3] = ["approx_percentile_cont", "approx_percentile_cont_with_weight", "approx_median"];

/// Beginnings of the names of aggregates that subtract great numbers from each other.
const ROUGH: [&str; 5] = ["stddev", "var", "covar", "corr", "regr_"];

impl Recount {
    pub(super) async fn new(
        plan: &ViewPlan,
        stream: Stream,
        schema: StreamSchema,
        range: Range<Offset>,
        extent: &Extent,
    ) -> Result<Self, Error> {
        let config = functions::config().with_target_partitions(extent.threads.max(1));
        let runtime =
            RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(MEMORY_BYTES_MAX))).build_arc()?;
        let state =
            SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
        let context = SessionContext::new_with_state(state);
        functions::register(&context)?;
        let table = StreamTable::paced(stream, schema, range, Arc::clone(&extent.pace));
        context.register_table(plan.stream().as_str(), Arc::new(table))?;
        let logical = context.state().create_logical_plan(plan.sql()).await?;
        let shape = Shape::of(&logical)?;
        Ok(Self { context, logical, shape, plan: plan.clone() })
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many events pass the view's WHERE, by window, and how many of them have no window.
    pub(super) async fn windows(&self, from: Option<Timestamp>) -> Result<(Windows, u64), Error> {
        let aggregate = find_aggregate(&self.logical)?;
        let window = aggregate.group_expr.iter().find(|group| is_window(group)).cloned();
        let window = window.ok_or_else(|| Error::Engine("the view has no window among its groups".into()))?;
        let input = match from {
            Some(from) => self.within(aggregate.input.as_ref().clone(), from, Timestamp(i64::MAX))?,
            None => aggregate.input.as_ref().clone(),
        };
        let plan = LogicalPlanBuilder::from(input)
            .aggregate([window.unalias().alias("opened")], [count(lit(1_i64)).alias("events")])?
            .build()?;
        let (mut windows, mut without) = (BTreeMap::new(), 0);
        for batch in self.collect(plan).await? {
            let starts = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            let events = batch.column(1).as_primitive::<Int64Type>();
            for (start, events) in starts.iter().zip(events.iter()) {
                let events = u64::try_from(events.unwrap_or(0)).unwrap_or(0);
                match start {
                    Some(start) => *windows.entry(Timestamp(start)).or_default() += events,
                    None => without += events,
                }
            }
        }
        Ok((windows, without))
    }

    /// The rows of the windows that begin in `periods`, all of which lie in `range`.
    pub(super) async fn rows(&self, range: TimeRange, periods: &[TimeRange]) -> Result<Vec<RecordBatch>, Error> {
        let contiguous = periods.windows(2).all(|pair| matches!(pair, [a, b] if a.end == b.start));
        let runs = if contiguous { vec![range] } else { joined(periods) };
        let mut rows = Vec::new();
        for run in runs {
            // A window belongs to the period that it begins in, so the events of a run begin with its first window.
            let plan = self.within(self.logical.clone(), self.first_window(run.start), self.first_window(run.end))?;
            rows.extend(self.collect(rewrite::executable(plan)?).await?);
        }
        Ok(rows)
    }

    /// The start of the first window that begins at or after `time`.
    fn first_window(&self, time: Timestamp) -> Timestamp {
        let window = self.plan.window_at(time);
        if window.start < time { window.end } else { window.start }
    }

    /// `plan` over the events of `[start, end)` only.
    fn within(&self, plan: LogicalPlan, start: Timestamp, end: Timestamp) -> Result<LogicalPlan, Error> {
        let time = |time: Timestamp| lit(ScalarValue::TimestampMicrosecond(Some(time.0), Some("UTC".into())));
        let narrowed = plan.transform_up(|node| {
            let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
            let column = Expr::Column(Column::new(Some(scan.table_name.clone()), time_name(self.plan.time())));
            let bounds = column.clone().gt_eq(time(start)).and(column.lt(time(end)));
            Ok(Transformed::yes(LogicalPlanBuilder::from(node).filter(bounds)?.build()?))
        })?;
        Ok(narrowed.data)
    }

    async fn collect(&self, plan: LogicalPlan) -> Result<Vec<RecordBatch>, Error> {
        let collected = self.context.execute_logical_plan(plan).await?.collect().await;
        collected.map_err(|error| match error.to_string() {
            text if text.contains(STOPPED) => Error::Limit(STOPPED.into()),
            _ => error.into(),
        })
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

fn is_window(group: &Expr) -> bool {
    matches!(group.clone().unalias(), Expr::ScalarFunction(call) if call.func.name() == functions::TUMBLE)
}

fn find_aggregate(plan: &LogicalPlan) -> Result<Aggregate, Error> {
    let mut found = None;
    plan.apply(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            found = Some(aggregate.clone());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    found.ok_or_else(|| Error::Engine("the view has no aggregation".into()))
}

impl Shape {
    /// Follows each column of the output down to the aggregation.
    fn of(plan: &LogicalPlan) -> Result<Self, Error> {
        let aggregate = find_aggregate(plan)?;
        let mut shape = Self::default();
        let mut groups = Vec::new();
        for column in 0..plan.schema().fields().len() {
            let (group, has_having) = follow(plan, column);
            shape.has_having |= has_having;
            let Some(group) = group else {
                let made_of = made_of(plan, column);
                let any = |is: &dyn Fn(&str) -> bool| made_of.iter().any(|name| is(name));
                if any(&|name| APPROXIMATE.contains(&name)) {
                    shape.approximate.push(column);
                } else if any(&|name| ROUGH.iter().any(|rough| name.starts_with(rough))) {
                    shape.rough.push(column);
                }
                continue;
            };
            shape.keys.push(column);
            groups.push(group);
            if aggregate.group_expr.get(group).is_some_and(is_window) {
                shape.window = shape.window.or(Some(column));
            }
        }
        shape.keys_are_whole = (0..aggregate.group_expr.len()).all(|group| groups.contains(&group));
        Ok(shape)
    }
}

/// Which group the column is, if it is one as it stands, and whether rows are filtered on the way.
fn follow(plan: &LogicalPlan, column: usize) -> (Option<usize>, bool) {
    match plan {
        LogicalPlan::Projection(projection) => match projection.expr.get(column).cloned().map(Expr::unalias) {
            Some(Expr::Column(below)) => match projection.input.schema().index_of_column(&below) {
                Ok(index) => follow(&projection.input, index),
                Err(_) => (None, is_filtered(&projection.input)),
            },
            _ => (None, is_filtered(&projection.input)),
        },
        LogicalPlan::Filter(filter) => (follow(&filter.input, column).0, true),
        LogicalPlan::SubqueryAlias(alias) => follow(&alias.input, column),
        LogicalPlan::Aggregate(aggregate) => ((column < aggregate.group_expr.len()).then_some(column), false),
        _ => (None, false),
    }
}

/// The aggregates that a column is made of.
fn made_of(plan: &LogicalPlan, column: usize) -> Vec<String> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let below = projection.expr.get(column).map(Expr::column_refs).unwrap_or_default();
            let below = below.into_iter().filter_map(|below| projection.input.schema().index_of_column(below).ok());
            below.flat_map(|index| made_of(&projection.input, index)).collect()
        }
        LogicalPlan::Filter(filter) => made_of(&filter.input, column),
        LogicalPlan::SubqueryAlias(alias) => made_of(&alias.input, column),
        LogicalPlan::Aggregate(aggregate) => {
            let call = column.checked_sub(aggregate.group_expr.len()).and_then(|call| aggregate.aggr_expr.get(call));
            match call.cloned().map(Expr::unalias) {
                Some(Expr::AggregateFunction(call)) => vec![call.func.name().to_owned()],
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn is_filtered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(_) => true,
        LogicalPlan::Projection(projection) => is_filtered(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_filtered(&alias.input),
        _ => false,
    }
}
