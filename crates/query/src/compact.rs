//! Rows in buffers of their own.
//!
//! Rows that come out of an aggregation or a filter are often slices and views of buffers that hold many more. In memory that
//! costs nothing; but whoever writes them to a file, each with the whole of its buffers, writes most of it many times.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StructArray},
    buffer::OffsetBuffer,
    datatypes::DataType,
    error::ArrowError,
};

/// `batch` with nothing in its buffers but its own rows, as far as texts and bytes are concerned.
pub(crate) fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(own).collect::<Result<_, _>>()?;
    RecordBatch::try_new(batch.schema(), columns)
}

/// `batch` with lists and structures in buffers of their own. Texts beside them are as they are: what an aggregation says in
/// plain columns is its own already.
pub(crate) fn lists(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let is_nested = |column: &ArrayRef| column.data_type().is_nested();
    if !batch.columns().iter().any(is_nested) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter();
    let columns = columns.map(|column| if is_nested(column) { own(column) } else { Ok(Arc::clone(column)) });
    RecordBatch::try_new(batch.schema(), columns.collect::<Result<_, _>>()?)
}

fn own(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let offsets = list.offsets();
            let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
            let values =
                list.values().slice(usize::try_from(first).unwrap_or(0), (last - first).unsigned_abs() as usize);
            let offsets = OffsetBuffer::new(offsets.iter().map(|offset| offset - first).collect());
            Arc::new(ListArray::try_new(Arc::clone(field), offsets, own(&values)?, list.nulls().cloned())?)
        }
        DataType::Struct(fields) => {
            let parts = array.as_struct();
            let columns = parts.columns().iter().map(own).collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, parts.nulls().cloned(), parts.len())?)
        }
        _ => Arc::clone(array),
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{ListBuilder, StringViewArray, StringViewBuilder},
        datatypes::{Field, Fields, Schema},
    };

    use super::*;

    /// The bytes of all texts in it, counted by buffer.
    fn text_bytes(array: &dyn Array) -> usize {
        let data = array.to_data();
        let own = match array.data_type() {
            DataType::Utf8View => data.buffers().iter().skip(1).map(|buffer| buffer.len()).sum(),
            _ => 0,
        };
        let children =
            data.child_data().iter().map(|child| text_bytes(&*datafusion::arrow::array::make_array(child.clone())));
        own + children.sum::<usize>()
    }

    #[test]
    fn a_slice_keeps_its_rows_and_leaves_the_others_behind() {
        let text = |n: usize| format!("a text that is no short one, {n}");
        let texts = StringViewArray::from_iter((0..1000).map(|n| (n % 7 > 0).then(|| text(n))));
        let mut lists = ListBuilder::new(StringViewBuilder::new());
        for n in 0..1000 {
            (0..n % 3).for_each(|i| lists.values().append_value(text(n + i)));
            lists.append(n % 5 > 0);
        }
        let lists = lists.finish();
        let fields = Fields::from(vec![Field::new("text", DataType::Utf8View, true)]);
        let structs = StructArray::new(fields, vec![Arc::new(texts.clone()) as ArrayRef], None);
        let columns: Vec<ArrayRef> = vec![Arc::new(texts), Arc::new(lists), Arc::new(structs)];
        let fields = columns.iter().enumerate().map(|(n, c)| Field::new(format!("{n}"), c.data_type().clone(), true));
        let whole = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).expect("a batch");
        for (from, rows) in [(0, 1000), (100, 10), (999, 1), (500, 0)] {
            let slice = whole.slice(from, rows);
            let compacted = compact(&slice).expect("it can be copied");
            assert_eq!(compacted, slice);
            for column in compacted.columns() {
                assert!(text_bytes(column) <= rows * 3 * text(1000).len(), "{from} {rows}");
            }
        }
    }
}
