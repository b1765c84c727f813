//! Runs a compiled piece of a plan over batches that are at hand.
//!
//! A piece is a chain of single-input operators over one leaf. Each run puts the batches in the leaf's place and keeps
//! everything else, so planning happens once in a view's life.

use std::sync::Arc;

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    catalog::memory::MemorySourceConfig,
    execution::TaskContext,
    physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions, collect},
};

use crate::error::Error;

/// A chain of operators over one leaf, ready to be run again and again.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    plan: Arc<dyn ExecutionPlan>,
    input: SchemaRef,
    context: Arc<TaskContext>,
}

impl Piece {
    pub(crate) fn new(plan: Arc<dyn ExecutionPlan>, input: SchemaRef, context: Arc<TaskContext>) -> Self {
        Self { plan, input, context }
    }

    /// What comes out.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    /// What goes in.
    pub(crate) fn input(&self) -> SchemaRef {
        Arc::clone(&self.input)
    }

    /// Runs over `batches`, which have the leaf's schema.
    pub(crate) async fn run(&self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, Error> {
        let leaf = MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&self.input), None)?;
        let plan = with_leaf(&self.plan, &(leaf as Arc<dyn ExecutionPlan>))?;
        Ok(collect(plan, Arc::clone(&self.context)).await?)
    }
}

/// An empty leaf of `schema`, to plan over.
pub(crate) fn leaf(schema: SchemaRef) -> Result<Arc<dyn ExecutionPlan>, Error> {
    Ok(MemorySourceConfig::try_new_exec(&[vec![]], schema, None)?)
}

/// The same chain over another leaf of the same schema.
fn with_leaf(plan: &Arc<dyn ExecutionPlan>, leaf: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, Error> {
    match plan.children().first() {
        None => Ok(Arc::clone(leaf)),
        Some(child) => {
            let child = with_leaf(child, leaf)?;
            // The leaf differs in its rows alone, so everything derived from its schema stays true.
            let keep = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
            Ok(Arc::clone(plan).replace_children(vec![child], keep)?)
        }
    }
}
