//! Makes a query of window calls that runs as a batch, with the meaning that it has as a view.
//!
//! ```text
//!   GROUP BY tumble(t, …), k     aggregate ─ rows with a time
//!   GROUP BY hop(t, …), k        aggregate ─ the n-th window that t lies in ─ every row with every n
//!   GROUP BY session(t, …), k    aggregate ─ greatest start so far ─ t where it begins a session ─ the time before t,
//!                                            by k and slice                                          by k and slice
//! ```
//!
//! Works on the plan as SQL was read, before any optimizer, at any depth. Columns keep their names, so what stands above
//! does not notice. It also settles what SQL leaves open: of events with the same time, the one that came first in the
//! stream is the first.

use std::sync::Arc;

use datafusion::{
    common::{
        Column, DataFusionError,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    functions_aggregate::min_max::max_udaf,
    functions_window::lead_lag::lag,
    logical_expr::{
        Aggregate, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFrame, WindowFunctionDefinition,
        expr::{AggregateFunction, Sort, WindowFunction},
    },
    prelude::{SessionContext, cast, col, lit},
};
use lakehead_planning::{Walk, WalkPlan};
use lakehead_window::{Hop, Session, Windows};

use crate::{error::Error, functions, times, wording::parsed};

/// Columns that are made on the way and that no query can name.
const WINDOW: &str = "__window";
const NTH: &str = "__nth";
const TIME: &str = "__time";
const SLICE: &str = "__cell";
const BEFORE: &str = "__before";
const FIRST: &str = "__first";

/// A stream's column that orders events of the same time.
const OFFSET: &str = "event_offset";

/// Aggregates whose answer depends on the order of events.
pub(crate) const ORDER_SENSITIVE: [&str; 5] = ["first_value", "last_value", "nth_value", "array_agg", "string_agg"];

/// The plan of a batch query that means what `plan`, as SQL was read, means as a view.
///
/// # Errors
/// [`Error::Sql`] when a window call is wrong or stands where it cannot.
pub(crate) fn executable(plan: LogicalPlan) -> Result<LogicalPlan, Error> {
    let plan = each_aggregate(times::in_microseconds(plan)?, |aggregate| windowed(tied(aggregate)?))?;
    refuse_windows_elsewhere(&plan)?;
    Ok(plan)
}

/// `plan` with all ties broken: aggregates that depend on order take the stream's order where theirs leaves it open.
///
/// # Errors
/// [`Error::Sql`] when the call of an aggregate is wrong.
pub(crate) fn break_ties(plan: LogicalPlan) -> Result<LogicalPlan, Error> {
    each_aggregate(plan, |aggregate| Ok(LogicalPlan::Aggregate(tied(aggregate)?)))
}

/// The tables that `sql` names, each once.
///
/// # Errors
/// [`Error::Sql`] when it cannot be read.
pub(crate) fn tables_of(sql: &str, context: &SessionContext) -> Result<Vec<String>, Error> {
    let state = context.state();
    let statement = parsed(&state, sql)?;
    let mut tables: Vec<String> =
        state.resolve_table_references(&statement)?.into_iter().map(|table| table.table().to_owned()).collect();
    tables.sort();
    tables.dedup();
    Ok(tables)
}

/// Changes every aggregate of a plan, the lowest first, also those in subqueries.
fn each_aggregate(
    plan: LogicalPlan,
    change: impl Fn(Aggregate) -> Result<LogicalPlan, Error>,
) -> Result<LogicalPlan, Error> {
    let mut refused = None;
    let changed = plan.up_with_subqueries(&mut |node| match node {
        LogicalPlan::Aggregate(aggregate) => match change(aggregate) {
            Ok(plan) => Ok(Transformed::yes(plan)),
            Err(error) => {
                refused = Some(error);
                Err(DataFusionError::Plan("refused".into()))
            }
        },
        other => Ok(Transformed::no(other)),
    });
    match refused {
        Some(error) => Err(error),
        None => Ok(changed?.data),
    }
}

/// The aggregate with `event_offset` behind each ORDER BY that its answer depends on. Rows that have no such column, as
/// those of a view, are told apart by all that they have: what is still equal then is the same row.
fn tied(mut aggregate: Aggregate) -> Result<Aggregate, Error> {
    let input = Arc::clone(&aggregate.input);
    let offsets = input.schema().iter().filter(|(_, field)| field.name() == OFFSET);
    let mut offsets: Vec<Column> = offsets.map(Column::from).collect();
    if offsets.is_empty() {
        let plain = input.schema().iter().filter(|(_, field)| !field.data_type().is_nested());
        offsets = plain.map(Column::from).collect();
    }
    let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let mut changed = false;
    for (index, expression) in aggregate.aggr_expr.iter_mut().enumerate() {
        let Some(call) = aggregate_call(expression) else { continue };
        functions::check_top_k(call)?;
        // With DISTINCT, SQL allows no order but that of the values themselves, which leaves nothing open.
        let open =
            ORDER_SENSITIVE.contains(&call.func.name()) && !call.params.distinct && !call.params.order_by.is_empty();
        let named = |column: &Column| call.params.order_by.iter().any(|sort| sort.expr == Expr::Column(column.clone()));
        let missing: Vec<Column> = offsets.iter().filter(|column| open && !named(column)).cloned().collect();
        if missing.is_empty() {
            continue;
        }
        // Ascending, whichever way the order itself goes: of equals, the first of the stream is the first.
        call.params.order_by.extend(missing.into_iter().map(|column| Sort::new(Expr::Column(column), true, false)));
        // The order is part of the call's name; whoever stands above knows the old one.
        let (table, field) = aggregate.schema.qualified_field(groups + index);
        *expression = expression.clone().unalias().alias_qualified(table.cloned(), field.name());
        changed = true;
    }
    if !changed {
        return Ok(aggregate);
    }
    Ok(Aggregate::try_new(aggregate.input, aggregate.group_expr, aggregate.aggr_expr)?)
}

/// The call that an aggregate's expression is, through aliases.
fn aggregate_call(expression: &mut Expr) -> Option<&mut AggregateFunction> {
    match expression {
        Expr::Alias(alias) => aggregate_call(&mut alias.expr),
        Expr::AggregateFunction(call) => Some(call),
        _ => None,
    }
}

/// The aggregate over rows that have a window, with the window's start as a column.
fn windowed(aggregate: Aggregate) -> Result<LogicalPlan, Error> {
    let mut found = None;
    for (index, group) in aggregate.group_expr.iter().enumerate() {
        if let Some(call) = functions::window_call(group)?
            && found.replace((index, call)).is_some()
        {
            return Err(Error::Sql(
                "two windows in one GROUP BY; keep one of them and make the other of its start, as in \
                 date_trunc('hour', …), or write a query for each"
                    .into(),
            ));
        }
    }
    let Some((index, call)) = found else { return Ok(LogicalPlan::Aggregate(aggregate)) };
    let Aggregate { input, mut group_expr, aggr_expr, schema, .. } = aggregate;
    let timed = LogicalPlanBuilder::from(Arc::unwrap_or_clone(input)).filter(call.time.clone().is_not_null())?;
    let input = match call.windows {
        Windows::Tumble(_) | Windows::Calendar(_) => {
            return Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(timed.build()?), group_expr, aggr_expr)?));
        }
        Windows::Hop(hop) => hops(timed, hop, call.time)?,
        Windows::Session(session) => {
            let others = group_expr.iter().enumerate().filter(|(other, _)| *other != index);
            let keys = others.map(|(_, key)| key.clone().unalias_nested().data).collect();
            sessions(timed, session, call.time, keys)?
        }
    };
    if let Some(group) = group_expr.get_mut(index) {
        let (table, field) = schema.qualified_field(index);
        *group = col(WINDOW).alias_qualified(table.cloned(), field.name());
    }
    Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), group_expr, aggr_expr)?))
}

/// Each row once for each window that its time lies in.
///
/// A join with the numbers of the windows, not a list of starts to unnest: that would hold all windows of a whole batch
/// at once, and there may be 10,000 for each row.
fn hops(timed: LogicalPlanBuilder, hop: Hop, time: Expr) -> Result<LogicalPlan, Error> {
    let mut columns = columns_of(timed.plan());
    columns.push(functions::hop_start(hop, time, col(NTH)).alias(WINDOW));
    let numbers = LogicalPlanBuilder::values((0..functions::hop_most(hop)).map(|nth| vec![lit(nth)]).collect())?;
    let numbers = numbers.project([col("column1").alias(NTH)])?;
    let started = numbers.cross_join(timed.build()?)?.project(columns)?;
    // Where the slide goes into the size, a time lies in as many windows as there are numbers.
    if hop.size().as_micros().is_multiple_of(hop.slide().as_micros()) {
        return Ok(started.build()?);
    }
    Ok(started.filter(col(WINDOW).is_not_null())?.build()?)
}

/// Each row with the time of the first event of its session.
fn sessions(
    timed: LogicalPlanBuilder,
    session: Session,
    time: Expr,
    mut keys: Vec<Expr>,
) -> Result<LogicalPlan, Error> {
    let given = columns_of(timed.plan());
    keys.push(col(SLICE));
    let in_order = || vec![col(TIME).sort(true, false)];

    let time = cast(time, functions::time_type());
    let mut columns = given.clone();
    columns.extend([time.clone().alias(TIME), functions::session_slice(session, time).alias(SLICE)]);
    let before = lag(col(TIME), Some(1), None).partition_by(keys.clone()).order_by(in_order()).build()?.alias(BEFORE);

    let mut begun = given;
    let first = functions::session_first(session, col(BEFORE), col(TIME)).alias(FIRST);
    begun.extend([col(TIME), col(SLICE), first]);
    // By range: this takes in all rows of the same time, so it does not matter in which order these come.
    let by_range = WindowFrame::new(Some(false));
    let start = WindowFunction::new(WindowFunctionDefinition::AggregateUDF(max_udaf()), vec![col(FIRST)]);
    let start = Expr::WindowFunction(Box::new(start)).partition_by(keys).order_by(in_order());
    let start = start.window_frame(by_range).build()?.alias(WINDOW);

    Ok(timed.project(columns)?.window([before])?.project(begun)?.window([start])?.build()?)
}

/// Every column of a plan's rows.
fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().iter().map(|field| Expr::Column(Column::from(field))).collect()
}

/// `hop` and `session` have been replaced wherever they can stand.
fn refuse_windows_elsewhere(plan: &LogicalPlan) -> Result<(), Error> {
    let mut found = None;
    plan.each_with_subqueries(&mut |node| {
        node.each_expression(&mut |expression| {
            expression.each(&mut |part| match part {
                Expr::ScalarFunction(call) if [functions::HOP, functions::SESSION].contains(&call.func.name()) => {
                    found = Some(call.func.name().to_owned());
                    Ok(TreeNodeRecursion::Stop)
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    match found {
        Some(name) => Err(Error::Sql(format!("{name}(…) {}", functions::NOWHERE_ELSE))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_a_query_are_those_it_reads() {
        let context = SessionContext::new_with_config(functions::config());
        let tables = |sql: &str| tables_of(sql, &context).map_err(|error| error.to_string());
        let sql =
            "WITH x AS (SELECT * FROM edits) SELECT * FROM x JOIN \"Other\" o ON true WHERE n IN (SELECT n FROM edits)
                   UNION ALL SELECT * FROM (SELECT * FROM lakehead.public.third) t";
        assert_eq!(tables(sql), Ok(vec!["Other".to_owned(), "edits".into(), "third".into()]));
        assert_eq!(tables("SELECT 1"), Ok(vec![]));
        assert!(tables("SELEC 1").is_err_and(|error| error.contains("SELEC")));
    }
}
