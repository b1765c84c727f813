//! Compares every cell that the decoder makes with what serde_json reads of the event.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType},
};
use bytes::Bytes;
use lakehead_decode::{Decoder, Events, table_schema};
use lakehead_model::{Column, ColumnType, Offset, StreamSchema, TimeFormat, Timestamp};
use lakehead_testkit::oracle::{at, event_time, micros, read, whole};
use serde_json::Value;

/// Decodes all columns of `events` and compares every cell.
#[track_caller]
pub(crate) fn check<T: AsRef<str>>(schema: &StreamSchema, events: &[T]) {
    let (payload, ends) = lines(events);
    let table = table_schema(schema);
    let wanted: Vec<_> = table.fields().iter().map(|field| field.name().clone()).collect();
    let decoder = Decoder::new(schema, &wanted).expect("its own columns");
    assert_eq!(decoder.schema(), table);
    let block = Events { payload: &payload, ends: &ends, first_offset: Offset(40), received_time: Timestamp(77) };
    let batch = decoder.decode(&block).expect("valid events");
    assert_eq!((batch.num_rows(), batch.schema()), (events.len(), table));

    for (row, event) in events.iter().enumerate() {
        let event = event.as_ref();
        let offset = i64::try_from(row).expect("few rows") + 40;
        assert_eq!(int(&batch, "event_offset", row), Some(offset));
        assert_eq!(time(&batch, "received_time", row), Some(77));
        assert_eq!(text(&batch, "data", row).as_deref(), Some(event));
        assert_eq!(time(&batch, "event_time", row), event_time(schema, event), "event_time of {event}");
        for column in &schema.columns {
            compare(&batch, column, row, event);
            if matches!(column.column_type, ColumnType::Text | ColumnType::Json) && !event.contains('\\') {
                assert_shared(&batch, &column.name, row, &payload);
            }
        }
        assert_shared(&batch, "data", row, &payload);
    }
}

/// The payload and the ends of a block of these events.
pub(crate) fn lines<T: AsRef<str>>(events: &[T]) -> (Bytes, Vec<u32>) {
    let mut payload = String::new();
    let mut ends = Vec::new();
    for event in events {
        payload += event.as_ref();
        payload += "\n";
        ends.push(u32::try_from(payload.len()).expect("a small block"));
    }
    (payload.into(), ends)
}

fn compare(batch: &RecordBatch, column: &Column, row: usize, event: &str) {
    let name = &column.name;
    let raw = at(event, &column.path);
    let value = raw.as_deref().and_then(read);
    let context = format!("{name} of {event}");
    if let Some(expected) = &column.equals {
        let equal = value.as_ref().and_then(Value::as_str).is_some_and(|text| text == expected);
        return assert_eq!(bool(batch, name, row), Some(equal), "{context}");
    }
    match column.column_type {
        ColumnType::Text => {
            let expected = match (&value, &raw) {
                (Some(value), _) => value.as_str().map(str::to_owned),
                // serde_json refuses a lone surrogate; what becomes of it is tested in the json crate.
                (None, Some(raw)) if raw.starts_with('"') => text(batch, name, row),
                _ => None,
            };
            assert_eq!(text(batch, name, row), expected, "{context}");
        }
        // As it is written, but for null.
        ColumnType::Json => {
            assert_eq!(text(batch, name, row), raw.filter(|raw| raw != "null"), "{context}");
        }
        ColumnType::Int64 => {
            let expected = value.as_ref().and_then(whole);
            assert_eq!(int(batch, name, row), expected, "{context}");
        }
        ColumnType::Float64 => {
            let expected = value.and_then(|value| value.as_f64());
            assert_eq!(float(batch, name, row), expected, "{context}");
        }
        ColumnType::Bool => assert_eq!(bool(batch, name, row), value.and_then(|value| value.as_bool()), "{context}"),
        ColumnType::Timestamp => {
            let read = |format| value.as_ref().and_then(|value| micros(value, format));
            let expected = read(TimeFormat::Rfc3339).or_else(|| read(TimeFormat::UnixSeconds));
            assert_eq!(time(batch, name, row), expected, "{context}");
        }
    }
}

/// A text that is too long for its view and was written without escapes lies in the payload itself.
fn assert_shared(batch: &RecordBatch, name: &str, row: usize, payload: &Bytes) {
    let column = batch.column_by_name(name).expect("a column").as_string_view();
    if column.is_valid(row) && column.value(row).len() > 12 {
        assert!(payload.as_ptr_range().contains(&column.value(row).as_ptr()), "{name} of row {row} was copied");
    }
}

fn cell<'b>(batch: &'b RecordBatch, name: &str, row: usize) -> Option<&'b dyn Array> {
    let column = batch.column_by_name(name).expect("a column");
    column.is_valid(row).then_some(&**column)
}

fn text(batch: &RecordBatch, name: &str, row: usize) -> Option<String> {
    Some(cell(batch, name, row)?.as_string_view().value(row).to_owned())
}

fn int(batch: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    Some(cell(batch, name, row)?.as_primitive::<Int64Type>().value(row))
}

fn float(batch: &RecordBatch, name: &str, row: usize) -> Option<f64> {
    Some(cell(batch, name, row)?.as_primitive::<Float64Type>().value(row))
}

fn bool(batch: &RecordBatch, name: &str, row: usize) -> Option<bool> {
    Some(cell(batch, name, row)?.as_boolean().value(row))
}

fn time(batch: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    let column = cell(batch, name, row)?;
    assert!(matches!(column.data_type(), DataType::Timestamp(_, Some(zone)) if &**zone == "UTC"));
    Some(column.as_primitive::<TimestampMicrosecondType>().value(row))
}
