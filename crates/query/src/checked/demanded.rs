//! Filters rows out below a node of a plan, before the node's expressions fail on them.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    common::{
        Column, Result,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{Aggregate, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Projection, logical_plan::SubqueryAlias},
};
use lakehead_planning::{Walk, WalkPlan};

use super::fallible::{EVALUATES, evaluated, evaluates, is_fallible, within};

/// The node over those rows only on which nothing of it fails.
pub(super) fn demanding(node: LogicalPlan) -> Result<LogicalPlan> {
    if matches!(node, LogicalPlan::Filter(_)) {
        return Ok(node);
    }
    let inputs = node.inputs();
    let [input] = inputs.as_slice() else { return Ok(node) };
    let schema = Arc::clone(input.schema());
    let mut wanted: Vec<Expr> = Vec::new();
    node.each_expression(&mut |expression| {
        parts(expression, &mut |part| {
            if is_fallible(&part, schema.as_ref()) && !wanted.contains(&part) {
                wanted.push(part);
            }
        });
        Ok(TreeNodeRecursion::Continue)
    })?;
    if wanted.is_empty() {
        return Ok(node);
    }
    let input = demanded((*input).clone(), wanted)?;
    node.with_new_exprs(node.expressions(), vec![input])
}

/// `plan` without the rows on which `wanted` fails. Where it has a condition, this becomes a part of it: then the rest of the
/// condition excuses what fails, and no row is looked at twice.
fn demanded(plan: LogicalPlan, wanted: Vec<Expr>) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Filter(Filter { predicate, input, .. }) => {
            let predicate = predicate.and(evaluates(wanted));
            Ok(LogicalPlan::Filter(Filter::try_new(predicate, input)?))
        }
        LogicalPlan::Projection(Projection { expr, input, schema, .. }) => {
            let below: HashMap<Column, Expr> = schema
                .iter()
                .zip(&expr)
                .map(|((table, field), expression)| {
                    (Column::new(table.cloned(), field.name()), expression.clone().unalias_nested().data)
                })
                .collect();
            let wanted = wanted.into_iter().map(|part| replaced(part, &below)).collect::<Result<_>>()?;
            let input = demanded(Arc::unwrap_or_clone(input), wanted)?;
            Ok(LogicalPlan::Projection(Projection::try_new(expr, Arc::new(input))?))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let below: HashMap<Column, Expr> = alias
                .schema
                .iter()
                .zip(alias.input.schema().iter())
                .map(|((table, field), (own, inner))| {
                    let inner = Expr::Column(Column::new(own.cloned(), inner.name()));
                    (Column::new(table.cloned(), field.name()), inner)
                })
                .collect();
            let wanted = wanted.into_iter().map(|part| replaced(part, &below)).collect::<Result<_>>()?;
            let input = demanded(Arc::unwrap_or_clone(alias.input), wanted)?;
            Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.alias)?))
        }
        other => Ok(LogicalPlan::Filter(Filter::try_new(evaluates(wanted), Arc::new(other))?)),
    }
}

/// `expression` with columns as what they are further below.
fn replaced(expression: Expr, below: &HashMap<Column, Expr>) -> Result<Expr> {
    let replaced = expression.up(&mut |part| match &part {
        Expr::Column(column) => Ok(match below.get(column) {
            Some(expression) => Transformed::yes(expression.clone()),
            None => Transformed::no(part),
        }),
        _ => Ok(Transformed::no(part)),
    })?;
    Ok(replaced.data)
}

/// The parts of an expression that are computed of each row: the arguments of an aggregate, the expression itself otherwise.
fn parts(expression: &Expr, each: &mut impl FnMut(Expr)) {
    let whole = expression.clone().unalias_nested().data;
    match whole {
        Expr::AggregateFunction(call) => {
            let filter = call.params.filter.as_deref().cloned();
            let ordered = call.params.order_by.into_iter().map(|sort| sort.expr);
            for argument in call.params.args.into_iter().chain(ordered) {
                each(within(filter.as_ref(), argument));
            }
            filter.into_iter().for_each(each);
        }
        Expr::WindowFunction(call) => {
            let params = call.params;
            let ordered = params.order_by.into_iter().map(|sort| sort.expr);
            params.args.into_iter().chain(params.partition_by).chain(ordered).for_each(each);
        }
        whole => each(whole),
    }
}

pub(super) fn evaluates_what(condition: &Expr) -> Option<&[Expr]> {
    match condition {
        Expr::ScalarFunction(call) if call.func.name() == EVALUATES => Some(&call.args),
        _ => None,
    }
}

/// For a plan that is built by hand: `input` without the rows on which the aggregation over it fails.
pub(crate) fn without_failing(aggregate: &Aggregate) -> Result<LogicalPlan> {
    let input = LogicalPlanBuilder::from(Arc::unwrap_or_clone(Arc::clone(&aggregate.input)));
    match evaluated(aggregate) {
        Some(condition) => input.filter(condition)?.build(),
        None => input.build(),
    }
}
