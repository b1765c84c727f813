//! Column lineage in a logical plan: of which group, aggregate or column of the table an output column is made.

use datafusion::{
    common::{Column, tree_node::TreeNodeRecursion},
    logical_expr::{Aggregate, Expr, LogicalPlan},
};
use lakehead_planning::Walk;

use crate::{error::Error, functions};

/// Whether a group is a call of a window function.
pub(crate) fn is_window(group: &Expr) -> bool {
    matches!(group.clone().unalias(), Expr::ScalarFunction(call) if [functions::TUMBLE, functions::HOP, functions::SESSION].contains(&call.func.name()))
}

/// The groups of an aggregation in the order of its columns: each once, however often it was written.
pub(crate) fn groups(aggregate: &Aggregate) -> Vec<Expr> {
    let mut groups: Vec<Expr> = Vec::new();
    for group in &aggregate.group_expr {
        let same = |other: &Expr| other.clone().unalias() == group.clone().unalias();
        if !groups.iter().any(same) {
            groups.push(group.clone());
        }
    }
    groups
}

/// The topmost aggregation.
pub(crate) fn find_aggregate(plan: &LogicalPlan) -> Result<Option<Aggregate>, Error> {
    let mut found = None;
    plan.each(&mut |node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            found = Some(aggregate.clone());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

pub(super) fn group_count(aggregate: &Aggregate) -> usize {
    aggregate.schema.fields().len() - aggregate.aggr_expr.len()
}

/// The column of the table that `column` is, if it is one as it stands.
pub(super) fn origin(plan: &LogicalPlan, column: &Column) -> Option<String> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let index = projection.schema.index_of_column(column).ok()?;
            match projection.expr.get(index).cloned().map(Expr::unalias) {
                Some(Expr::Column(below)) => origin(&projection.input, &below),
                _ => None,
            }
        }
        LogicalPlan::Filter(filter) => origin(&filter.input, column),
        LogicalPlan::SubqueryAlias(alias) => {
            let index = alias.schema.index_of_column(column).ok()?;
            let (qualifier, field) = alias.input.schema().qualified_field(index);
            origin(&alias.input, &Column::new(qualifier.cloned(), field.name()))
        }
        LogicalPlan::Unnest(unnest) => {
            unnest.input.schema().index_of_column(column).ok()?;
            origin(&unnest.input, column)
        }
        LogicalPlan::TableScan(_) => Some(column.name.clone()),
        _ => None,
    }
}

/// Whether several rows may be made of one: then what named a row of the table names one no more.
pub(super) fn multiplies_rows(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Unnest(_)) || plan.inputs().into_iter().any(multiplies_rows)
}

/// Which group the column is, if it is one as it stands, and whether rows are filtered on the way.
pub(super) fn follow(plan: &LogicalPlan, column: usize) -> (Option<usize>, bool) {
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
        LogicalPlan::Aggregate(aggregate) => ((column < group_count(aggregate)).then_some(column), false),
        _ => (None, false),
    }
}

/// The aggregates that a column is made of.
pub(super) fn made_of(plan: &LogicalPlan, column: usize) -> Vec<String> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let below = projection.expr.get(column).map(Expr::column_refs).unwrap_or_default();
            let below = below.into_iter().filter_map(|below| projection.input.schema().index_of_column(below).ok());
            below.flat_map(|index| made_of(&projection.input, index)).collect()
        }
        LogicalPlan::Filter(filter) => made_of(&filter.input, column),
        LogicalPlan::SubqueryAlias(alias) => made_of(&alias.input, column),
        LogicalPlan::Aggregate(aggregate) => {
            let call = column.checked_sub(group_count(aggregate)).and_then(|call| aggregate.aggr_expr.get(call));
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
