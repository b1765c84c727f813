//! Keeps the optimizer from adding up parts of a sum.
//!
//! It makes a distinct count two aggregations, of which the inner adds up parts of the sums beside it. A part may leave a type
//! that the whole sum does not. So where there is a sum, the distinct count stays one aggregation.

use std::sync::Arc;

use datafusion::{
    common::{Result, tree_node::Transformed},
    logical_expr::{Expr, LogicalPlan},
    optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule},
};

type SharedRule = Arc<dyn OptimizerRule + Send + Sync>;

/// `rule`, or what takes its place.
pub(super) fn instead(rule: SharedRule) -> SharedRule {
    match rule.name() {
        "single_distinct_aggregation_to_group_by" => Arc::new(WholeSums(rule)),
        _ => rule,
    }
}

#[derive(Debug)]
struct WholeSums(SharedRule);

impl OptimizerRule for WholeSums {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let is_sum = |expression: &Expr| matches!(expression.clone().unalias(), Expr::AggregateFunction(call) if call.func.name() == "sum");
        match &plan {
            LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(is_sum) => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}
