//! `hop(time, slide, size)`: windows of `size`, one beginning each `slide`, so that an event lies in several.
//!
//! The function stands in GROUP BY and is never called. What runs in its stead is every row once for each number of a
//! window, counted back from the last one that the time lies in, and the start of that window.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray, PrimitiveArray},
        datatypes::{DataType, Int64Type, TimestampMicrosecondType},
    },
    common::{Result, ScalarValue, exec_err},
    logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};
use lakehead_model::Timestamp;
use lakehead_window::Hop;

use super::{
    arguments::{length, time_type, times},
    placeholder::placeholder,
};

/// The name of the hopping window's function in SQL.
pub(crate) const HOP: &str = "hop";

pub(super) const USAGE: &str = "hop(time, slide, size)";

/// `hop` as a function to register.
pub(super) fn function() -> ScalarUDF {
    placeholder(HOP, USAGE, Signature::any(3, Volatility::Immutable))
}

/// The windows that the constants behind the time stand for.
pub(super) fn windows(constants: &[&ScalarValue]) -> Result<Hop, String> {
    let [slide, size] = constants else { return Err("it takes a time, a slide and a size".into()) };
    Hop::new(length(slide)?, length(size)?).map_err(|error| error.to_string())
}

/// How many windows a time lies in at most.
pub(crate) fn most(hop: Hop) -> i64 {
    let windows = hop.size().as_micros().div_ceil(hop.slide().as_micros().max(1));
    i64::try_from(windows).unwrap_or(i64::MAX)
}

/// The start of the `nth` window back from the last one that `time` lies in; NULL where `time` is not in that one.
pub(crate) fn start(hop: Hop, time: Expr, nth: Expr) -> Expr {
    ScalarUDF::from(Start { hop, signature: Signature::any(2, Volatility::Immutable) }).call(vec![time, nth])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Start {
    hop: Hop,
    signature: Signature,
}

impl ScalarUDFImpl for Start {
    fn name(&self) -> &str {
        "__hop_start"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(time_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let times = times(args.args.first(), args.number_rows)?;
        let Some(nth) = args.args.get(1) else { return exec_err!("there is no number of a window") };
        let nth = nth.to_array(args.number_rows)?;
        let slide_micros = i64::try_from(self.hop.slide().as_micros()).unwrap_or(i64::MAX);
        let start = |(time, nth): (Option<i64>, Option<i64>)| {
            let (time, nth) = (Timestamp(time?), nth?);
            let start = self.hop.last_over(time).start.0.saturating_sub(nth.saturating_mul(slide_micros));
            self.hop.window(Timestamp(start)).contains(time).then_some(start)
        };
        let starts: PrimitiveArray<TimestampMicrosecondType> =
            times.iter().zip(nth.as_primitive::<Int64Type>()).map(start).collect();
        Ok(ColumnarValue::Array(Arc::new(starts.with_timezone("UTC")) as ArrayRef))
    }
}
