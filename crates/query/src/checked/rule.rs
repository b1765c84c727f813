//! The analyzer rule: after types are settled and before anything is optimized.
//!
//! Only here is `9223372036854775807 + 1` still a sum: the optimizer would compute it, wrapped around. Columns keep their names.

use std::sync::Arc;

use datafusion::{
    common::{Column, DFSchema, Result, tree_node::Transformed},
    config::ConfigOptions,
    logical_expr::{
        BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator,
        expr::{AggregateFunction, ScalarFunction},
        expr_rewriter::NamePreserver,
        utils::merge_schema,
    },
    optimizer::AnalyzerRule,
    sql::{
        sqlparser::keywords::ALL_KEYWORDS,
        unparser::{Unparser, dialect::Dialect},
    },
};
use lakehead_planning::{Walk, WalkPlan};

use super::{arithmetic, brief, fallible, measured, plain};

/// The rule.
#[derive(Debug)]
pub(super) struct Checked;

/// Aggregates that divide, or subtract numbers that are alike: their floats may be minus zero or NaN.
const MAKE_FLOATS: [&str; 8] = ["avg", "var", "stddev", "covar", "corr", "regr", "median", "percentile"];

/// Longest text of an expression in a message, in characters.
const TEXT_CHARS_MAX: usize = 200;
/// An expression of more parts is told by its outer ones. Of a sum of a thousand numbers each of the thousand sums within has
/// a text: what one costs must not grow with it.
const TEXT_PARTS_MAX: usize = 40;
/// So deep are the outer parts.
const TEXT_DEPTH_MAX: usize = 6;
/// Stands for what is left out of a text.
const LEFT_OUT: &str = "…";

impl AnalyzerRule for Checked {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.up_with_subqueries(&mut node)?.data)
    }

    fn name(&self) -> &str {
        "checked_numbers"
    }
}

fn node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&node.inputs());
    if let LogicalPlan::TableScan(scan) = &node {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    let names = NamePreserver::new(&node);
    let changed = node.change_expressions(&mut |expression| {
        let name = names.save(&expression);
        let changed = checked(expression, &schema)?;
        Ok(changed.update_data(|expression| name.restore(expression)))
    })?;
    if !changed.transformed {
        return changed.data.transformed_if_float();
    }
    let plan = changed.data.recompute_schema()?;
    Ok(Transformed::yes(plan.transformed_if_float()?.data))
}

trait PlainAbove: Sized {
    fn transformed_if_float(self) -> Result<Transformed<Self>>;
}

impl PlainAbove for LogicalPlan {
    /// An aggregation whose floats may not be plain, with a projection above that makes them so.
    fn transformed_if_float(self) -> Result<Transformed<Self>> {
        let LogicalPlan::Aggregate(aggregate) = &self else { return Ok(Transformed::no(self)) };
        let groups = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
        let is_rough = |column: usize| {
            let call = column.checked_sub(groups).and_then(|call| aggregate.aggr_expr.get(call));
            let Some(Expr::AggregateFunction(call)) = call.cloned().map(Expr::unalias) else { return false };
            let name = call.func.name().trim_start_matches("approx_").to_owned();
            plain::is_float(aggregate.schema.field(column).data_type())
                && MAKE_FLOATS.iter().any(|makes| name.starts_with(makes))
        };
        if !(0..aggregate.schema.fields().len()).any(is_rough) {
            return Ok(Transformed::no(self));
        }
        let columns = aggregate.schema.iter().enumerate().map(|(place, (table, field))| {
            let column = Expr::Column(Column::new(table.cloned(), field.name()));
            match is_rough(place) {
                true => plain::plain(column).alias_qualified(table.cloned(), field.name()),
                false => column,
            }
        });
        let columns: Vec<Expr> = columns.collect();
        Ok(Transformed::yes(LogicalPlanBuilder::from(self).project(columns)?.build()?))
    }
}

/// The expression with its numbers checked, and what enlarges or takes long measured.
fn checked(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let whole = expression.down(&mut |part| {
        if !measured::is_to_measure(&part) {
            return integers(part, schema);
        }
        let text = text(&part);
        Ok(Transformed::yes(measured::measured(part, text)))
    })?;
    let was = whole.transformed;
    let plain = whole.data.up(&mut |part| floats(part, schema))?;
    let is = was || plain.transformed;
    let filtered = plain.data.up(&mut |part| filtered(part, schema))?;
    Ok(Transformed::new_transformed(filtered.data, is || filtered.transformed))
}

/// SQL as DataFusion reads it: a name stands in quotes where it would be read as another one, or as a word of SQL.
struct Names;

impl Dialect for Names {
    fn identifier_quote_style(&self, name: &str) -> Option<char> {
        let is_of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && name.chars().all(is_of_a_name);
        // Of the words of SQL this one is a name wherever it stands.
        let is_a_word = || name != "id" && ALL_KEYWORDS.binary_search(&name.to_ascii_uppercase().as_str()).is_ok();
        ((!is_plain && name != LEFT_OUT) || is_a_word()).then_some('"')
    }
}

/// The text that a person would write, or nearly.
pub(crate) fn text(expression: &Expr) -> String {
    let outer = outer_parts(expression, TEXT_DEPTH_MAX);
    let text = match Unparser::new(&Names).expr_to_sql(&outer) {
        Ok(sql) => sql.to_string(),
        Err(_) => outer.human_display().to_string(),
    };
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}{LEFT_OUT}", &text[..end]),
        None => text,
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

fn integers(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match &part {
        Expr::BinaryExpr(binary) => {
            let is_arithmetic = matches!(
                binary.op,
                Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
            );
            if !is_arithmetic {
                return Ok(Transformed::no(part));
            }
            let (left, right) = (binary.left.get_type(schema)?, binary.right.get_type(schema)?);
            if !arithmetic::wraps(&left) || !arithmetic::wraps(&right) {
                return Ok(Transformed::no(part));
            }
            let text = text(&part);
            let Expr::BinaryExpr(binary) = part else { return Ok(Transformed::no(part)) };
            Ok(Transformed::yes(arithmetic::binary(*binary.left, binary.op, *binary.right, text)))
        }
        Expr::Negative(one) if arithmetic::wraps(&one.get_type(schema)?) => {
            let text = text(&part);
            let Expr::Negative(one) = part else { return Ok(Transformed::no(part)) };
            Ok(Transformed::yes(arithmetic::negative(*one, text)))
        }
        _ => brief::brief(part, schema),
    }
}

fn floats(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let makes_one = match &part {
        Expr::Literal(value, metadata) => {
            return Ok(match plain::literal(value) {
                Some(plain) => Transformed::yes(Expr::Literal(plain, metadata.clone())),
                None => Transformed::no(part),
            });
        }
        Expr::BinaryExpr(binary) => matches!(
            binary.op,
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
        ),
        Expr::Negative(_) => true,
        Expr::Cast(cast) => plain::is_float(cast.field.data_type()) && !cast.expr.get_type(schema)?.is_integer(),
        Expr::TryCast(cast) => plain::is_float(cast.field.data_type()) && !cast.expr.get_type(schema)?.is_integer(),
        Expr::ScalarFunction(call) => !fallible::is_own(call.func.name()) && call.func.name() != "coalesce",
        _ => false,
    };
    if !makes_one || !plain::is_float(&part.get_type(schema)?) {
        return Ok(Transformed::no(part));
    }
    Ok(Transformed::yes(plain::plain(part)))
}

/// An aggregate looks at no row that its FILTER leaves out: DataFusion computes the arguments of all rows first.
fn filtered(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::AggregateFunction(call) = &part else { return Ok(Transformed::no(part)) };
    let Some(filter) = call.params.filter.clone() else { return Ok(Transformed::no(part)) };
    let fails = |argument: &Expr| fallible::is_fallible(argument, schema);
    if !call.params.args.iter().any(fails) {
        return Ok(Transformed::no(part));
    }
    let Expr::AggregateFunction(AggregateFunction { func, mut params }) = part else {
        return Ok(Transformed::no(part));
    };
    for argument in params.args.iter_mut().filter(|argument| fails(argument)) {
        *argument = fallible::within(Some(&filter), argument.clone());
    }
    Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
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
