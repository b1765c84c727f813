//! DataFusion's functions that make times, over all the times that SQL can write: `to_timestamp` and its kin give
//! microseconds, as every table of Lakehead has them, and NULL for a number that is no time of the years 1 to 9999;
//! `date_trunc` takes what nanoseconds cannot hold; `now` is in microseconds.
//!
//! Each stands in front of DataFusion's function of the same name and leaves to it all that it is good at.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray},
        compute::{CastOptions, cast, cast_with_options},
        datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType},
    },
    common::{Result, ScalarValue, exec_err, internal_err},
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: the times that RFC 3339 can write.
const WRITABLE: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// 400 years of the Gregorian calendar, which then begins again with the same day of the week.
const CYCLE_MICROS: i64 = 146_097 * 86_400_000_000;

/// The functions that make a time of a number, and how many microseconds are one of it.
const MAKERS: [(&str, i64); 5] = [
    ("to_timestamp", 1_000_000),
    ("to_timestamp_seconds", 1_000_000),
    ("from_unixtime", 1_000_000),
    ("to_timestamp_millis", 1_000),
    ("to_timestamp_micros", 1),
];

/// What stands in front of `found`, which are DataFusion's functions by name.
pub(super) fn functions(found: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<ScalarUDF> {
    let mut functions = vec![ScalarUDF::from(Now::new())];
    for (name, micros_each) in MAKERS {
        functions.extend(found(name).map(|inner| ScalarUDF::from(Maker { inner, micros_each })));
    }
    functions.extend(found("date_trunc").map(|inner| ScalarUDF::from(Truncation { inner })));
    functions
}

fn micros(zone: Option<Arc<str>>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone)
}

/// `now()`, which is the same throughout a query.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    signature: Signature,
    aliases: Vec<String>,
}

impl Now {
    fn new() -> Self {
        Self { signature: Signature::nullary(Volatility::Stable), aliases: vec!["current_timestamp".to_owned()] }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(micros(Some("UTC".into())))
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), micros(Some("UTC".into())), false)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("now() is a constant before a query begins")
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(now) = info.query_execution_start_time() else { return Ok(ExprSimplifyResult::Original(args)) };
        let now = ScalarValue::TimestampMicrosecond(Some(now.timestamp_micros()), Some("UTC".into()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(now, None)))
    }
}

/// `to_timestamp(x [, format …])` and its kin.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Maker {
    inner: Arc<ScalarUDF>,
    micros_each: i64,
}

impl ScalarUDFImpl for Maker {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(micros(None))
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), micros(None), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(first) = args.args.first() else { return exec_err!("{} takes a number or a text", self.name()) };
        if args.args.len() > 1 {
            return self.inner.invoke_with_args(args)?.cast_to(&micros(None), None);
        }
        let is_scalar = matches!(first, ColumnarValue::Scalar(_));
        let values = first.to_array(if is_scalar { 1 } else { args.number_rows })?;
        let times = self.times(&values)?;
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&times, 0)?));
        }
        Ok(ColumnarValue::Array(times))
    }
}

impl Maker {
    fn times(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let writable = |time: i64| WRITABLE.contains(&time).then_some(time);
        let of_type = values.data_type();
        if of_type.is_integer() {
            let numbers = cast(values, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            let time = |number: i64| number.checked_mul(self.micros_each).and_then(writable);
            return Ok(Arc::new(numbers.iter().map(|number| time(number?)).collect::<TimestampMicrosecondArray>()));
        }
        if of_type.is_floating() || of_type.is_decimal() {
            let numbers = cast(values, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "what is cut is no time")]
            let time = |number: f64| {
                let micros = (number * self.micros_each as f64).round();
                // Far within what is exact; a NaN is in no range.
                (-1e18..1e18).contains(&micros).then_some(micros as i64).and_then(writable)
            };
            return Ok(Arc::new(numbers.iter().map(|number| time(number?)).collect::<TimestampMicrosecondArray>()));
        }
        // Text that is no time is an error, as it was.
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        Ok(cast_with_options(values, &micros(None), &strict)?)
    }
}

/// `date_trunc(unit, time)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Truncation {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Truncation {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.inner().simplify(args, info)
    }

    fn output_ordering(
        &self,
        inputs: &[datafusion::logical_expr::sort_properties::ExprProperties],
    ) -> Result<datafusion::logical_expr::sort_properties::SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Nanoseconds hold these, whatever a unit of the calendar takes off them.
        const HELD: std::ops::RangeInclusive<i64> = -9_190_000_000_000_000..=9_220_000_000_000_000;
        let is_held = |time: i64| HELD.contains(&time);
        let Some(times) = args.args.get(1) else { return self.inner.invoke_with_args(args) };
        let outside = match times {
            ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(Some(time), _)) => !is_held(*time),
            ColumnarValue::Array(array) => array
                .as_primitive_opt::<TimestampMicrosecondType>()
                .is_some_and(|times| times.iter().flatten().any(|time| !is_held(time))),
            ColumnarValue::Scalar(_) => false,
        };
        if !outside {
            return self.inner.invoke_with_args(args);
        }
        let is_scalar = matches!(times, ColumnarValue::Scalar(_));
        let times = times.to_array(args.number_rows.max(1))?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        // The calendar repeats itself, so it is cut off in the years from 1970 on and put back.
        let cycles = |time: i64| if is_held(time) { 0 } else { time.div_euclid(CYCLE_MICROS) * CYCLE_MICROS };
        let zone = times.timezone().map(Arc::<str>::from);
        let near = times.unary::<_, TimestampMicrosecondType>(|time| time.wrapping_sub(cycles(time)));
        if let Some(second) = args.args.get_mut(1) {
            *second = ColumnarValue::Array(Arc::new(near.with_timezone_opt(zone.clone())));
        }
        args.number_rows = times.len();
        let cut = self.inner.invoke_with_args(args)?.to_array(times.len())?;
        let cut = cut.as_primitive::<TimestampMicrosecondType>();
        let back = cut.iter().zip(times).map(|(cut, time)| cut?.checked_add(cycles(time?)));
        let back: ArrayRef = Arc::new(back.collect::<TimestampMicrosecondArray>().with_timezone_opt(zone));
        if is_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&back, 0)?));
        }
        Ok(ColumnarValue::Array(back))
    }
}
