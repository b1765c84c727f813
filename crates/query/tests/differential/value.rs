//! Answers as plain values, the same whoever gave them: from Arrow, and from the text that the DuckDB side prints.

use std::fmt;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{
        DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
        TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use serde_json::Value as Json;

/// A value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    /// `unscaled` times ten to the power of minus `scale`, without zeros at the end.
    Decimal {
        unscaled: i128,
        scale: u32,
    },
    Float(f64),
    Text(String),
    /// Microseconds, UTC.
    Time(i64),
    List(Vec<Value>),
    Struct(Vec<(String, Value)>),
}

/// A row of an answer.
pub(crate) type Row = Vec<Value>;

impl Value {
    fn decimal(mut unscaled: i128, mut scale: u32) -> Self {
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        Self::Decimal { unscaled, scale }
    }

    /// Whether there is a float in it, so that it cannot name a row.
    pub(crate) fn has_float(&self) -> bool {
        match self {
            Self::Float(_) => true,
            Self::List(items) => items.iter().any(Self::has_float),
            Self::Struct(members) => members.iter().any(|(_, value)| value.has_float()),
            _ => false,
        }
    }

    /// As microseconds, where it is a time.
    pub(crate) fn time(&self) -> Option<i64> {
        match self {
            Self::Time(micros) => Some(*micros),
            _ => None,
        }
    }

    /// As a number, where it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "for comparisons with a tolerance")]
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Decimal { unscaled, scale } => write!(f, "{unscaled}e-{scale}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Time(micros) => write!(f, "{}", lakehead_model::Timestamp(*micros)),
            Self::List(items) => f.debug_list().entries(items.iter().map(ToString::to_string)).finish(),
            Self::Struct(members) => {
                f.debug_map().entries(members.iter().map(|(name, value)| (name, value.to_string()))).finish()
            }
        }
    }
}

/// The rows of Lakehead's answer.
pub(crate) fn rows(batches: &[RecordBatch]) -> Vec<Row> {
    let of = |batch: &RecordBatch| {
        let row = |row: usize| batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect();
        (0..batch.num_rows()).map(row).collect::<Vec<Row>>()
    };
    batches.iter().flat_map(of).collect()
}

fn cell(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    macro_rules! int {
        ($type:ty) => {
            Value::Int(i128::from(array.as_primitive::<$type>().value(row)))
        };
    }
    let list = |items: &dyn Array| Value::List((0..items.len()).map(|item| cell(items, item)).collect());
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => int!(Int8Type),
        DataType::Int16 => int!(Int16Type),
        DataType::Int32 => int!(Int32Type),
        DataType::Int64 => int!(Int64Type),
        DataType::UInt8 => int!(UInt8Type),
        DataType::UInt16 => int!(UInt16Type),
        DataType::UInt32 => int!(UInt32Type),
        DataType::UInt64 => int!(UInt64Type),
        DataType::Float32 => Value::Float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            let scale = u32::try_from(*scale).expect("no negative scales");
            Value::decimal(array.as_primitive::<Decimal128Type>().value(row), scale)
        }
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Value::Text(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row).to_owned()),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
            Value::Time(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let member = |(field, column): (&arrow::datatypes::FieldRef, &arrow::array::ArrayRef)| {
                (field.name().clone(), cell(column.as_ref(), row))
            };
            Value::Struct(fields.iter().zip(columns).map(member).collect())
        }
        other => panic!("an answer of Lakehead has a column of the type {other}, which no table of it has"),
    }
}

/// A value as `duckdb_side.py` prints it: text begins with a letter for its type.
pub(crate) fn from_duckdb(json: &Json) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Array(items) => Value::List(items.iter().map(from_duckdb).collect::<Result<_, _>>()?),
        Json::Object(members) => {
            let member = |(name, value): (&String, &Json)| Ok((name.clone(), from_duckdb(value)?));
            Value::Struct(members.iter().map(member).collect::<Result<_, String>>()?)
        }
        Json::Number(_) => return Err(format!("{json} has no type")),
        Json::String(text) => {
            let wrong = |e: &dyn fmt::Display| format!("{text:?} is not what its first letter says: {e}");
            let rest = text.get(1..).unwrap_or_default();
            match text.bytes().next() {
                Some(b's') => Value::Text(rest.to_owned()),
                Some(b'i') => Value::Int(rest.parse().map_err(|e| wrong(&e))?),
                Some(b'f') => Value::Float(rest.parse().map_err(|e| wrong(&e))?),
                Some(b't') => Value::Time(rest.parse().map_err(|e| wrong(&e))?),
                Some(b'd') => {
                    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
                    let unscaled = format!("{whole}{fraction}").parse().map_err(|e| wrong(&e))?;
                    Value::decimal(unscaled, u32::try_from(fraction.len()).expect("short"))
                }
                _ => return Err(wrong(&"no such letter")),
            }
        }
    })
}
