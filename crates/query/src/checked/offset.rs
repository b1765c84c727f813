//! Passes the events' offsets through a plan, to where something may fail on an event.

use datafusion::{
    common::{Column, DFSchema, Result, tree_node::Transformed},
    logical_expr::{Expr, LogicalPlan, Projection, logical_plan::TableScanBuilder},
};
use lakehead_planning::Walk;

/// The event's offset, passed through to where something may fail.
const OFFSET: &str = "__offset";

pub(super) fn offset(schema: &DFSchema) -> Option<Column> {
    let named = |name: &str| schema.iter().find(|(_, field)| field.name() == name).map(Column::from);
    named(OFFSET).or_else(|| named(lakehead_decode::EVENT_OFFSET))
}

/// `plan` with the events' offsets as its last column, as far as it can be passed through.
pub(super) fn with_offset(plan: LogicalPlan) -> Result<LogicalPlan> {
    let passed = plan.up(&mut |node| {
        let node = match node {
            LogicalPlan::TableScan(scan) => {
                let place = scan.source.schema().index_of(lakehead_decode::EVENT_OFFSET).ok();
                let (Some(place), Some(mut projection)) = (place, scan.projection.clone()) else {
                    return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
                };
                if !projection.contains(&place) {
                    projection.push(place);
                }
                let scan = TableScanBuilder::new(scan.table_name, scan.source)
                    .with_projection(Some(projection))
                    .with_filters(scan.filters)
                    .with_fetch(scan.fetch);
                LogicalPlan::TableScan(scan.build()?)
            }
            LogicalPlan::Projection(mut projection) => {
                if let Some(offset) = offset(projection.input.schema()) {
                    projection.expr.push(Expr::Column(offset).alias(OFFSET));
                }
                LogicalPlan::Projection(Projection::try_new(projection.expr, projection.input)?)
            }
            other => other.recompute_schema()?,
        };
        Ok(Transformed::yes(node))
    })?;
    Ok(passed.data)
}
