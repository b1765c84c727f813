//! What each column of each event must be, by serde_json and nothing of ours, as the table that DuckDB reads.
//!
//! The decoder's own tests compare cell by cell with the same rules (`crates/decode/tests/oracle`); here they are
//! written once more so that DuckDB's answers do not depend on what is under test.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use lakehead_model::{Column, ColumnType, StreamSchema, TimeFormat, Timestamp};
use serde_json::{Value, value::RawValue};

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

/// When the event happened, as it says itself: by the first rule that can be read. Microseconds.
pub(crate) fn event_time(schema: &StreamSchema, event: &str) -> Option<i64> {
    schema.event_time.iter().find_map(|rule| micros(&read(&at(event, &rule.path)?)?, rule.format))
}

/// The text of the value at `path`; the first one where a key stands twice.
fn at(event: &str, path: &[String]) -> Option<String> {
    let Some((key, rest)) = path.split_first() else { return Some(event.to_owned()) };
    let members: Members = serde_json::from_str(event).ok()?;
    let (_, value) = members.0.into_iter().find(|(own, _)| own == key)?;
    at(value.get(), rest)
}

/// The members of an object in their order; a map would take the last of equal keys.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn read(raw: &str) -> Option<Value> {
    serde_json::from_str(raw).ok()
}

/// A text that is a number by itself, as Unix times may be.
fn number_in(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_one = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = match digits.split_once('.') {
        Some((whole, fraction)) => is_one(whole) && is_one(fraction),
        None => is_one(digits),
    };
    plain.then(|| read(text))?
}

/// The years 1678 to 2261.
fn in_range(micros: i64) -> Option<i64> {
    (-9_214_560_000_000_000..9_214_646_400_000_000).contains(&micros).then_some(micros)
}

/// A number that is an integer, however it is written.
fn whole(value: &Value) -> Option<i64> {
    let float = || value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
    #[allow(clippy::cast_possible_truncation)]
    value.as_i64().or_else(|| float().map(|float| float as i64))
}

fn micros(value: &Value, format: TimeFormat) -> Option<i64> {
    let each = match format {
        TimeFormat::Rfc3339 => return value.as_str()?.parse::<Timestamp>().ok().and_then(|time| in_range(time.0)),
        TimeFormat::UnixSeconds => 1_000_000,
        TimeFormat::UnixMillis => 1_000,
        _ => return None,
    };
    let number = value.as_str().map_or_else(|| Some(value.clone()), number_in)?;
    match number.as_i64() {
        Some(whole) => whole.checked_mul(each).and_then(in_range),
        None => {
            #[expect(clippy::cast_precision_loss, reason = "a million")]
            let micros = (number.as_f64()? * each as f64).floor();
            // What 64 bits cannot hold is no time.
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within the bounds")]
            (micros.abs() < 9.2e18).then_some(micros as i64).and_then(in_range)
        }
    }
}
