//! Guards within one expression: around its AND and OR, and around what may be too much of a batch at once.

use datafusion::{
    common::{
        DFSchema, Result,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{BinaryExpr, Expr, Operator},
};
use lakehead_planning::Walk;

use super::{
    fallible::is_fallible,
    guard::{OnFailure, Wanted, guard},
    measured,
};

pub(super) fn is_boolean(expression: &Expr) -> bool {
    matches!(expression, Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }))
}

/// The expression with its AND and OR guarded, wherever they stand.
pub(super) fn booleans(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expression.down(&mut |part| {
        if !is_boolean(&part) || !is_fallible(&part, schema) {
            return Ok(Transformed::no(part));
        }
        let expression = leaves(part, schema)?;
        let guarded = guard(Wanted {
            expression,
            excuses: Vec::new(),
            on_failure: OnFailure::Fail,
            row: Vec::new(),
            offset: None,
            notes: None,
            schema,
        })?;
        Ok(Transformed::new(guarded, true, TreeNodeRecursion::Jump))
    })
}

/// The expression with what may be too much of a batch at once computed in parts of it, and all that is made of it too: that
/// is smaller, as `length(repeat(t, n))` is.
pub(super) fn in_parts(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expression.down(&mut |part| {
        // Grouping sets have to stand where they are, and as they are.
        if !measured::is_in(&part) || matches!(part, Expr::GroupingSet(_)) {
            return Ok(Transformed::new(part, false, TreeNodeRecursion::Jump));
        }
        // The name of a value, and what is no value by itself.
        if matches!(part, Expr::Alias(_) | Expr::Lambda(_)) {
            return Ok(Transformed::no(part));
        }
        let guarded = guard(Wanted {
            expression: part.clone(),
            excuses: Vec::new(),
            on_failure: OnFailure::FailInParts,
            row: Vec::new(),
            offset: None,
            notes: None,
            schema,
        });
        match guarded {
            Ok(guarded) if guarded != part => Ok(Transformed::new(guarded, true, TreeNodeRecursion::Jump)),
            // It has no columns, or stands around what is no value: then its parts may be guarded.
            _ => Ok(Transformed::no(part)),
        }
    })
}

/// An expression that will be guarded as a whole: only what stands below its own AND, OR and NOT is guarded here.
pub(super) fn leaves(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (leaves(*left, schema)?, leaves(*right, schema)?);
            Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) }))
        }
        Expr::Not(one) => Ok(Expr::Not(Box::new(leaves(*one, schema)?))),
        other => Ok(booleans(other, schema)?.data),
    }
}
