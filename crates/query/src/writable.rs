//! Whether the times in an answer can be written as text.
//!
//! Arrow writes a time that its calendar does not reach (beyond some 262,000 years) as the text of an error in the middle of
//! the answer, which is then no JSON. So an answer is looked through before a byte of it is written. Times of events are far
//! within; such times come of arithmetic and casts.

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type},
    util::display::{ArrayFormatter, FormatOptions},
};

use crate::error::Error;

/// Looks through all columns of `batch`.
///
/// # Errors
/// [`Error::Sql`], naming the column, when a time in it cannot be written.
pub(crate) fn check(batch: &RecordBatch) -> Result<(), Error> {
    let schema = batch.schema();
    schema.fields().iter().zip(batch.columns()).try_for_each(|(field, column)| look(field.name(), column))
}

fn look(name: &str, column: &ArrayRef) -> Result<(), Error> {
    match column.data_type() {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => times(name, column),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let offsets = list.value_offsets();
            let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
            let (first, last) = (usize::try_from(first).unwrap_or(0), usize::try_from(last).unwrap_or(0));
            look(name, &list.values().slice(first, last.saturating_sub(first)))
        }
        DataType::LargeList(_) => look(name, column.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => look(name, column.as_fixed_size_list().values()),
        DataType::Struct(_) => column.as_struct().columns().iter().try_for_each(|part| look(name, part)),
        DataType::Map(..) => column.as_map().entries().columns().iter().try_for_each(|part| look(name, part)),
        DataType::Dictionary(..) => look(name, column.as_any_dictionary().values()),
        _ => Ok(()),
    }
}

fn times(name: &str, column: &ArrayRef) -> Result<(), Error> {
    let numbers = cast(column, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>();
    // What lies between two that can be written can be written.
    let places = || numbers.iter().enumerate().filter_map(|(place, number)| Some((number?, place)));
    let ends = [places().min(), places().max()];
    let options = FormatOptions::new().with_display_error(false);
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
    for (_, place) in ends.into_iter().flatten() {
        if let Err(error) = formatter.value(place).try_to_string() {
            return Err(Error::Sql(format!(
                "the column {name:?} has a time that cannot be written ({error}); times that can be are of the years -262143 \
                 to 262142: leave it out, or compute with less"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Date32Array, TimestampMicrosecondArray, TimestampSecondArray};

    use super::*;

    fn checked(column: ArrayRef) -> Result<(), String> {
        let batch = RecordBatch::try_from_iter([("when", column)]).expect("a batch");
        check(&batch).map_err(|error| error.to_string())
    }

    #[test]
    fn a_time_beyond_the_calendar_is_refused_with_its_column() {
        let micros = |times: Vec<Option<i64>>| Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
        assert_eq!(
            checked(micros(vec![None, Some(0), Some(253_402_300_799_999_999), Some(-62_135_596_800_000_000)])),
            Ok(())
        );
        assert_eq!(checked(micros(vec![])), Ok(()));
        for far in [i64::MAX, i64::MIN] {
            let error = checked(micros(vec![Some(0), Some(far), Some(1)])).expect_err("too far");
            assert!(error.contains("the column \"when\" has a time that cannot be written"), "{error}");
        }
        assert!(checked(Arc::new(TimestampSecondArray::from(vec![i64::MAX]))).is_err());
        assert!(checked(Arc::new(Date32Array::from(vec![i32::MAX]))).is_err());
        assert_eq!(checked(Arc::new(Date32Array::from(vec![0]))), Ok(()));
    }
}
