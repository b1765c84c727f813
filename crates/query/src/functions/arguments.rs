//! The arguments of the window functions: a column of times, and constants that are lengths of time.

use std::time::Duration;

use datafusion::{
    arrow::{
        array::{AsArray, PrimitiveArray},
        compute::cast,
        datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
    },
    common::{Result, ScalarValue, exec_err, plan_err},
    logical_expr::ColumnarValue,
};

use crate::interval;

/// The type of every time in Lakehead's tables: microseconds, UTC.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The type of a window's start, where the first of `types`, that of the time, is one.
pub(super) fn start_type(usage: &str, types: &[DataType]) -> Result<DataType> {
    match types.first() {
        Some(DataType::Timestamp(..) | DataType::Null) => Ok(time_type()),
        Some(other) => plan_err!("{usage}: the time is a {other}, but must be a timestamp"),
        None => plan_err!("{usage} begins with a time"),
    }
}

/// A column of times as Lakehead's, whatever their unit and zone were.
pub(super) fn times(time: Option<&ColumnarValue>, rows: usize) -> Result<PrimitiveArray<TimestampMicrosecondType>> {
    let Some(time) = time else { return exec_err!("there is no time") };
    Ok(cast(&time.to_array(rows)?, &time_type())?.as_primitive::<TimestampMicrosecondType>().clone())
}

/// The length of a constant interval: a day is 24 hours, a month has no length.
pub(super) fn length(value: &ScalarValue) -> Result<Duration, String> {
    let Span { months: 0, days, micros } = span(value)? else {
        return Err(format!("{} has no fixed length: use days, hours, minutes or seconds", shown(value)));
    };
    let micros = i64::from(days).checked_mul(86_400_000_000).and_then(|days| days.checked_add(micros));
    let micros = micros.and_then(|micros| u64::try_from(micros).ok()).filter(|micros| *micros > 0);
    micros.map(Duration::from_micros).ok_or_else(|| format!("{} is no length: it must be above zero", shown(value)))
}

/// A constant as a person writes it.
pub(super) fn shown(value: &ScalarValue) -> String {
    match value {
        ScalarValue::IntervalMonthDayNano(Some(parts)) => {
            interval::in_words(parts.months, parts.days, parts.nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(parts)) => {
            interval::in_words(0, parts.days, i64::from(parts.milliseconds) * 1_000_000)
        }
        ScalarValue::IntervalYearMonth(Some(months)) => interval::in_words(*months, 0, 0),
        other => other.to_string(),
    }
}

/// An interval in its three parts, none of which can be turned into another.
pub(super) struct Span {
    pub(super) months: i32,
    pub(super) days: i32,
    pub(super) micros: i64,
}

pub(super) fn span(value: &ScalarValue) -> Result<Span, String> {
    match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.nanoseconds % 1_000 != 0 => {
            Err(format!("{} is finer than a microsecond", shown(value)))
        }
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            Ok(Span { months: interval.months, days: interval.days, micros: interval.nanoseconds / 1_000 })
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            Ok(Span { months: 0, days: interval.days, micros: i64::from(interval.milliseconds) * 1_000 })
        }
        ScalarValue::IntervalYearMonth(Some(months)) => Ok(Span { months: *months, days: 0, micros: 0 }),
        other => Err(format!("{other} is no interval; write one as in INTERVAL '1 minute'")),
    }
}
