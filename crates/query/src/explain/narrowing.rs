//! Restricts a view's query to the events behind some of its rows, and carries columns through projections that hide them.

use std::sync::Arc;

use datafusion::{
    arrow::array::RecordBatch,
    common::{Column, DFSchema, ScalarValue, tree_node::Transformed},
    logical_expr::{Expr, LogicalPlan, Operator, Projection, binary_expr, lit},
};
use lakehead_model::{TimeRange, Timestamp};
use lakehead_planning::Walk;
use lakehead_window::Windows;

use super::row::single_rows;
use crate::{error::Error, plan::ViewPlan};

/// A group of an aggregation, by its place, and its value in a row.
pub(super) type Keys = Vec<(usize, ScalarValue)>;

/// That the first `shown` columns of a plan are those of one of these rows.
pub(super) fn alike(schema: &DFSchema, rows: &[RecordBatch], shown: usize) -> Result<Expr, Error> {
    let mut any: Vec<Expr> = Vec::new();
    for row in single_rows(rows) {
        let mut all = lit(true);
        for (index, column) in row.columns().iter().enumerate().take(shown) {
            let (qualifier, field) = schema.qualified_field(index);
            let value = ScalarValue::try_from_array(column, 0)?;
            all = all.and(same(Expr::Column(Column::new(qualifier.cloned(), field.name())), value));
        }
        any.push(all);
    }
    // Halves of halves: a chain of a thousand would be a deep recursion.
    while any.len() > 1 {
        let mut pairs = any.into_iter();
        let mut halves = Vec::new();
        while let Some(one) = pairs.next() {
            halves.push(match pairs.next() {
                Some(other) => one.or(other),
                None => one,
            });
        }
        any = halves;
    }
    Ok(any.pop().unwrap_or_else(|| lit(false)))
}

/// The start of the row's window, if it is shown.
pub(super) fn window_of(plan: &ViewPlan, keys: &Keys) -> Option<Timestamp> {
    let shape = plan.shape();
    let window = shape.window?;
    let place = shape.keys.iter().position(|column| *column == window)?;
    let group = shape.groups.get(place)?;
    keys.iter().find_map(|(of, value)| match value {
        ScalarValue::TimestampMicrosecond(Some(start), _) if of == group => Some(Timestamp(*start)),
        _ => None,
    })
}

/// The time in which the events of the window that starts at `start` lie.
pub(super) fn span(plan: &ViewPlan, start: Timestamp) -> Option<TimeRange> {
    Some(match &plan.windowed()?.windows {
        Windows::Tumble(tumble) => tumble.window(start),
        Windows::Calendar(calendar) => calendar.window(start),
        Windows::Hop(hop) => hop.window(start),
        // A session before it decides whether this is its first event.
        Windows::Session(session) => session.slice(start),
    })
}

pub(super) fn same(expression: Expr, value: ScalarValue) -> Expr {
    binary_expr(expression, Operator::IsNotDistinctFrom, lit(value))
}

pub(super) fn matching(groups: &[Expr], keys: &Keys) -> Expr {
    let same = keys.iter().filter_map(|(group, value)| {
        let group = groups.get(*group)?.clone().unalias();
        Some(same(group, value.clone()))
    });
    same.reduce(Expr::and).unwrap_or_else(|| lit(true))
}

/// `plan` with `columns` of its table passed through every projection that hides them.
pub(super) fn carrying(plan: LogicalPlan, columns: &[&str]) -> Result<LogicalPlan, Error> {
    let named: Vec<(&str, &str)> = columns.iter().map(|column| (*column, *column)).collect();
    carrying_as(plan, &named)
}

/// The same under other names, in the order (new name, column).
pub(super) fn carrying_as(plan: LogicalPlan, columns: &[(&str, &str)]) -> Result<LogicalPlan, Error> {
    let carried = plan.up(&mut |node| {
        let node = node.recompute_schema()?;
        let LogicalPlan::Projection(projection) = &node else { return Ok(Transformed::yes(node)) };
        let mut expressions = projection.expr.clone();
        for (name, column) in columns {
            if projection.schema.iter().any(|(_, field)| field.name() == name) {
                continue;
            }
            let below =
                projection.input.schema().iter().find(|(_, field)| field.name() == name || field.name() == column);
            if let Some((qualifier, field)) = below {
                let carried = Expr::Column(Column::new(qualifier.cloned(), field.name()));
                expressions.push(if field.name() == name { carried } else { carried.alias(*name) });
            }
        }
        let projection = Projection::try_new(expressions, Arc::clone(&projection.input))?;
        Ok(Transformed::yes(LogicalPlan::Projection(projection)))
    })?;
    Ok(carried.data)
}
