//! The condition of a view: which events it counts, evaluated on the events as they are.

use std::sync::Arc;

use datafusion::{
    arrow::array::{BooleanArray, RecordBatch},
    common::{
        cast::as_boolean_array,
        tree_node::{Transformed, TreeNode},
    },
    physical_expr::{PhysicalExpr, expressions::Column},
};

use crate::error::Error;

/// Which events a view counts, where its plan asks that of the events as they are.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// Over the columns of the view's own input.
    predicate: Arc<dyn PhysicalExpr>,
    /// The same without the columns' places: where these are equal, the same events are picked.
    pub(crate) alike: Arc<dyn PhysicalExpr>,
}

impl Condition {
    pub(crate) fn new(predicate: &Arc<dyn PhysicalExpr>) -> Result<Self, Error> {
        let alike = Arc::clone(predicate).transform_up(|part| {
            let nowhere = part.downcast_ref::<Column>().map(|column| Column::new(column.name(), 0));
            Ok(match nowhere {
                Some(column) => Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>),
                None => Transformed::no(part),
            })
        })?;
        Ok(Self { predicate: Arc::clone(predicate), alike: alike.data })
    }

    /// True for the rows of `batch` that are meant.
    pub(crate) fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray, Error> {
        let answer = self.predicate.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(as_boolean_array(&answer)?.clone())
    }
}
