//! A stream as a table: the columns that every stream has, and those that its schema declares.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use lakehead_model::{Column, ColumnType, StreamSchema};

/// The event's position in its stream: Int64, since no stream reaches 2^63 events and SQL has no unsigned integers.
pub const EVENT_OFFSET: &str = "event_offset";
/// When it happened, as the event says; NULL when it does not.
pub const EVENT_TIME: &str = "event_time";
/// When it was first seen here.
pub const RECEIVED_TIME: &str = "received_time";
/// The whole event, as it was received.
pub const DATA: &str = "data";

/// The table of a stream: `event_offset`, `event_time`, `received_time`, the declared columns in their order, `data`.
/// Times are microseconds in UTC; text and JSON are Utf8View.
#[must_use]
pub fn table_schema(schema: &StreamSchema) -> SchemaRef {
    let mut fields = vec![
        Field::new(EVENT_OFFSET, DataType::Int64, false),
        Field::new(EVENT_TIME, time(), true),
        Field::new(RECEIVED_TIME, time(), false),
    ];
    fields.extend(schema.columns.iter().map(field));
    fields.push(Field::new(DATA, DataType::Utf8View, false));
    Arc::new(Schema::new(fields))
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn field(column: &Column) -> Field {
    if column.equals.is_some() {
        return Field::new(&column.name, DataType::Boolean, false);
    }
    let data_type = match column.column_type {
        ColumnType::Text | ColumnType::Json => DataType::Utf8View,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Timestamp => time(),
    };
    Field::new(&column.name, data_type, true)
}
