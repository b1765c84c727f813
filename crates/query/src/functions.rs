//! The window functions as SQL knows them: `tumble(time, size)` is the start of the window that `time` lies in.
//!
//! In a query over history it is an ordinary function and the windows come out of GROUP BY; a view reads the call to
//! know when a window ends. So the same text gives the same rows both ways.

use std::{sync::Arc, time::Duration};

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, PrimitiveArray},
        compute::cast,
        datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
    },
    common::{Result, ScalarValue, exec_err, plan_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};
use lakehead_model::Timestamp;
use lakehead_window::Tumble;

/// The name of the tumbling window's function in SQL.
pub(crate) const TUMBLE: &str = "tumble";

/// The type of every time in Lakehead's tables: microseconds, UTC.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// `tumble` as a function to register.
pub(crate) fn tumble() -> ScalarUDF {
    ScalarUDF::from(TumbleFunction { signature: Signature::any(2, Volatility::Immutable) })
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
        match types.first() {
            Some(DataType::Timestamp(..) | DataType::Null) => Ok(time_type()),
            Some(other) => plan_err!("tumble(time, size): the time is a {other}, but must be a timestamp"),
            None => plan_err!("tumble(time, size) takes two arguments"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [time, size] = args.args.as_slice() else {
            return exec_err!("tumble(time, size) takes two arguments");
        };
        let ColumnarValue::Scalar(size) = size else {
            return exec_err!("tumble(time, size): the size must be a constant, as in INTERVAL '1 minute'");
        };
        let Some(size) = interval(size) else {
            return exec_err!(
                "tumble(time, size): the size must be a positive interval of days or less, as in INTERVAL '1 minute'"
            );
        };
        let window = match Tumble::new(size) {
            Ok(window) => window,
            Err(error) => return exec_err!("tumble(time, size): {error}"),
        };
        let times = cast(&time.to_array(args.number_rows)?, &time_type())?;
        let starts: PrimitiveArray<TimestampMicrosecondType> =
            times.as_primitive::<TimestampMicrosecondType>().unary(|time| window.window(Timestamp(time)).start.0);
        Ok(ColumnarValue::Array(Arc::new(starts.with_timezone("UTC")) as ArrayRef))
    }
}

/// The length of a constant interval, if it has one: months have none, and a window must be longer than nothing.
pub(crate) fn interval(value: &ScalarValue) -> Option<Duration> {
    let micros = match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            i64::from(interval.days).checked_mul(86_400_000_000)?.checked_add(interval.nanoseconds / 1_000)?
        }
        ScalarValue::IntervalDayTime(Some(interval)) => i64::from(interval.days)
            .checked_mul(86_400_000_000)?
            .checked_add(i64::from(interval.milliseconds) * 1_000)?,
        _ => return None,
    };
    u64::try_from(micros).ok().filter(|micros| *micros > 0).map(Duration::from_micros)
}
