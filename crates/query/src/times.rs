//! Times as every table of Lakehead has them: microseconds, wherever SQL leaves the unit open.
//!
//! DataFusion takes `TIMESTAMP '…'`, a cast to it, and a date or a text beside a time for nanoseconds, which end in the year 2262, so
//! that `event_time < TIMESTAMP '9999-12-31'` would be an error and not true. Here a plan, as SQL was read, is given the
//! microseconds that the columns have. Event times themselves are of the years 1678 to 2261
//! ([`Timestamp::FIRST`](lakehead_model::Timestamp::FIRST)), which nanoseconds hold as well.

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{DFSchema, Result, tree_node::Transformed},
    logical_expr::{
        Between, BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, TryCast, Values,
        expr::InList, expr_rewriter::NamePreserver, utils::merge_schema,
    },
};
use lakehead_planning::{Walk, WalkPlan};

/// `plan` with the times that it makes in microseconds.
pub(crate) fn in_microseconds(plan: LogicalPlan) -> Result<LogicalPlan> {
    // What stands above a column of another type has another schema itself.
    let mut changed = false;
    let plan = plan.up_with_subqueries(&mut |node| {
        let schema = match &node {
            LogicalPlan::TableScan(_) => node.schema().as_ref().clone(),
            _ => merge_schema(&node.inputs()),
        };
        let names = NamePreserver::new(&node);
        let node = node.change_expressions(&mut |expression| {
            let name = names.save(&expression);
            let rewritten = expression.up(&mut |part| Ok(rewritten(part, &schema)))?;
            Ok(if rewritten.transformed {
                rewritten.update_data(|expression| name.restore(expression))
            } else {
                rewritten
            })
        })?;
        changed |= node.transformed;
        match node.data {
            // Rows that stand in the query have the types that they had when they were read.
            LogicalPlan::Values(Values { ref values, .. }) if node.transformed => {
                Ok(Transformed::yes(LogicalPlanBuilder::values(values.clone())?.build()?))
            }
            _ if changed => node.map_data(LogicalPlan::recompute_schema),
            _ => Ok(node),
        }
    })?;
    Ok(plan.data)
}

fn rewritten(part: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match part {
        Expr::Cast(Cast { expr, field }) => match micros_of(field.data_type()) {
            Some(micros) => Transformed::yes(Expr::Cast(Cast::new(expr, micros))),
            None => Transformed::no(Expr::Cast(Cast { expr, field })),
        },
        Expr::TryCast(TryCast { expr, field }) => match micros_of(field.data_type()) {
            Some(micros) => Transformed::yes(Expr::TryCast(TryCast::new(expr, micros))),
            None => Transformed::no(Expr::TryCast(TryCast { expr, field })),
        },
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => match common(&[&left, &right], schema) {
            Some(time) => {
                let as_time = |side: Box<Expr>| Box::new(as_time(*side, &time, schema));
                Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(as_time(left), op, as_time(right))))
            }
            None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        },
        Expr::Between(Between { expr, negated, low, high }) => match common(&[&expr, &low, &high], schema) {
            Some(time) => {
                let as_time = |side: Box<Expr>| Box::new(as_time(*side, &time, schema));
                Transformed::yes(Expr::Between(Between::new(as_time(expr), negated, as_time(low), as_time(high))))
            }
            None => Transformed::no(Expr::Between(Between { expr, negated, low, high })),
        },
        Expr::InList(InList { expr, list, negated }) => {
            let all: Vec<&Expr> = std::iter::once(expr.as_ref()).chain(&list).collect();
            match common(&all, schema) {
                Some(time) => {
                    let list = list.into_iter().map(|side| as_time(side, &time, schema)).collect();
                    Transformed::yes(Expr::InList(InList::new(Box::new(as_time(*expr, &time, schema)), list, negated)))
                }
                None => Transformed::no(Expr::InList(InList { expr, list, negated })),
            }
        }
        other => Transformed::no(other),
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// The same type of time in microseconds, where it is in nanoseconds.
fn micros_of(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        _ => None,
    }
}

/// As what dates and texts are compared with a time: the type in which both are held, if there is one of these and a time.
fn common(sides: &[&Expr], schema: &DFSchema) -> Option<DataType> {
    let types: Vec<DataType> = sides.iter().map(|side| side.get_type(schema)).collect::<Result<_>>().ok()?;
    if !types.iter().any(becomes_time) {
        return None;
    }
    types.iter().find_map(|of| match of {
        DataType::Timestamp(_, zone) => Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone())),
        _ => None,
    })
}

fn as_time(side: Expr, time: &DataType, schema: &DFSchema) -> Expr {
    match side.get_type(schema) {
        Ok(of) if becomes_time(&of) => Expr::Cast(Cast::new(Box::new(side), time.clone())),
        _ => side,
    }
}

/// What is made a time where it stands beside one.
fn becomes_time(of: &DataType) -> bool {
    matches!(of, DataType::Date32 | DataType::Date64 | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
