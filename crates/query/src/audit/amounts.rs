//! The query that says how large the numbers are that a view adds up: for the error that adding them in another order makes.
//!
//! ```text
//!   SELECT tumble(…) AS m, sum(a) - avg(b) AS d …  ─▶  SELECT tumble(…) AS m, sum(abs(a)) + avg(abs(b)) AS d …, count(*)
//! ```
//!
//! The same rows and columns, and one more with the number of events. Where the text has another shape there is none.

use std::{mem, ops::ControlFlow};

use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
        GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Statement, UnaryOperator,
        visit_expressions_mut,
    },
    dialect::GenericDialect,
    parser::Parser,
};

/// Aggregates whose error grows with the amounts of what they add up.
const SUMS: [&str; 3] = ["sum", "avg", "mean"];

/// The query of the amounts of `sql`; `None` where it is not one aggregation at the top.
pub(super) fn of(sql: &str) -> Option<String> {
    let mut statements = Parser::parse_sql(&GenericDialect {}, sql).ok()?;
    let Statement::Query(query) = statements.first_mut()? else { return None };
    let Query { body, .. } = query.as_mut();
    let SetExpr::Select(select) = body.as_mut() else { return None };
    let Select { projection, group_by, .. } = select.as_mut();
    if matches!(group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty()) {
        return None;
    }
    for item in projection.iter_mut() {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return None };
        if sums(expr) {
            amount(expr);
        }
    }
    let star = FunctionArg::Unnamed(FunctionArgExpr::Wildcard);
    let expr = call("count", star);
    projection.push(SelectItem::ExprWithAlias { expr, alias: Ident::new("lakehead_events") });
    Some(statements.first()?.to_string())
}

/// Whether a sum is in it.
fn sums(expr: &mut Expr) -> bool {
    visit_expressions_mut(expr, |expr| match expr {
        Expr::Function(function) if is_sum(function) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

fn is_sum(function: &Function) -> bool {
    let name = function.name.to_string().to_ascii_lowercase();
    SUMS.contains(&name.as_str())
}

/// Makes an expression over aggregates one over amounts; what is summed stays as it is, each number by itself.
fn amount(expr: &mut Expr) {
    match expr {
        Expr::BinaryOp { left, op, right } => {
            if *op == BinaryOperator::Minus {
                *op = BinaryOperator::Plus;
            }
            amount(left);
            amount(right);
        }
        Expr::UnaryOp { op, expr } => {
            if *op == UnaryOperator::Minus {
                *op = UnaryOperator::Plus;
            }
            amount(expr);
        }
        Expr::Nested(expr) | Expr::Cast { expr, .. } => amount(expr),
        Expr::Function(function) if is_sum(function) => {
            if let FunctionArguments::List(FunctionArgumentList { args, .. }) = &mut function.args {
                for arg in args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(_)) = arg {
                        let inner = mem::replace(arg, FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
                        *arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(call("abs", inner)));
                    }
                }
            }
        }
        _ => {}
    }
}

fn call(name: &str, arg: FunctionArg) -> Expr {
    let args = FunctionArgumentList { duplicate_treatment: None, args: vec![arg], clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn sums_become_sums_of_amounts_and_all_else_stays() {
        let sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS m, k, sum(a) - avg(b) AS d, max(a - b) AS x FROM s \
                   WHERE a - b > 0 GROUP BY 1, 2 HAVING sum(a) > 0";
        let amounts = "SELECT tumble(event_time, INTERVAL '1 minute') AS m, k, sum(abs(a)) + avg(abs(b)) AS d, max(a - b) AS \
                       x, count(*) AS lakehead_events FROM s WHERE a - b > 0 GROUP BY 1, 2 HAVING sum(a) > 0";
        assert_eq!(of(sql).as_deref(), Some(amounts));
        assert_eq!(of("SELECT a FROM s"), None);
        assert_eq!(of("SELECT * FROM (SELECT sum(a) AS a FROM s GROUP BY b) AS t"), None);
    }
}
