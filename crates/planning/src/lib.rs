//! What of DataFusion is generic or asynchronous and large, behind calls that are neither.
//!
//! A crate that awaits one of DataFusion's own asynchronous functions compiles its body anew, and whatever is generic below:
//! the whole translation of SQL, with copies and drops of every kind of statement. Here they are awaited once, in a box, at
//! a level of optimisation that suits what runs once for a statement; query and its tests then compile none of it.

mod walk;

use std::sync::Arc;

use datafusion::{
    arrow::array::RecordBatch,
    error::Result,
    execution::{SendableRecordBatchStream, SessionState},
    logical_expr::LogicalPlan,
    physical_plan::{self, ExecutionPlan},
    prelude::SessionContext,
    sql::parser::Statement,
};
use futures::{FutureExt, future::BoxFuture};

pub use crate::walk::{Walk, WalkPlan};

/// The plan of a text of SQL over the tables of `state`.
pub fn of_text<'a>(state: &'a SessionState, sql: &'a str) -> BoxFuture<'a, Result<LogicalPlan>> {
    state.create_logical_plan(sql).boxed()
}

/// The plan of a parsed statement over the tables of `state`.
pub fn of_statement(state: &SessionState, statement: Statement) -> BoxFuture<'_, Result<LogicalPlan>> {
    state.statement_to_plan(statement).boxed()
}

/// What runs a plan, optimized by the rules of `state`.
pub fn physical<'a>(state: &'a SessionState, plan: &'a LogicalPlan) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
    state.create_physical_plan(plan).boxed()
}

/// All rows of a plan that only reads.
pub fn collect(context: &SessionContext, plan: LogicalPlan) -> BoxFuture<'static, Result<Vec<RecordBatch>>> {
    let state = context.state();
    async move { physical_plan::collect(state.create_physical_plan(&plan).await?, state.task_ctx()).await }.boxed()
}

/// The rows of a plan that only reads, as they come.
pub fn stream(context: &SessionContext, plan: LogicalPlan) -> BoxFuture<'static, Result<SendableRecordBatchStream>> {
    let state = context.state();
    async move { physical_plan::execute_stream(state.create_physical_plan(&plan).await?, state.task_ctx()) }.boxed()
}
