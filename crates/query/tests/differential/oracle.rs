//! What each column of each event must be, by serde_json and nothing of ours, as the table that DuckDB reads.
//!
//! The decoder's own tests compare cell by cell with the same rules ([`lakehead_testkit::oracle`]).

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use lakehead_model::{Column, ColumnType, TimeFormat, Timestamp};
use lakehead_testkit::oracle::{at, event_time, micros, read, whole};
use serde_json::Value;

use crate::table::Table;

/// All columns of all events. Times are without a zone: all are UTC.
pub(crate) fn decoded(table: &Table) -> RecordBatch {
    let events: Vec<(&str, Timestamp)> = table.events().collect();
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let mut fields = vec![
        Field::new("event_offset", DataType::Int64, false),
        Field::new("event_time", time.clone(), true),
        Field::new("received_time", time.clone(), false),
    ];
    let offsets = 0..i64::try_from(events.len()).expect("few events");
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(offsets)),
        Arc::new(TimestampMicrosecondArray::from_iter(
            events.iter().map(|(event, _)| event_time(&table.schema, event)),
        )),
        Arc::new(TimestampMicrosecondArray::from_iter_values(events.iter().map(|(_, received)| received.0))),
    ];
    for column in &table.schema.columns {
        let raws: Vec<Option<String>> = events.iter().map(|(event, _)| at(event, &column.path)).collect();
        let (data_type, values) = cells(column, &raws);
        fields.push(Field::new(&column.name, data_type, true));
        columns.push(values);
    }
    fields.push(Field::new("data", DataType::Utf8, false));
    columns.push(Arc::new(StringArray::from_iter_values(events.iter().map(|(event, _)| event))));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of one length")
}

fn cells(column: &Column, raws: &[Option<String>]) -> (DataType, ArrayRef) {
    let values = || raws.iter().map(|raw| raw.as_deref().and_then(read));
    if let Some(text) = &column.equals {
        let equal = values().map(|value| Some(value.as_ref().and_then(Value::as_str) == Some(text)));
        return (DataType::Boolean, Arc::new(BooleanArray::from_iter(equal)));
    }
    match column.column_type {
        ColumnType::Text => {
            let text = values().map(|value| value.and_then(|value| value.as_str().map(str::to_owned)));
            (DataType::Utf8, Arc::new(StringArray::from_iter(text)))
        }
        // As it is written, but for null.
        ColumnType::Json => {
            let json = raws.iter().map(|raw| raw.as_deref().filter(|raw| *raw != "null"));
            (DataType::Utf8, Arc::new(StringArray::from_iter(json)))
        }
        ColumnType::Int64 => {
            let whole = values().map(|value| value.as_ref().and_then(whole));
            (DataType::Int64, Arc::new(Int64Array::from_iter(whole)))
        }
        ColumnType::Float64 => {
            // serde_json reads a number to the last digit only when it is built to.
            let float = |raw: &Option<String>| {
                raw.as_deref().filter(|raw| read(raw).is_some_and(|value| value.is_number()))?.parse::<f64>().ok()
            };
            (DataType::Float64, Arc::new(Float64Array::from_iter(raws.iter().map(float))))
        }
        ColumnType::Bool => {
            let bools = values().map(|value| value.and_then(|value| value.as_bool()));
            (DataType::Boolean, Arc::new(BooleanArray::from_iter(bools)))
        }
        ColumnType::Timestamp => {
            let time =
                |value: Value| micros(&value, TimeFormat::Rfc3339).or_else(|| micros(&value, TimeFormat::UnixSeconds));
            let times = values().map(|value| value.and_then(time));
            let data_type = DataType::Timestamp(TimeUnit::Microsecond, None);
            (data_type, Arc::new(TimestampMicrosecondArray::from_iter(times)))
        }
    }
}
