//! Makes physical plans of optimized ones, with what may fail guarded in between.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::{
    catalog::Session,
    common::Result,
    execution::context::QueryPlanner,
    logical_expr::LogicalPlan,
    physical_plan::ExecutionPlan,
    physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner},
};

use super::{lenient, mode::Mode};

/// A session's query planner.
#[derive(Debug)]
pub(crate) struct Planner {
    mode: Mode,
}

impl Planner {
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode }
    }
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        physical(plan, session, &self.mode).await
    }
}

/// The physical plan of an optimized one, as `mode` has it.
pub(crate) async fn physical(plan: &LogicalPlan, session: &dyn Session, mode: &Mode) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = lenient::guarded(plan.clone(), mode)?;
    DefaultPhysicalPlanner::default().create_physical_plan(&plan, session).await
}
