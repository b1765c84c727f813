//! `tumble(time, size [, zone])`: the start of the window that `time` lies in.
//!
//! Without a zone a window of days or less is a fixed length of time, counted from 1970 in UTC, and one of months is
//! months of the calendar in UTC. With a zone, days and months are those of the calendar there: the day on which clocks
//! change has 23 or 25 hours. A row without a time has no window.

use std::{cell::Cell, sync::Arc, time::Duration};

use datafusion::{
    arrow::{
        array::{ArrayRef, PrimitiveArray},
        datatypes::{DataType, TimestampMicrosecondType},
    },
    common::{Result, ScalarValue, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility},
};
use lakehead_model::{TimeRange, Timestamp};
use lakehead_window::{Calendar, Step, Tumble, Windows};

use super::arguments::{Span, length, shown, span, start_type, times};

/// The name of the tumbling window's function in SQL.
pub(crate) const TUMBLE: &str = "tumble";

pub(super) const USAGE: &str = "tumble(time, size [, zone])";

/// `tumble` as a function to register.
pub(crate) fn function() -> ScalarUDF {
    let signature = Signature::one_of(vec![TypeSignature::Any(2), TypeSignature::Any(3)], Volatility::Immutable);
    ScalarUDF::from(TumbleFunction { signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TumbleFunction {
    signature: Signature,
}

impl ScalarUDFImpl for TumbleFunction {
    fn name(&self) -> &str {
        TUMBLE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        start_type(USAGE, types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut constants = Vec::new();
        for arg in args.args.iter().skip(1) {
            let ColumnarValue::Scalar(constant) = arg else {
                return exec_err!("{USAGE}: size and zone must be constants, as in INTERVAL '1 minute'");
            };
            constants.push(constant);
        }
        let windows = match windows(&constants) {
            Ok(windows) => windows,
            Err(why) => return exec_err!("{USAGE}: {why}"),
        };
        let starts = starts(&windows, &times(args.args.first(), args.number_rows)?);
        Ok(ColumnarValue::Array(Arc::new(starts.with_timezone("UTC")) as ArrayRef))
    }
}

/// The windows that the constants behind the time stand for.
pub(super) fn windows(constants: &[&ScalarValue]) -> Result<Windows, String> {
    let (size, zone) = match constants {
        [size] => (size, None),
        [size, zone] => (size, Some(zone)),
        _ => return Err("it takes a time, a size and perhaps a time zone".into()),
    };
    let zone = match zone.map(|zone| zone.try_as_str()) {
        None => None,
        Some(Some(Some(zone))) => Some(zone),
        Some(_) => return Err("the zone must be a text, as in 'Europe/Berlin'".into()),
    };
    let positive = |value: i32| u32::try_from(value).ok().filter(|value| *value > 0);
    let negative = || format!("{} is no size: it must be above zero", shown(size));
    let step = match (span(size)?, zone) {
        (Span { months: 0, days: 0, micros }, Some(_)) => {
            let micros = u64::try_from(micros).ok().filter(|micros| *micros > 0).ok_or_else(negative)?;
            Step::Within(Duration::from_micros(micros))
        }
        (Span { months: 0, days, micros: 0 }, Some(_)) => Step::Days(positive(days).ok_or_else(negative)?),
        (Span { months: 0, .. }, None) => {
            return Tumble::new(length(size)?).map(Windows::Tumble).map_err(|error| error.to_string());
        }
        (Span { months, days: 0, micros: 0 }, _) => Step::Months(positive(months).ok_or_else(negative)?),
        _ => {
            return Err(format!(
                "{} mixes units: a window of the calendar is some months, some days, or a part of a day",
                shown(size)
            ));
        }
    };
    Calendar::new(step, zone.unwrap_or("UTC")).map(Windows::Calendar).map_err(|error| error.to_string())
}

fn starts(
    windows: &Windows,
    times: &PrimitiveArray<TimestampMicrosecondType>,
) -> PrimitiveArray<TimestampMicrosecondType> {
    match windows {
        Windows::Tumble(tumble) => times.unary(|time| tumble.window(Timestamp(time)).start.0),
        Windows::Calendar(calendar) => {
            // Asking a calendar is slow beside arithmetic, and events come about in order of time.
            let last = Cell::new(TimeRange { start: Timestamp(0), end: Timestamp(0) });
            let start = |time| {
                if !last.get().contains(time) {
                    last.set(calendar.window(time));
                }
                last.get().start.0
            };
            times.iter().map(|time| time.map(|time| start(Timestamp(time)))).collect()
        }
        Windows::Hop(_) | Windows::Session(_) => unreachable!("windows() of this file makes no others"),
    }
}
