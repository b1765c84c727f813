//! Keeps the sums of an aggregation wide, and narrows them above it.

use std::sync::Arc;

use datafusion::{
    common::{Column, Result},
    logical_expr::{Aggregate, Expr, ExprSchemable},
};

use super::{sum, text::text};

/// An aggregation whose sums are wide.
pub(super) struct WideAggregate {
    pub(super) aggregate: Aggregate,
    /// What makes ordinary ones of them.
    pub(super) above: Option<Vec<Expr>>,
}

pub(super) fn wide(aggregate: Aggregate) -> Result<WideAggregate> {
    let schema = Arc::clone(&aggregate.schema);
    let groups = schema.fields().len() - aggregate.aggr_expr.len();
    let mut above: Vec<Expr> =
        schema.iter().map(|(table, field)| Expr::Column(Column::new(table.cloned(), field.name()))).collect();
    let mut calls = aggregate.aggr_expr.clone();
    let mut has_wide = false;
    for (place, expression) in calls.iter_mut().enumerate() {
        let Expr::AggregateFunction(call) = expression.clone().unalias() else { continue };
        let Some(argument) = call.params.args.first() else { continue };
        let Some(wide) = sum::wide(&call, &argument.get_type(aggregate.input.schema().as_ref())?) else { continue };
        let (table, field) = schema.qualified_field(groups + place);
        let shown = Expr::AggregateFunction(call);
        *expression = wide.alias_qualified(table.cloned(), field.name());
        if let Some(column) = above.get_mut(groups + place) {
            let narrow = sum::narrow(column.clone(), field.data_type().clone(), text(&shown));
            *column = narrow.alias_qualified(table.cloned(), field.name());
            has_wide = true;
        }
    }
    let aggregate = Aggregate::try_new(aggregate.input, aggregate.group_expr, calls)?;
    Ok(WideAggregate { aggregate, above: has_wide.then_some(above) })
}
