//! Which columns of a view's rows may be added up over its other groups: those made of sums and counts.
//!
//! Whoever draws many series as "all others" needs to know it: three counts of a minute are one count, three averages are
//! no average.

use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr, LogicalPlan, Operator},
};

use super::lineage::group_count;

/// Aggregates whose values over parts of the events add up to the value over all.
const SUMS: [&str; 2] = ["sum", "count"];

/// Whether the values of a column over disjoint events add up to the value over all of them.
pub(super) fn adds_up(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.get(column).is_some_and(|expr| expression_adds_up(expr, &projection.input))
        }
        LogicalPlan::Filter(filter) => adds_up(&filter.input, column),
        LogicalPlan::SubqueryAlias(alias) => adds_up(&alias.input, column),
        LogicalPlan::Aggregate(aggregate) => {
            let call = column.checked_sub(group_count(aggregate)).and_then(|call| aggregate.aggr_expr.get(call));
            match call.cloned().map(Expr::unalias) {
                Some(Expr::AggregateFunction(call)) => SUMS.contains(&call.func.name()) && !call.params.distinct,
                _ => false,
            }
        }
        _ => false,
    }
}

/// Whether an expression over the rows of `input` is linear in columns that add up.
fn expression_adds_up(expr: &Expr, input: &LogicalPlan) -> bool {
    match expr {
        Expr::Alias(alias) => expression_adds_up(&alias.expr, input),
        Expr::Column(column) => input.schema().index_of_column(column).is_ok_and(|index| adds_up(input, index)),
        Expr::Cast(cast) => expression_adds_up(&cast.expr, input),
        Expr::Negative(inner) => expression_adds_up(inner, input),
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::Plus | Operator::Minus => {
                expression_adds_up(&binary.left, input) && expression_adds_up(&binary.right, input)
            }
            Operator::Multiply => {
                (is_number(&binary.left) && expression_adds_up(&binary.right, input))
                    || (is_number(&binary.right) && expression_adds_up(&binary.left, input))
            }
            Operator::Divide => is_number(&binary.right) && expression_adds_up(&binary.left, input),
            _ => false,
        },
        // No events are no value, which is zero here.
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => match call.args.as_slice() {
            [value, otherwise] => is_zero(otherwise) && expression_adds_up(value, input),
            _ => false,
        },
        _ => false,
    }
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.data_type().is_numeric())
}

fn is_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value),
        _ => false,
    }
}
