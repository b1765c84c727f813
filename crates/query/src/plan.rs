//! Compiles a view's SQL into the pieces that keep it up to date.
//!
//! ```text
//!   SELECT … HAVING …          finish:  final aggregation, then what stands above it
//!     GROUP BY tumble(…), …    reduce:  partial rows → fewer partial rows
//!       WHERE …                partial: events → partial rows, by window and group
//!         FROM stream
//! ```
//!
//! DataFusion plans the whole query once; the plan is cut at its one aggregation, which becomes `Partial` below the
//! cut and `PartialReduce` and `Final` above it. Partial rows are the view's state. Every partial row also counts the
//! events in it (the hidden column `__events`), so that late and left-out events are counted exactly.
//! What cannot be merged this way is refused here, with the nearest thing that can be done.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use datafusion::{
    arrow::datatypes::{DataType, Schema, SchemaRef},
    catalog::MemTable,
    common::tree_node::{TreeNode, TreeNodeRecursion},
    execution::SessionStateBuilder,
    functions_aggregate::count::count_udaf,
    logical_expr::{Expr, LogicalPlan, Volatility},
    physical_expr::{PhysicalExpr, aggregate::AggregateExprBuilder, expressions},
    physical_plan::{
        ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions,
        aggregates::{AggregateExec, AggregateMode},
        projection::ProjectionExec,
    },
    prelude::{SessionConfig, SessionContext},
};
use futures::future::BoxFuture;
use lakehead_model::{Name, StreamSchema, TimeRange, Timestamp};
use lakehead_window::{ResultPeriod, Tumble};

use crate::{Error, functions, run, run::Piece};

/// The hidden count of events in a partial row.
const EVENTS: &str = "__events";

/// Aggregates whose answer depends on the order of events.
const ORDER_SENSITIVE: [&str; 5] = ["first_value", "last_value", "nth_value", "array_agg", "string_agg"];

/// The time that a view's windows are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeColumn {
    /// When it happened: needs a watermark with a delay.
    EventTime,
    /// When Lakehead first saw it: never late.
    ReceivedTime,
}

/// A view's SQL, compiled.
#[derive(Clone, Debug)]
pub struct ViewPlan {
    sql: String,
    stream: Name,
    time: TimeColumn,
    window: Tumble,
    period: ResultPeriod,
    wanted: Vec<String>,
    window_index: usize,
    output: SchemaRef,
    pub(crate) partial: Piece,
    pub(crate) reduce: Piece,
    pub(crate) finish: Piece,
}

/// Compiles `sql` against streams of these schemas, without any data.
///
/// # Errors
/// [`Error::Sql`] and [`Error::NotIncremental`], in words for the person who wrote the SQL.
pub fn check_view<'a>(
    sql: &'a str,
    streams: &'a BTreeMap<Name, StreamSchema>,
) -> BoxFuture<'a, Result<ViewPlan, Error>> {
    Box::pin(compile(sql, streams))
}

async fn compile(sql: &str, streams: &BTreeMap<Name, StreamSchema>) -> Result<ViewPlan, Error> {
    let context = planning_context(streams)?;
    let logical = context.state().create_logical_plan(sql).await?;
    let window = find_window(&logical)?;
    let optimized = context.state().optimize(&logical)?;
    let physical = context.state().query_planner().create_physical_plan(&optimized, &context.state()).await?;
    let output = Arc::new(Schema::new(physical.schema().fields().clone()));
    if let Some(twice) = output.fields().iter().enumerate().find_map(|(i, field)| {
        output.fields().iter().take(i).any(|other| other.name() == field.name()).then(|| field.name().clone())
    }) {
        return Err(Error::Sql(format!("two columns are named {twice:?}; name one of them with AS")));
    }
    if let Some(unnamed) = output.fields().iter().find(|field| field.name().contains('(')) {
        return Err(Error::Sql(format!("the column {} has no name of its own; name it with AS", unnamed.name())));
    }
    cut(sql, physical, output, &window, &context)
}

struct Window {
    stream: Name,
    expression: String,
    time: TimeColumn,
    size: Duration,
}

fn planning_context(streams: &BTreeMap<Name, StreamSchema>) -> Result<SessionContext, Error> {
    let mut config = SessionConfig::new().with_target_partitions(1).with_information_schema(false);
    // Partial rows are kept, so giving up on grouping them because most are distinct would only make them more.
    config.options_mut().execution.skip_partial_aggregation_probe_rows_threshold = usize::MAX;
    let mut builder = SessionStateBuilder::new().with_config(config).with_default_features();
    // A distinct count must stay one aggregation: its partial state can be merged, two nested ones cannot.
    if let Some(rules) = builder.optimizer().as_mut() {
        rules.rules.retain(|rule| rule.name() != "single_distinct_aggregation_to_group_by");
    } else {
        let rules = datafusion::optimizer::Optimizer::new().rules;
        let rules = rules.into_iter().filter(|rule| rule.name() != "single_distinct_aggregation_to_group_by").collect();
        builder = builder.with_optimizer_rules(rules);
    }
    let context = SessionContext::new_with_state(builder.build());
    context.register_udf(functions::tumble());
    for (name, schema) in streams {
        let table = MemTable::try_new(lakehead_decode::table_schema(schema), vec![vec![]])?;
        context.register_table(name.as_str(), Arc::new(table))?;
    }
    Ok(context)
}

/// Looks at the query as it was written: one stream, one aggregation, one window, nothing that cannot be merged.
fn find_window(plan: &LogicalPlan) -> Result<Window, Error> {
    let mut stream = None;
    let mut aggregate = None;
    let mut refused = None;
    plan.apply(|node| {
        let verdict = match node {
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => Ok(()),
            LogicalPlan::TableScan(scan) if stream.is_none() => {
                stream = Some(scan.table_name.table().to_owned());
                Ok(())
            }
            LogicalPlan::TableScan(_) | LogicalPlan::Join(_) => {
                Err(("a join", "keep a view for each stream and join them in the query"))
            }
            LogicalPlan::Aggregate(found) if aggregate.is_none() => {
                aggregate = Some(found.clone());
                Ok(())
            }
            LogicalPlan::Aggregate(_) => Err(("an aggregation of an aggregation", "aggregate the view in the query")),
            LogicalPlan::Limit(_) => Err(("LIMIT", "keep all rows and put ORDER BY … LIMIT into the query")),
            LogicalPlan::Sort(_) => Err(("ORDER BY", "rows of a view have no order; put ORDER BY into the query")),
            LogicalPlan::Distinct(_) => Err(("DISTINCT", "use GROUP BY, which does the same")),
            LogicalPlan::Union(_) => Err(("UNION", "keep a view for each part and unite them in the query")),
            LogicalPlan::Window(_) => Err(("OVER (…)", "put it into the query over the view")),
            _ => Err((
                "this statement",
                "write SELECT … FROM a stream … GROUP BY tumble(event_time, INTERVAL '1 minute')",
            )),
        };
        let verdict = verdict.and_then(|()| node.expressions().iter().try_for_each(mergeable));
        if let Err((what, instead)) = verdict {
            refused = Some(Error::NotIncremental { what: what.to_owned(), instead: instead.to_owned() });
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if let Some(refused) = refused {
        return Err(refused);
    }
    let needs_window = || Error::NotIncremental {
        what: "a query without a window".into(),
        instead: "add GROUP BY tumble(event_time, INTERVAL '1 minute') or another size".into(),
    };
    let (Some(stream), Some(aggregate)) = (stream, aggregate) else { return Err(needs_window()) };
    let stream = Name::new(&stream).map_err(|e| Error::Sql(e.to_string()))?;
    let mut found = None;
    for expression in &aggregate.group_expr {
        let Expr::ScalarFunction(call) = expression.clone().unalias() else { continue };
        if call.func.name() != functions::TUMBLE {
            continue;
        }
        if found.is_some() {
            return Err(Error::NotIncremental {
                what: "a group by two windows".into(),
                instead: "keep a view for each window".into(),
            });
        }
        let [Expr::Column(column), Expr::Literal(size, _)] = call.args.as_slice() else {
            return Err(Error::Sql(
                "tumble(time, size) in a view takes event_time or received_time and a constant, as in \
                 tumble(event_time, INTERVAL '1 minute')"
                    .into(),
            ));
        };
        let time = match column.name.as_str() {
            "event_time" => TimeColumn::EventTime,
            "received_time" => TimeColumn::ReceivedTime,
            other => {
                return Err(Error::Sql(format!(
                    "windows of a view are over event_time or received_time, not {other:?}; make it the stream's \
                     event time, or group by date_bin in the query"
                )));
            }
        };
        let size = functions::interval(size).ok_or_else(|| {
            Error::Sql(format!("{size} is no length for a window: use days, hours, minutes or seconds above zero"))
        })?;
        found = Some(Window { stream: stream.clone(), expression: expression.schema_name().to_string(), time, size });
    }
    found.ok_or_else(needs_window)
}

fn mergeable(expression: &Expr) -> Result<(), (&'static str, &'static str)> {
    let mut verdict = Ok(());
    let walked = expression.apply(|part| {
        verdict = match part {
            Expr::ScalarFunction(call) if call.func.signature().volatility == Volatility::Volatile => {
                Err(("a function that gives another answer each time", "put it into the query over the view"))
            }
            Expr::ScalarFunction(call) if call.func.signature().volatility == Volatility::Stable => {
                Err(("the time of the query (now and its kin)", "use event_time or received_time"))
            }
            Expr::AggregateFunction(call) if ORDER_SENSITIVE.contains(&call.func.name()) => {
                Err(("an aggregate that depends on the order of events", "use min, max or count(DISTINCT …)"))
            }
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) => {
                Err(("a subquery", "put it into the query over the view"))
            }
            Expr::WindowFunction(_) => Err(("OVER (…)", "put it into the query over the view")),
            Expr::GroupingSet(_) => Err(("GROUPING SETS, ROLLUP or CUBE", "keep a view for each grouping")),
            _ => Ok(()),
        };
        Ok(if verdict.is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    walked.map_err(|_| ("this expression", "write it more simply")).and(verdict)
}

/// Cuts the physical plan at its aggregation.
fn cut(
    sql: &str,
    root: Arc<dyn ExecutionPlan>,
    output: SchemaRef,
    window: &Window,
    context: &SessionContext,
) -> Result<ViewPlan, Error> {
    let task = context.task_ctx();
    let strange = |what: &str| Error::Engine(format!("the plan of this view has {what}; please report its SQL"));
    let mut above = Vec::new();
    let mut node = root;
    let aggregate = loop {
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
            match aggregate.mode() {
                AggregateMode::Single | AggregateMode::SinglePartitioned | AggregateMode::Partial => {
                    break aggregate.clone();
                }
                // The final half of a pair: its input is the partial half, which has all that is needed.
                _ => node = Arc::clone(aggregate.input()),
            }
            continue;
        }
        let [child] = node.children()[..] else { return Err(strange("no aggregation in one line")) };
        let child = Arc::clone(child);
        above.push(std::mem::replace(&mut node, child));
    };

    let input = Arc::clone(aggregate.input());
    let input_schema = aggregate.input_schema();
    let window_index = aggregate
        .group_expr()
        .expr()
        .iter()
        .position(|(_, name)| *name == window.expression || name.starts_with("tumble("))
        .ok_or_else(|| strange("no window among its groups"))?;

    let one: Arc<dyn PhysicalExpr> = expressions::lit(1_i64);
    let events =
        AggregateExprBuilder::new(count_udaf(), vec![one]).schema(Arc::clone(&input_schema)).alias(EVENTS).build()?;
    let mut functions = aggregate.aggr_expr().to_vec();
    let mut filters = aggregate.filter_expr().to_vec();
    functions.push(Arc::new(events));
    filters.push(None);

    let groups = aggregate.group_expr().clone();
    let merged = groups.as_final();
    let unfiltered = vec![None; functions.len()];
    let partial = AggregateExec::try_new(
        AggregateMode::Partial,
        groups,
        functions.clone(),
        filters,
        Arc::clone(&input),
        Arc::clone(&input_schema),
    )?;
    let rows = partial.schema();
    let reduce = AggregateExec::try_new(
        AggregateMode::PartialReduce,
        merged.clone(),
        functions.clone(),
        unfiltered.clone(),
        run::leaf(Arc::clone(&rows))?,
        Arc::clone(&input_schema),
    )?;
    let last: Arc<dyn ExecutionPlan> = Arc::new(AggregateExec::try_new(
        AggregateMode::Final,
        merged,
        functions,
        unfiltered,
        run::leaf(Arc::clone(&rows))?,
        input_schema,
    )?);
    // What stands above the aggregation must not see the hidden count.
    let shown = last.schema().fields().len() - 1;
    let visible = (0..shown).map(|i| {
        let name = last.schema().field(i).name().clone();
        (Arc::new(expressions::Column::new(&name, i)) as Arc<dyn PhysicalExpr>, name)
    });
    let mut finish: Arc<dyn ExecutionPlan> =
        Arc::new(ProjectionExec::try_new(visible.collect::<Vec<_>>(), Arc::clone(&last))?);
    for node in above.into_iter().rev() {
        finish = node.replace_children(vec![finish], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))?;
    }

    let mut bottom = Arc::clone(&input);
    while let Some(child) = bottom.children().first().map(|child| Arc::clone(child)) {
        bottom = child;
    }
    let leaf = bottom.schema();
    let wanted = leaf.fields().iter().map(|field| field.name().clone()).collect();
    Ok(ViewPlan {
        sql: sql.to_owned(),
        stream: window.stream.clone(),
        time: window.time,
        window: tumble(window.size)?,
        period: ResultPeriod::for_window(window.size).map_err(|e| Error::Sql(e.to_string()))?,
        wanted,
        window_index,
        output,
        partial: Piece::new(Arc::new(partial), leaf, Arc::clone(&task)),
        reduce: Piece::new(Arc::new(reduce), Arc::clone(&rows), Arc::clone(&task)),
        finish: Piece::new(finish, rows, task),
    })
}

fn tumble(size: Duration) -> Result<Tumble, Error> {
    Tumble::new(size).map_err(|e| Error::Sql(e.to_string()))
}

impl ViewPlan {
    /// The SQL as the user wrote it.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The stream that it reads.
    #[must_use]
    pub fn stream(&self) -> &Name {
        &self.stream
    }

    /// Which time its windows are over.
    #[must_use]
    pub fn time(&self) -> TimeColumn {
        self.time
    }

    /// The columns of the stream that it reads: all that has to be decoded for it.
    #[must_use]
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// The columns of its rows.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    pub(crate) fn state_schema(&self) -> SchemaRef {
        self.partial.schema()
    }

    /// The column of a partial row that holds the window's start.
    pub(crate) fn window_column(&self) -> usize {
        self.window_index
    }

    /// The column of a partial row that holds the number of events in it: the last.
    pub(crate) fn events_column(&self) -> usize {
        self.state_schema().fields().len() - 1
    }

    /// The window that starts at `start`.
    pub(crate) fn window_at(&self, start: Timestamp) -> TimeRange {
        self.window.window(start)
    }

    /// The result period that holds the window that starts at `start`.
    pub(crate) fn period_at(&self, start: Timestamp) -> TimeRange {
        self.period.range(start)
    }

    /// A text that changes whenever the state of this plan could not be read by another.
    pub(crate) fn fingerprint(&self) -> String {
        let fields = |schema: &SchemaRef| {
            let each = |field: &Arc<datafusion::arrow::datatypes::Field>| match field.data_type() {
                DataType::Timestamp(unit, zone) => format!("{}:{unit:?}/{zone:?}", field.name()),
                other => format!("{}:{other}", field.name()),
            };
            schema.fields().iter().map(each).collect::<Vec<_>>().join(",")
        };
        format!("{} -> {}", fields(&self.state_schema()), fields(&self.output))
    }
}
