//! Texts that are read as decimals, refused where they are too long to be one.
//!
//! Arrow reads a number by calling itself for each 38 digits, so that of some megabytes the stack is too small, which ends the
//! process. It stands around what is cast, also by `TRY_CAST` and `arrow_cast`, and within lists.

use std::{ops::Range, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray},
        compute::nullif,
        datatypes::{DataType, Field, FieldRef},
    },
    common::{DFSchema, Result, exec_err, tree_node::Transformed},
    logical_expr::{
        ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility,
        expr::{Cast, ScalarFunction, TryCast},
    },
};

/// Its name; no function of SQL has it.
const NAME: &str = "__brief";

/// The longest text that is read as a decimal: a decimal has 76 digits at most, and zeros and spaces may stand about it.
const TEXT_BYTES_MAX: usize = 1_000;

/// `part` with what it casts from texts to decimals looked at first.
pub(super) fn brief(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match part {
        Expr::Cast(Cast { expr, field }) if is_risky(&expr, field.data_type(), schema)? => {
            Transformed::yes(Expr::Cast(Cast { expr: Box::new(around(*expr, true)), field }))
        }
        Expr::TryCast(TryCast { expr, field }) if is_risky(&expr, field.data_type(), schema)? => {
            Transformed::yes(Expr::TryCast(TryCast { expr: Box::new(around(*expr, false)), field }))
        }
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if casts(func.name()) => {
            let to = args.get(1).is_some_and(|to| to.to_string().contains("Decimal"));
            match args.first_mut().filter(|_| to) {
                Some(from) if !is_brief(from) && has_text(&from.get_type(schema)?) => {
                    *from = around(from.clone(), func.name() != "arrow_try_cast");
                    Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
                }
                _ => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
            }
        }
        other => Transformed::no(other),
    })
}

/// Functions that cast to the type that their second argument names.
fn casts(name: &str) -> bool {
    matches!(name, "arrow_cast" | "arrow_try_cast")
}

fn is_risky(from: &Expr, to: &DataType, schema: &DFSchema) -> Result<bool> {
    Ok(has_decimal(to) && !is_brief(from) && has_text(&from.get_type(schema)?))
}

fn is_brief(expression: &Expr) -> bool {
    matches!(expression, Expr::ScalarFunction(call) if call.func.name() == NAME)
}

fn has_decimal(kind: &DataType) -> bool {
    inner(kind).map_or_else(|| kind.is_decimal(), has_decimal)
}

fn has_text(kind: &DataType) -> bool {
    match inner(kind) {
        Some(inner) => has_text(inner),
        None => matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

fn inner(kind: &DataType) -> Option<&DataType> {
    match kind {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        DataType::Dictionary(_, values) => Some(values),
        _ => None,
    }
}

fn around(expression: Expr, fails: bool) -> Expr {
    let function = Brief { fails, signature: Signature::any(1, Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), vec![expression]))
}

/// What it is given; where a text is too long, it fails or there is nothing.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Brief {
    fails: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Brief {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [kind] => Ok(kind.clone()),
            _ => exec_err!("{NAME} takes one value"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [field] = args.arg_fields else { return exec_err!("{NAME} takes one value") };
        let is_nullable = !self.fails || field.is_nullable();
        Ok(Arc::new(Field::new(NAME, field.data_type().clone(), is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return exec_err!("{NAME} takes one value") };
        let values: ArrayRef = match value {
            ColumnarValue::Array(values) => Arc::clone(values),
            ColumnarValue::Scalar(one) => one.to_array()?,
        };
        let longest = |row: usize| longest(values.as_ref(), row..row + 1);
        if longest_of_all(&values) <= TEXT_BYTES_MAX {
            return Ok(value.clone());
        }
        if self.fails {
            let most = (0..values.len()).map(longest).max().unwrap_or(0);
            return exec_err!(
                "a text of {most} bytes is read as a decimal, and {TEXT_BYTES_MAX} bytes are the most; cut it short with left(…)"
            );
        }
        let is_long: BooleanArray = (0..values.len()).map(|row| Some(longest(row) > TEXT_BYTES_MAX)).collect();
        Ok(ColumnarValue::Array(nullif(values.as_ref(), &is_long)?))
    }
}

fn longest_of_all(values: &ArrayRef) -> usize {
    longest(values.as_ref(), 0..values.len())
}

/// The longest text in these rows.
fn longest(values: &dyn Array, rows: Range<usize>) -> usize {
    let within = |values: &ArrayRef, start: usize, end: usize| longest(values.as_ref(), start..end);
    match values.data_type() {
        DataType::Utf8 => rows.map(|row| values.as_string::<i32>().value(row).len()).max().unwrap_or(0),
        DataType::LargeUtf8 => rows.map(|row| values.as_string::<i64>().value(row).len()).max().unwrap_or(0),
        DataType::Utf8View => rows.map(|row| values.as_string_view().value(row).len()).max().unwrap_or(0),
        DataType::List(_) => {
            let (list, offsets) = (values.as_list::<i32>(), values.as_list::<i32>().value_offsets());
            let place = |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
            within(list.values(), place(rows.start), place(rows.end))
        }
        DataType::LargeList(_) => {
            let (list, offsets) = (values.as_list::<i64>(), values.as_list::<i64>().value_offsets());
            let place = |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
            within(list.values(), place(rows.start), place(rows.end))
        }
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            within(values.as_fixed_size_list().values(), rows.start * length, rows.end * length)
        }
        DataType::Dictionary(..) => {
            let values = values.as_any_dictionary().values();
            within(values, 0, values.len())
        }
        _ => 0,
    }
}
