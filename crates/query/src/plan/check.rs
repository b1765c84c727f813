//! Looks at a view's query as it was written: one table, at most one aggregation over one window, and nothing whose
//! answer could not be kept up to date. What cannot be is refused here, with the nearest thing that can be done.

use std::collections::BTreeMap;

use datafusion::{
    common::tree_node::TreeNodeRecursion,
    logical_expr::{Aggregate, Expr, LogicalPlan, Volatility},
};
use lakehead_model::Name;
use lakehead_planning::Walk;
use lakehead_window::Windows;

use super::{
    lineage::{groups, origin},
    view_plan::{TimeColumn, ViewPlan},
};
use crate::{error::Error, functions, rewrite::ORDER_SENSITIVE, wording::plainly};

/// What a query is, as far as its text says.
pub(super) struct Found {
    /// The stream or view that it reads.
    pub(super) table: Name,
    /// Its window and what it is over; without one it is a projection.
    pub(super) window: Option<Window>,
}

/// The window of a query.
pub(super) struct Window {
    pub(super) windows: Windows,
    /// The column of the table that it is over.
    pub(super) over: String,
    /// Its place among the groups.
    pub(super) group: usize,
}

/// A refusal: what stands in the SQL, and the nearest thing that can be done.
type Refusal = Result<(), (&'static str, &'static str)>;

/// Looks at `plan`; `views` are the views that can be read as tables.
pub(super) fn look(plan: &LogicalPlan, views: &BTreeMap<Name, &ViewPlan>) -> Result<Found, Error> {
    let (mut table, mut aggregate, mut refused) = (None, None, None);
    plan.each(&mut |node| {
        let verdict = place(node, &mut table, &mut aggregate);
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
    let Some(table) = table else {
        return Err(Error::NotIncremental {
            what: "a query without a table".into(),
            instead: "read a stream or a view with FROM".into(),
        });
    };
    let table = Name::new(&table).map_err(|e| Error::Sql(e.to_string()))?;
    let window = aggregate.map(|aggregate| find_window(&aggregate, views.get(&table).copied())).transpose()?;
    Ok(Found { table, window })
}

fn place(node: &LogicalPlan, table: &mut Option<String>, aggregate: &mut Option<Aggregate>) -> Refusal {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Unnest(_) => Ok(()),
        LogicalPlan::TableScan(scan) if table.is_none() => {
            *table = Some(scan.table_name.table().to_owned());
            Ok(())
        }
        LogicalPlan::TableScan(_) | LogicalPlan::Join(_) => {
            Err(("a join", "keep a view for each stream and join them in the query"))
        }
        LogicalPlan::Aggregate(found) if aggregate.is_none() => {
            *aggregate = Some(found.clone());
            Ok(())
        }
        LogicalPlan::Aggregate(_) => Err(("an aggregation of an aggregation", "make the inner one a view and read it")),
        LogicalPlan::Limit(_) => Err(("LIMIT", "keep all rows and put ORDER BY … LIMIT into the query")),
        LogicalPlan::Sort(_) => Err(("ORDER BY", "rows of a view have no order; put ORDER BY into the query")),
        LogicalPlan::Distinct(_) => Err(("DISTINCT", "use GROUP BY, which does the same")),
        LogicalPlan::Union(_) => Err(("UNION", "keep a view for each part and unite them in the query")),
        LogicalPlan::Window(_) => Err(("OVER (…)", "put it into the query over the view")),
        _ => Err(("this statement", "write SELECT … FROM a stream … GROUP BY tumble(event_time, INTERVAL '1 minute')")),
    }
}

fn mergeable(expression: &Expr) -> Refusal {
    let mut verdict = Ok(());
    let walked = expression.each(&mut |part| {
        verdict = match part {
            Expr::ScalarFunction(call) if call.func.signature().volatility == Volatility::Volatile => {
                Err(("a function that gives another answer each time", "put it into the query over the view"))
            }
            Expr::ScalarFunction(call) if call.func.signature().volatility == Volatility::Stable => {
                Err(("the time of the query (now and its kin)", "use event_time or received_time"))
            }
            Expr::AggregateFunction(call)
                if ORDER_SENSITIVE.contains(&call.func.name()) && call.params.order_by.is_empty() =>
            {
                Err((
                    "an aggregate that depends on the order of events and does not say it",
                    "write the order inside, as in first_value(title ORDER BY event_time), or use min, max or \
                     count(DISTINCT …)",
                ))
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

fn find_window(aggregate: &Aggregate, view: Option<&ViewPlan>) -> Result<Window, Error> {
    let mut found = None;
    for (group, expression) in groups(aggregate).iter().enumerate() {
        let Some(call) = functions::window_call(expression)? else { continue };
        if found.is_some() {
            return Err(Error::NotIncremental {
                what: "a group by two windows".into(),
                instead: "keep a view for each window".into(),
            });
        }
        found = Some((group, call));
    }
    let Some((group, call)) = found else {
        return Err(Error::NotIncremental {
            what: "a query without a window".into(),
            instead: "add GROUP BY tumble(event_time, INTERVAL '1 minute') or another size".into(),
        });
    };
    let Expr::Column(column) = &call.time else {
        return Err(Error::Sql(format!(
            "the window of a view is over a column as it stands, not over {}; write tumble(event_time, INTERVAL '1 minute')",
            plainly(&call.time.to_string())
        )));
    };
    let over = origin(&aggregate.input, column);
    let allowed: Vec<&str> = match view {
        None => vec![TimeColumn::EventTime.name(), TimeColumn::ReceivedTime.name()],
        Some(view) => view.window_output().into_iter().collect(),
    };
    match over.filter(|over| allowed.contains(&over.as_str())) {
        Some(over) => {
            if view.is_some() && matches!(call.windows, Windows::Session(_)) {
                return Err(Error::NotIncremental {
                    what: "a session over another view".into(),
                    instead: "keep the session over the stream itself".into(),
                });
            }
            Ok(Window { windows: call.windows, over, group })
        }
        None if view.is_none() => Err(Error::Sql(format!(
            "windows of a view are over event_time or received_time, not {:?}; make it the stream's event time, or group \
             by date_bin in the query",
            column.name
        ))),
        None => Err(Error::Sql(format!(
            "windows over another view are over its window's start ({}), not {:?}",
            allowed.first().unwrap_or(&"which it does not show"),
            column.name
        ))),
    }
}
