//! The analyzer rule: after types are settled and before anything is optimized.
//!
//! Only here is `9223372036854775807 + 1` still a sum: the optimizer would compute it, wrapped around. Columns keep their names.

use datafusion::{
    common::{Column, DFSchema, Result, tree_node::Transformed},
    config::ConfigOptions,
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, expr::AggregateFunction,
        expr_rewriter::NamePreserver, utils::merge_schema,
    },
    optimizer::AnalyzerRule,
};
use lakehead_planning::{Walk, WalkPlan};

use super::{arithmetic, brief, fallible, measured, plain, text::text};

/// The rule.
#[derive(Debug)]
pub(super) struct Checked;

/// Aggregates that divide, or subtract numbers that are alike: their floats may be minus zero or NaN.
const MAKE_FLOATS: [&str; 8] = ["avg", "var", "stddev", "covar", "corr", "regr", "median", "percentile"];

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
