//! What Lakehead adds to SQL: the window functions, access to fields of the JSON text, and `top_k`.
//!
//! A query over history and a view are planned with the same functions, so the same text means the same. `tumble` is an
//! ordinary function of a row. `hop` and `session` are not: one event lies in several hops, and where a session begins
//! depends on other events. They are names that stand in GROUP BY; [`rewrite`](crate::rewrite) makes a query of them
//! that runs, and a view reads them with [`window_call`].

mod hop;
mod json;
mod session;
mod time;
mod top_k;
mod tumble;
mod window_call;

use std::{sync::Arc, time::Duration};

use datafusion::{
    arrow::{
        array::{AsArray, PrimitiveArray},
        compute::cast,
        datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
    },
    common::{Result, ScalarValue, config::Dialect, exec_err, plan_err},
    execution::FunctionRegistry,
    logical_expr::ColumnarValue,
    prelude::{SessionConfig, SessionContext},
};

use crate::{checked, interval};

pub(crate) use self::{
    hop::{HOP, most as hop_most, start as hop_start},
    session::{SESSION, cell as session_cell, first as session_first},
    top_k::check_call as check_top_k,
    tumble::{TUMBLE, function as tumble},
    window_call::{NOWHERE_ELSE, window_call},
};

/// The type of every time in Lakehead's tables: microseconds, UTC.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// What every session is set up with: PostgreSQL's reading of SQL, since only there `data ->> 'a' = 'x'` compares a
/// field with a text; elsewhere `=` binds closer than `->>`.
pub(crate) fn config() -> SessionConfig {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    // So that an error can say where.
    config.options_mut().sql_parser.collect_spans = true;
    config
}

/// Makes all of Lakehead's functions known to `context`.
pub(crate) fn register(context: &SessionContext) -> Result<()> {
    context.register_udf(tumble::function());
    context.register_udf(hop::function());
    context.register_udf(session::function());
    context.register_udaf(top_k::function());
    checked::register(context)?;
    json::functions().for_each(|function| context.register_udf(function));
    let found = |name: &str| context.udf(name).ok();
    time::functions(found).into_iter().for_each(|function| context.register_udf(function));
    context.state_ref().write().register_expr_planner(Arc::new(json::Operators))
}

/// The type of a window's start, where the first of `types`, that of the time, is one.
fn start_type(usage: &str, types: &[DataType]) -> Result<DataType> {
    match types.first() {
        Some(DataType::Timestamp(..) | DataType::Null) => Ok(time_type()),
        Some(other) => plan_err!("{usage}: the time is a {other}, but must be a timestamp"),
        None => plan_err!("{usage} begins with a time"),
    }
}

/// A column of times as Lakehead's, whatever their unit and zone were.
fn times(time: Option<&ColumnarValue>, rows: usize) -> Result<PrimitiveArray<TimestampMicrosecondType>> {
    let Some(time) = time else { return exec_err!("there is no time") };
    Ok(cast(&time.to_array(rows)?, &time_type())?.as_primitive::<TimestampMicrosecondType>().clone())
}

/// The length of a constant interval: a day is 24 hours, a month has no length.
fn length(value: &ScalarValue) -> Result<Duration, String> {
    let Span { months: 0, days, micros } = span(value)? else {
        return Err(format!("{} has no fixed length: use days, hours, minutes or seconds", shown(value)));
    };
    let micros = i64::from(days).checked_mul(86_400_000_000).and_then(|days| days.checked_add(micros));
    let micros = micros.and_then(|micros| u64::try_from(micros).ok()).filter(|micros| *micros > 0);
    micros.map(Duration::from_micros).ok_or_else(|| format!("{} is no length: it must be above zero", shown(value)))
}

/// A constant as a person writes it.
fn shown(value: &ScalarValue) -> String {
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
struct Span {
    months: i32,
    days: i32,
    micros: i64,
}

fn span(value: &ScalarValue) -> Result<Span, String> {
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
