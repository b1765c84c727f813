//! One zero and one NaN: what a float expression makes is minus zero never, and NaN of one kind.
//!
//! Arrow orders floats by their bits, in which minus zero is another number than zero and there are many NaN. Where numbers
//! are grouped, made distinct, joined, sorted or compared, that would show. So each is made plain where it comes to be: in the
//! decoder, and here around every expression that could make one.

use std::sync::{Arc, LazyLock};

use datafusion::{
    arrow::{
        array::{AsArray, PrimitiveArray},
        datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type},
    },
    common::{Result, ScalarValue, exec_err},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, expr::ScalarFunction,
    },
};

/// Its name; no function of SQL has it.
pub(super) const NAME: &str = "__plain";

static PLAIN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Plain { signature }))
});

/// `expression`, made plain.
pub(super) fn plain(expression: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&PLAIN), vec![expression]))
}

/// Whether values of this type are made plain.
pub(super) fn is_float(kind: &DataType) -> bool {
    matches!(kind, DataType::Float32 | DataType::Float64)
}

/// The one number that stands for all that are equal to `value`.
fn plain64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn plain32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value + 0.0 }
}

/// A literal, made plain.
pub(super) fn literal(value: &ScalarValue) -> Option<ScalarValue> {
    match value {
        ScalarValue::Float64(Some(value)) if plain64(*value).to_bits() != value.to_bits() => {
            Some(ScalarValue::Float64(Some(plain64(*value))))
        }
        ScalarValue::Float32(Some(value)) if plain32(*value).to_bits() != value.to_bits() => {
            Some(ScalarValue::Float32(Some(plain32(*value))))
        }
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Plain {
    signature: Signature,
}

fn each<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>, plain: impl Fn(T::Native) -> T::Native) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(values.unary::<_, T>(plain)))
}

impl ScalarUDFImpl for Plain {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Float64))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(ColumnarValue::Array(values)) => Ok(match values.data_type() {
                DataType::Float64 => each(values.as_primitive::<Float64Type>(), plain64),
                DataType::Float32 => each(values.as_primitive::<Float32Type>(), plain32),
                _ => ColumnarValue::Array(values),
            }),
            Some(ColumnarValue::Scalar(value)) => Ok(ColumnarValue::Scalar(literal(&value).unwrap_or(value))),
            None => exec_err!("there is no number to make plain"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_zero_and_one_nan() {
        assert_eq!(plain64(-0.0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(plain64(-f64::NAN).to_bits(), f64::NAN.to_bits());
        assert_eq!(plain32(-0.0).to_bits(), 0.0_f32.to_bits());
        for same in [0.0, 1.5, -1.5, f64::MIN, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, 5e-324, -5e-324] {
            assert_eq!(plain64(same).to_bits(), same.to_bits());
        }
    }
}
