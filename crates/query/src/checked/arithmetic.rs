//! `+ - * / %` and the sign of whole numbers, decimals and durations, which fail where their result has no place in its type.
//!
//! DataFusion's own wrap around. Each knows the text that it stands for, so that its error can name it.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Datum, Scalar},
        compute::kernels::numeric::{add, div, mul, neg, rem, sub},
        datatypes::{DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type},
        error::ArrowError,
    },
    common::{Result, exec_err, plan_err},
    logical_expr::{
        ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        binary::BinaryTypeCoercer, expr::ScalarFunction,
    },
};

/// What its name begins with; no function of SQL does.
pub(super) const NAME: &str = "__checked";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Binary(Operator),
    Negative,
}

/// One operation, checked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    kind: Operation,
    text: String,
    signature: Signature,
}

fn call(kind: Operation, text: String, args: Vec<Expr>) -> Expr {
    let signature = Signature::any(args.len(), Volatility::Immutable);
    let function = ScalarUDF::new_from_impl(Arithmetic { kind, text, signature });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), args))
}

/// `left op right`, whose text is `text`.
pub(super) fn binary(left: Expr, op: Operator, right: Expr, text: String) -> Expr {
    call(Operation::Binary(op), text, vec![left, right])
}

/// `-expression`, whose text is `text`.
pub(super) fn negative(expression: Expr, text: String) -> Expr {
    call(Operation::Negative, text, vec![expression])
}

/// Whether an operation of values of this type can wrap around.
pub(super) fn wraps(kind: &DataType) -> bool {
    kind.is_integer() || is_decimal(kind) || matches!(kind, DataType::Duration(_))
}

fn is_decimal(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
    )
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, _: &[Expr]) -> Result<String> {
        Ok(self.text.clone())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.kind, types) {
            (Operation::Binary(op), [left, right]) => BinaryTypeCoercer::new(left, &op, right).get_result_type(),
            (Operation::Negative, [one]) => Ok(one.clone()),
            _ => plan_err!("{} has too few operands", self.text),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wanted = args.return_type().clone();
        let computed = match (self.kind, args.args.as_slice()) {
            (Operation::Binary(op), [left, right]) => binary_op(op, left, right),
            (Operation::Negative, [ColumnarValue::Array(one)]) => neg(one).map(ColumnarValue::Array),
            (Operation::Negative, [ColumnarValue::Scalar(one)]) => {
                one.to_array().map_err(ArrowError::from).and_then(|one| neg(&one)).and_then(as_scalar)
            }
            _ => return exec_err!("{} has too few operands", self.text),
        };
        let computed = computed.and_then(|value| fits(value, &wanted));
        computed.or_else(|error| match error {
            ArrowError::DivideByZero => exec_err!(
                "{} divides by zero; leave such rows out with WHERE, or divide by nullif(…, 0), which makes it NULL",
                self.text
            ),
            ArrowError::ArithmeticOverflow(why) | ArrowError::ComputeError(why) => exec_err!(
                "{} is outside of {}: {}; compute with CAST(… AS DOUBLE), or exactly with CAST(… AS DECIMAL(38, 0))",
                self.text,
                named(&wanted),
                // The expression and the type are named already.
                why.trim_start_matches("Overflow happened on: ")
            ),
            other => exec_err!("{}: {other}", self.text),
        })
    }
}

/// A type as a person knows it.
pub(super) fn named(kind: &DataType) -> String {
    match kind {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("DECIMAL({precision}, {scale})")
        }
        other => other.to_string().to_lowercase(),
    }
}

fn binary_op(op: Operator, left: &ColumnarValue, right: &ColumnarValue) -> Result<ColumnarValue, ArrowError> {
    let apply = |left: &dyn Datum, right: &dyn Datum| match op {
        Operator::Plus => add(left, right),
        Operator::Minus => sub(left, right),
        Operator::Multiply => mul(left, right),
        Operator::Divide => div(left, right),
        _ => rem(left, right),
    };
    let one = |value: &datafusion::common::ScalarValue| value.to_scalar().map_err(ArrowError::from);
    Ok(match (left, right) {
        (ColumnarValue::Array(left), ColumnarValue::Array(right)) => ColumnarValue::Array(apply(left, right)?),
        (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => ColumnarValue::Array(apply(left, &one(right)?)?),
        (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => ColumnarValue::Array(apply(&one(left)?, right)?),
        (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
            let (left, right): (Scalar<ArrayRef>, Scalar<ArrayRef>) = (one(left)?, one(right)?);
            as_scalar(apply(&left, &right)?)?
        }
    })
}

fn as_scalar(array: ArrayRef) -> Result<ColumnarValue, ArrowError> {
    let value = datafusion::common::ScalarValue::try_from_array(&array, 0);
    value.map(ColumnarValue::Scalar).map_err(|error| ArrowError::ComputeError(error.to_string()))
}

/// Decimals are checked by their bits; a number may still have more digits than its type says.
fn fits(value: ColumnarValue, wanted: &DataType) -> Result<ColumnarValue, ArrowError> {
    if !is_decimal(wanted) {
        return Ok(value);
    }
    let array = match &value {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array().map_err(ArrowError::from)?,
    };
    let checked = match array.data_type() {
        DataType::Decimal32(precision, _) => {
            array.as_primitive::<Decimal32Type>().validate_decimal_precision(*precision)
        }
        DataType::Decimal64(precision, _) => {
            array.as_primitive::<Decimal64Type>().validate_decimal_precision(*precision)
        }
        DataType::Decimal128(precision, _) => {
            array.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)
        }
        DataType::Decimal256(precision, _) => {
            array.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision)
        }
        _ => Ok(()),
    };
    checked.map_err(|error| ArrowError::ArithmeticOverflow(error.to_string()))?;
    Ok(value)
}
