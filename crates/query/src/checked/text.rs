//! The SQL text of an expression, for messages and as the name of a guarded column.

use std::sync::Arc;

use datafusion::{
    common::Column,
    logical_expr::{BinaryExpr, Expr, expr::ScalarFunction},
    sql::{
        sqlparser::keywords::ALL_KEYWORDS,
        unparser::{Unparser, dialect::Dialect},
    },
};
use lakehead_planning::Walk;

/// Longest text of an expression in a message, in characters.
const TEXT_CHARS_MAX: usize = 200;
/// An expression of more parts is told by its outer ones. Of a sum of a thousand numbers each of the thousand sums within has
/// a text: what one costs must not grow with it.
const TEXT_PARTS_MAX: usize = 40;
/// So deep are the outer parts.
const TEXT_DEPTH_MAX: usize = 6;
/// Stands for what is left out of a text.
const LEFT_OUT: &str = "…";

/// The text that a person would write, or nearly.
pub(crate) fn text(expression: &Expr) -> String {
    let outer = outer_parts(expression, TEXT_DEPTH_MAX);
    let text = match Unparser::new(&Quoting).expr_to_sql(&outer) {
        Ok(sql) => sql.to_string(),
        Err(_) => outer.human_display().to_string(),
    };
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}{LEFT_OUT}", &text[..end]),
        None => text,
    }
}

/// SQL as DataFusion reads it: a name stands in quotes where it would be read as another one, or as a word of SQL.
struct Quoting;

impl Dialect for Quoting {
    fn identifier_quote_style(&self, name: &str) -> Option<char> {
        let is_of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && name.chars().all(is_of_a_name);
        // Of the words of SQL this one is a name wherever it stands.
        let is_a_word = || name != "id" && ALL_KEYWORDS.binary_search(&name.to_ascii_uppercase().as_str()).is_ok();
        ((!is_plain && name != LEFT_OUT) || is_a_word()).then_some('"')
    }
}

/// The expression without what lies too deep in it.
fn outer_parts(expression: &Expr, depth: usize) -> Expr {
    let mut parts = 0;
    let is_large = expression.any(&mut |_| {
        parts += 1;
        Ok(parts > TEXT_PARTS_MAX)
    });
    if !is_large.unwrap_or(true) {
        return expression.clone();
    }
    match expression {
        Expr::BinaryExpr(binary) if depth > 0 => Expr::BinaryExpr(BinaryExpr {
            left: Box::new(outer_parts(&binary.left, depth - 1)),
            op: binary.op,
            right: Box::new(outer_parts(&binary.right, depth - 1)),
        }),
        Expr::Negative(one) if depth > 0 => Expr::Negative(Box::new(outer_parts(one, depth - 1))),
        Expr::ScalarFunction(call) if depth > 0 => {
            let args = call.args.iter().map(|arg| outer_parts(arg, depth - 1)).collect();
            Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&call.func), args))
        }
        _ => Expr::Column(Column::from_name(LEFT_OUT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};

    #[test]
    fn an_expression_is_told_as_it_was_written() {
        assert_eq!(text(&(col("n") + lit(1_i64))), "(n + 1)");
        assert_eq!(text(&(col(r#""Größe in m""#) + lit(1_i64))), r#"("Größe in m" + 1)"#);
        assert_eq!(text(&(col("order") + col("id"))), r#"("order" + id)"#);
        assert_eq!(text(&(col(r#""N""#) + col("wiki"))), r#"("N" + wiki)"#);
        assert_eq!(
            text(&(0..200).fold(col("n"), |sum, one| sum + lit(i64::from(one)))),
            "((((((… + 194) + 195) + 196) + 197) + 198) + 199)"
        );
        let wide = (0..30).fold(col("a_rather_long_name"), |sum, _| sum + lit(1_i64));
        assert!(text(&wide).chars().count() <= 201);
    }
}
