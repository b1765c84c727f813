//! The shared filter: the events of a micro-batch, picked once for each condition that views of one stream have in common.
//!
//! Views of a stream tend to count the same events (`NOT canary AND type IN ('edit', 'new')`). Each condition is evaluated once
//! for a micro-batch, and each column is picked by it once, whichever views need it.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, RecordBatchOptions},
        compute::{FilterBuilder, FilterPredicate},
        datatypes::SchemaRef,
    },
    physical_expr::PhysicalExpr,
};

use crate::{
    error::Error,
    micro_batch::{MicroBatch, columns},
    plan::Condition,
};

/// A micro-batch, and the events picked from it so far.
#[derive(Debug)]
pub struct SharedFilter<'r> {
    pub(crate) micro_batch: &'r MicroBatch,
    picked: Vec<(Arc<dyn PhysicalExpr>, Vec<FilteredBatch>)>,
}

/// What a condition picks of one batch.
#[derive(Debug)]
struct FilteredBatch {
    by: FilterPredicate,
    /// The batch's columns, those that were asked for.
    columns: Vec<Option<ArrayRef>>,
}

impl<'r> SharedFilter<'r> {
    /// A filter that has picked nothing yet.
    #[must_use]
    pub fn new(micro_batch: &'r MicroBatch) -> Self {
        Self { micro_batch, picked: Vec::new() }
    }

    /// The columns of `input` of the events that are meant, batch by batch.
    pub(crate) fn pick(&mut self, condition: Option<&Condition>, input: &SchemaRef) -> Result<Vec<RecordBatch>, Error> {
        let batches = &self.micro_batch.batches;
        let Some(condition) = condition else {
            return batches.iter().map(|batch| columns(batch, input)).collect();
        };
        let place = match self.picked.iter().position(|(alike, _)| **alike == *condition.alike) {
            Some(place) => place,
            None => {
                let picked = batches.iter().map(|batch| {
                    let by = FilterBuilder::new(&condition.mask(&columns(batch, input)?)?).optimize().build();
                    Ok(FilteredBatch { by, columns: vec![None; batch.num_columns()] })
                });
                self.picked.push((Arc::clone(&condition.alike), picked.collect::<Result<_, Error>>()?));
                self.picked.len() - 1
            }
        };
        let picked = &mut self.picked[place].1;
        batches.iter().zip(picked).map(|(batch, picked)| picked.columns(batch, input)).collect()
    }
}

impl FilteredBatch {
    fn columns(&mut self, batch: &RecordBatch, input: &SchemaRef) -> Result<RecordBatch, Error> {
        let mut made = Vec::with_capacity(input.fields().len());
        for field in input.fields() {
            let place = batch.schema_ref().index_of(field.name())?;
            made.push(match &mut self.columns[place] {
                Some(column) => Arc::clone(column),
                none => Arc::clone(none.insert(self.by.filter(batch.column(place))?)),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.by.count()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(input), made, &options)?)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::{
            array::{AsArray, Int64Array, StringViewArray},
            datatypes::{DataType, Field, Int64Type, Schema},
        },
        logical_expr::Operator,
        physical_expr::expressions::{Column, binary, lit},
    };
    use lakehead_model::Offset;

    use super::*;

    fn schema(names: &[(&str, DataType)]) -> SchemaRef {
        Arc::new(Schema::new(
            names.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>(),
        ))
    }

    /// `number > least`, for an input in which the number has this place.
    fn above(place: usize, least: i64, input: &SchemaRef) -> Condition {
        let number: Arc<dyn PhysicalExpr> = Arc::new(Column::new("number", place));
        Condition::new(&binary(number, Operator::Gt, lit(least), input).expect("a comparison")).expect("a condition")
    }

    #[test]
    fn events_are_picked_once_for_all_who_mean_the_same() {
        let whole = schema(&[("text", DataType::Utf8View), ("number", DataType::Int64), ("other", DataType::Int64)]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from_iter(["a", "b", "c", "d"].map(Some))),
            Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)])),
            Arc::new(Int64Array::from(vec![10, 20, 30, 40])),
        ];
        let batch = RecordBatch::try_new(whole, columns).expect("a batch");
        let micro_batch =
            MicroBatch { batches: vec![batch.clone(), batch], events: 8, end: Offset(8), times: Vec::new() };
        let mut filter = SharedFilter::new(&micro_batch);
        let numbers = schema(&[("number", DataType::Int64)]);
        let others = schema(&[("other", DataType::Int64), ("number", DataType::Int64)]);
        let (first, second) = (above(0, 2, &numbers), above(1, 2, &others));

        let picked = filter.pick(Some(&first), &numbers).expect("picked");
        assert_eq!(picked[1].column(0).as_primitive::<Int64Type>().values(), &[3, 4], "NULL is not picked");
        let again = filter.pick(Some(&second), &others).expect("picked");
        assert_eq!(filter.picked.len(), 1, "it is the same condition");
        assert!(Arc::ptr_eq(picked[0].column(0), again[0].column(1)), "the column was picked once");
        assert_eq!(again[0].column(0).as_primitive::<Int64Type>().values(), &[30, 40]);
        let all = filter.pick(None, &others).expect("picked");
        assert_eq!((all.len(), all[0].num_rows()), (2, 4));
        let few = filter.pick(Some(&above(0, 3, &numbers)), &numbers).expect("picked");
        assert_eq!((filter.picked.len(), few[0].num_rows()), (2, 1), "another number is another condition");
        // A condition of a view that needs no column beside.
        let none = filter.pick(Some(&first), &schema(&[])).expect("picked");
        assert_eq!((none[0].num_columns(), none[0].num_rows()), (0, 2));
    }
}
