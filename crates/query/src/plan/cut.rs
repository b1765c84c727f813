//! Cuts a physical plan into the pieces that keep a view up to date.
//!
//! ```text
//!   SELECT … HAVING …          finish:  final aggregation, then what stands above it
//!     GROUP BY tumble(…), …    reduce:  partial rows → fewer partial rows
//!       WHERE …                partial: events → partial rows, by slice and group
//!         FROM stream
//! ```
//!
//! DataFusion plans the whole query once; the plan is cut at its one aggregation, which becomes `Partial` below the
//! cut and `PartialReduce` and `Final` above it. Partial rows are the view's state. The window among the groups is
//! replaced by its *slice* before: the window itself when it tumbles, the pane of a hopping window, the event's time of a
//! session. Every partial row also has hidden columns: the number of events in it, so that late and left-out events are
//! counted exactly, and for sessions the time of the last of them.

use std::sync::Arc;

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::{
    arrow::datatypes::SchemaRef,
    common::tree_node::Transformed,
    execution::TaskContext,
    functions_aggregate::{count::count_udaf, min_max::max_udaf},
    logical_expr::{Aggregate, Expr, LogicalPlan, expr::ScalarFunction, lit},
    physical_expr::{
        PhysicalExpr,
        aggregate::{AggregateExprBuilder, AggregateFunctionExpr},
        expressions,
    },
    physical_plan::{
        ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions,
        aggregates::{AggregateExec, AggregateMode},
        filter::FilterExec,
        projection::ProjectionExec,
    },
    scalar::ScalarValue,
};
use lakehead_planning::Walk;
use lakehead_window::Windows;

use super::{
    condition::Condition,
    lineage,
    piece::{self, Piece},
    view_plan::{Projection, Windowed},
};
use crate::{error::Error, functions};

/// The hidden count of events in a partial row.
const EVENTS: &str = "__events";

/// The hidden time of the last event of a session.
const LAST: &str = "__last";

/// Replaces the window among the groups of the aggregation by its slice, under the same name.
pub(super) fn by_slice(plan: LogicalPlan, group: usize, windows: &Windows) -> Result<LogicalPlan, Error> {
    let replaced = plan.down(&mut |node| {
        let LogicalPlan::Aggregate(aggregate) = node else { return Ok(Transformed::no(node)) };
        let mut groups = lineage::groups(&aggregate);
        if let Some(expression) = groups.get_mut(group) {
            let name = expression.schema_name().to_string();
            *expression = slice(expression.clone(), windows).alias(name);
        }
        let aggregate = Aggregate::try_new(aggregate.input, groups, aggregate.aggr_expr)?;
        Ok(Transformed::new(
            LogicalPlan::Aggregate(aggregate),
            true,
            datafusion::common::tree_node::TreeNodeRecursion::Jump,
        ))
    })?;
    Ok(replaced.data)
}

fn slice(window: Expr, windows: &Windows) -> Expr {
    let Expr::ScalarFunction(call) = window.clone().unalias() else { return window };
    let Some(time) = call.args.first().cloned() else { return window };
    match windows {
        Windows::Tumble(_) | Windows::Calendar(_) => Expr::ScalarFunction(call),
        Windows::Session(_) => time,
        Windows::Hop(hop) => {
            let nanoseconds = i64::try_from(hop.pane().size().as_nanos()).unwrap_or(i64::MAX);
            let size = IntervalMonthDayNano { months: 0, days: 0, nanoseconds };
            let size = lit(ScalarValue::IntervalMonthDayNano(Some(size)));
            Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(functions::tumble()), vec![time, size]))
        }
    }
}

/// A piece without an aggregation: every event by itself.
pub(super) fn rows(
    root: Arc<dyn ExecutionPlan>,
    careful: Option<Arc<dyn ExecutionPlan>>,
    task: Arc<TaskContext>,
) -> Projection {
    let piece = |root: Arc<dyn ExecutionPlan>| {
        let leaf = bottom(&root).schema();
        Piece::new(root, leaf, Arc::clone(&task))
    };
    Projection { careful: careful.map(piece), piece: piece(root) }
}

/// The leaf of a chain of operators.
pub(super) fn bottom(root: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let mut bottom = Arc::clone(root);
    while let Some(child) = bottom.children().first().map(|child| Arc::clone(child)) {
        bottom = child;
    }
    bottom
}

/// Takes the condition that stands directly above the leaf out of a chain of operators.
fn without_condition(chain: Arc<dyn ExecutionPlan>) -> Result<(Option<Condition>, Arc<dyn ExecutionPlan>), Error> {
    let Some(child) = chain.children().first().map(|child| Arc::clone(child)) else { return Ok((None, chain)) };
    let is_above_leaf = child.children().is_empty();
    match chain.downcast_ref::<FilterExec>() {
        Some(filter) if is_above_leaf && filter.fetch().is_none() => {
            let condition = Condition::new(filter.predicate())?;
            let schema = child.schema();
            let Some(projection) = filter.projection() else { return Ok((Some(condition), child)) };
            let shown = projection.iter().map(|place| {
                let name = schema.field(*place).name().clone();
                (Arc::new(expressions::Column::new(&name, *place)) as Arc<dyn PhysicalExpr>, name)
            });
            let shown = ProjectionExec::try_new(shown.collect::<Vec<_>>(), child)?;
            Ok((Some(condition), Arc::new(shown)))
        }
        _ => {
            let (condition, child) = without_condition(child)?;
            if condition.is_none() {
                return Ok((None, chain));
            }
            let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok((condition, chain.replace_children(vec![child], keep)?))
        }
    }
}

/// The aggregate that merges the partial rows of `function`. Where two aggregates want opposite orders, DataFusion turns one
/// around to read its events; the lists of that one are in the order that was asked for all the same, and have to be merged in
/// it. The states of other aggregates are in the order in which they were read.
fn merging(function: Arc<AggregateFunctionExpr>) -> Arc<AggregateFunctionExpr> {
    let is_turned = function.is_reversed() && ["array_agg", "string_agg"].contains(&function.fun().name());
    function.reverse_expr().filter(|_| is_turned).map_or(function, Arc::new)
}

/// Cuts the physical plan at its aggregation. `window` is the name of the window among the groups.
pub(super) fn windowed(
    root: Arc<dyn ExecutionPlan>,
    windows: Windows,
    window: &str,
    task: Arc<TaskContext>,
) -> Result<Windowed, Error> {
    cut(root, windows, window, task, true)
}

/// What makes partial rows of all events, with the condition in it.
pub(super) fn whole(
    root: Arc<dyn ExecutionPlan>,
    windows: Windows,
    window: &str,
    task: Arc<TaskContext>,
) -> Result<Piece, Error> {
    Ok(cut(root, windows, window, task, false)?.partial)
}

fn cut(
    root: Arc<dyn ExecutionPlan>,
    windows: Windows,
    window: &str,
    task: Arc<TaskContext>,
    takes_condition: bool,
) -> Result<Windowed, Error> {
    let (aggregate, above) = aggregation(root)?;
    let groups = aggregate.group_expr();
    let (slice, (time, _)) = groups
        .expr()
        .iter()
        .enumerate()
        .find(|(_, (_, name))| name == window)
        .ok_or_else(|| strange("no window among its groups"))?;
    let is_session = matches!(windows, Windows::Session(_));

    let input = Arc::clone(aggregate.input());
    let leaf: SchemaRef = bottom(&input).schema();
    let (condition, input) = if takes_condition { without_condition(input)? } else { (None, input) };
    let (partial, functions) = partial(&aggregate, is_session.then_some(time), input)?;
    let rows = partial.schema();
    let functions: Vec<_> = functions.into_iter().map(merging).collect();
    let above_rows = |mode| -> Result<AggregateExec, Error> {
        Ok(AggregateExec::try_new(
            mode,
            groups.as_final(),
            functions.clone(),
            vec![None; functions.len()],
            piece::leaf(Arc::clone(&rows))?,
            aggregate.input_schema(),
        )?)
    };
    let reduce = above_rows(AggregateMode::PartialReduce)?;
    let last: Arc<dyn ExecutionPlan> = Arc::new(above_rows(AggregateMode::Final)?);
    let finish = finish(last, 1 + usize::from(is_session), above)?;

    let events = rows.fields().len() - 1;
    Ok(Windowed {
        period: windows.period(),
        windows,
        slice,
        last: is_session.then(|| events - 1),
        events,
        keys: (0..groups.expr().len()).collect(),
        condition,
        partial: Piece::new(Arc::new(partial), leaf, Arc::clone(&task)),
        careful: None,
        reduce: Piece::new(Arc::new(reduce), Arc::clone(&rows), Arc::clone(&task)),
        finish: Piece::new(finish, rows, task),
    })
}

fn strange(what: &str) -> Error {
    Error::Engine(format!("the plan of this view has {what}; please report its SQL"))
}

/// The one aggregation of a chain of operators, and what stands above it, the topmost first.
fn aggregation(root: Arc<dyn ExecutionPlan>) -> Result<(AggregateExec, Vec<Arc<dyn ExecutionPlan>>), Error> {
    let mut above = Vec::new();
    let mut node = root;
    loop {
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
            match aggregate.mode() {
                AggregateMode::Single | AggregateMode::SinglePartitioned | AggregateMode::Partial => {
                    return Ok((aggregate.clone(), above));
                }
                // The final half of a pair: its input is the partial half, which has all that is needed.
                _ => node = Arc::clone(aggregate.input()),
            }
            continue;
        }
        let [child] = node.children()[..] else { return Err(strange("no aggregation in one line")) };
        let child = Arc::clone(child);
        above.push(std::mem::replace(&mut node, child));
    }
}

/// The aggregation of `input` into partial rows, whose last columns are hidden ones; `session` is the time that a session is
/// over, where there is one. Answers also the aggregates as they were given, since the engine may turn those of the aggregation.
fn partial(
    aggregate: &AggregateExec,
    session: Option<&Arc<dyn PhysicalExpr>>,
    input: Arc<dyn ExecutionPlan>,
) -> Result<(AggregateExec, Vec<Arc<AggregateFunctionExpr>>), Error> {
    let input_schema = aggregate.input_schema();
    let mut functions = aggregate.aggr_expr().to_vec();
    let mut filters = aggregate.filter_expr().to_vec();
    let mut hidden = |builder: AggregateExprBuilder, name: &str| -> Result<(), Error> {
        functions.push(Arc::new(builder.schema(Arc::clone(&input_schema)).alias(name).build()?));
        filters.push(None);
        Ok(())
    };
    if let Some(time) = session {
        hidden(AggregateExprBuilder::new(max_udaf(), vec![Arc::clone(time)]), LAST)?;
    }
    let one: Arc<dyn PhysicalExpr> = expressions::lit(1_i64);
    hidden(AggregateExprBuilder::new(count_udaf(), vec![one]), EVENTS)?;
    let groups = aggregate.group_expr().clone();
    let mode = AggregateMode::Partial;
    let partial = AggregateExec::try_new(mode, groups, functions.clone(), filters, input, input_schema)?;
    Ok((partial, functions))
}

/// The final aggregation `last` and, over its columns but for the last `hidden` ones, what stands above it.
fn finish(
    last: Arc<dyn ExecutionPlan>,
    hidden: usize,
    above: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>, Error> {
    // What stands above the aggregation must not see the hidden columns.
    let shown = last.schema().fields().len() - hidden;
    let visible = (0..shown).map(|i| {
        let name = last.schema().field(i).name().clone();
        (Arc::new(expressions::Column::new(&name, i)) as Arc<dyn PhysicalExpr>, name)
    });
    let mut finish: Arc<dyn ExecutionPlan> =
        Arc::new(ProjectionExec::try_new(visible.collect::<Vec<_>>(), Arc::clone(&last))?);
    for node in above.into_iter().rev() {
        finish = node.replace_children(vec![finish], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))?;
    }
    Ok(finish)
}
