//! Reverses common-subexpression elimination where the shared expression may fail and a condition may excuse it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{Expr, LogicalPlan, Projection, expr_rewriter::NamePreserver},
};
use lakehead_planning::{Walk, WalkPlan};

use super::{conditions::is_boolean, fallible::is_fallible, measured};

/// What the optimizer's name for an expression that stands in a node twice begins with. It is computed once, in a projection
/// below.
const COMMON: &str = "__common_expr_";

/// The node with such expressions back in it that may fail, and that another condition may excuse.
pub(super) fn uncommon(node: LogicalPlan) -> Result<LogicalPlan> {
    let inputs = node.inputs();
    let [LogicalPlan::Projection(below)] = inputs.as_slice() else { return Ok(node) };
    let schema = below.input.schema().as_ref();
    let mut common: HashMap<String, Expr> = HashMap::new();
    for expression in &below.expr {
        if let Expr::Alias(alias) = expression
            && alias.name.starts_with(COMMON)
            && is_fallible(&alias.expr, schema)
        {
            common.insert(alias.name.clone(), alias.expr.as_ref().clone());
        }
    }
    if common.is_empty() {
        return Ok(node);
    }
    if !matches!(node, LogicalPlan::Filter(_)) {
        let mut in_conditions: HashSet<String> = HashSet::new();
        node.each_expression(&mut |expression| {
            expression.each(&mut |part| {
                if is_boolean(part) {
                    in_conditions.extend(part.column_refs().into_iter().map(|column| column.name.clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        // What enlarges is computed twice rather than kept whole for a batch.
        common.retain(|name, expression| in_conditions.contains(name) || measured::is_in(expression));
    }
    let mut columns: Vec<Expr> = Vec::new();
    for expression in &below.expr {
        if !matches!(expression, Expr::Alias(alias) if common.contains_key(&alias.name)) {
            columns.push(expression.clone());
        }
    }
    for needed in common.values().flat_map(Expr::column_refs) {
        let has_it = |column: &Expr| matches!(column, Expr::Column(column) if column == needed);
        if !columns.iter().any(has_it) {
            columns.push(Expr::Column(needed.clone()));
        }
    }
    let below = LogicalPlan::Projection(Projection::try_new(columns, Arc::clone(&below.input))?);
    let names = NamePreserver::new(&node);
    let expressions = node.expressions().into_iter().map(|expression| {
        let name = names.save(&expression);
        let back = expression.up(&mut |part| match &part {
            Expr::Column(column) => Ok(match common.get(&column.name) {
                Some(expression) => Transformed::yes(expression.clone()),
                None => Transformed::no(part),
            }),
            _ => Ok(Transformed::no(part)),
        })?;
        Ok(name.restore(back.data))
    });
    node.with_new_exprs(expressions.collect::<Result<_>>()?, vec![below])
}
