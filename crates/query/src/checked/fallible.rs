//! Which expressions may fail on a row.
//!
//! Asked where it decides what is looked at twice, so that "may" is the safe answer: an operation that is not known to be sure
//! counts as one that can fail.

use std::sync::LazyLock;

use datafusion::{
    arrow::datatypes::DataType,
    common::{ExprSchema, Result, ScalarValue},
    logical_expr::{
        Aggregate, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility, expr::Case, lit,
    },
};
use lakehead_planning::Walk;

use super::{arithmetic, measured, plain};
use crate::functions;

/// Functions that have an answer for every value of every type that they take, and whose answer is not much larger than that
/// ([`sized`](super::sized)). Those that may be [`costly`](super::costly) are sure where they are not measured for it.
const SURE: [&str; 53] = [
    plain::NAME,
    EVALUATES,
    functions::HOP,
    functions::SESSION,
    functions::TUMBLE,
    "ascii",
    "bit_length",
    "btrim",
    "char_length",
    "character_length",
    "coalesce",
    "contains",
    "cos",
    "date_part",
    "ends_with",
    "exp",
    "get_field",
    "greatest",
    "initcap",
    "isnan",
    "iszero",
    "json_as_text",
    "json_contains",
    "json_get",
    "json_get_array",
    "json_get_bool",
    "json_get_float",
    "json_get_int",
    "json_get_str",
    "json_length",
    "json_object_keys",
    "least",
    "length",
    "lower",
    "ltrim",
    "make_array",
    "named_struct",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "reverse",
    "rtrim",
    "signum",
    "sin",
    "starts_with",
    "strpos",
    "struct",
    "tan",
    "tanh",
    "to_hex",
    "trim",
    "upper",
];

/// The same where all that stands behind the first argument is a constant, which planning or the first row shows to be wrong.
const SURE_WITH_CONSTANTS: [&str; 6] =
    ["date_trunc", "regexp_count", "regexp_instr", "regexp_like", "split_part", "translate"];

/// Whether `expression`, over rows of `schema`, may fail on one.
pub(super) fn is_fallible(expression: &Expr, schema: &dyn ExprSchema) -> bool {
    // What has no type here is not known, and may fail.
    expression.any(&mut |part| Ok(fails(part, schema))).unwrap_or(true)
}

fn fails(part: &Expr, schema: &dyn ExprSchema) -> bool {
    // Asked before the plan is analyzed, too.
    if measured::is_to_measure(part) || measured::is_measured(part) {
        return true;
    }
    let kind = |expression: &Expr| expression.get_type(schema).unwrap_or(DataType::Null);
    match part {
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo => {
                !(plain::is_float(&kind(&binary.left)) && plain::is_float(&kind(&binary.right)))
            }
            _ => false,
        },
        Expr::Negative(one) => !plain::is_float(&kind(one)),
        Expr::Cast(cast) => !is_sure_cast(&kind(&cast.expr), cast.field.data_type()),
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            let with_constants = || call.args.iter().skip(1).all(|arg| matches!(arg, Expr::Literal(..)));
            !(SURE.contains(&name) || SURE_WITH_CONSTANTS.contains(&name) && with_constants())
        }
        Expr::ScalarSubquery(_) | Expr::HigherOrderFunction(_) => true,
        _ => false,
    }
}

/// Whether every value of the first type has one of the second.
fn is_sure_cast(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, Boolean, Date32, Int8, Int16, Int32, Int64, LargeUtf8, Null, Timestamp, UInt8, UInt16, UInt32, UInt64,
        Utf8, Utf8View,
    };
    let is_text = |kind: &DataType| matches!(kind, Utf8 | LargeUtf8 | Utf8View);
    let is_number = from.is_numeric() || *from == Boolean;
    match (from, to) {
        _ if from == to || *from == Null => true,
        (Binary, _) => false,
        (Timestamp(a, _), Timestamp(b, _)) => a == b,
        (from, to) if is_text(to) => !from.is_nested() && !matches!(from, DataType::BinaryView | DataType::LargeBinary),
        (_, to) if plain::is_float(to) => is_number,
        (Boolean, to) => to.is_integer(),
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (UInt8, Int16 | Int32 | Int64 | UInt16 | UInt32 | UInt64) => true,
        (UInt16, Int32 | Int64 | UInt32 | UInt64) | (UInt32, Int64 | UInt64) => true,
        (from, DataType::Decimal128(precision, 0)) if from.is_integer() => *precision >= 20,
        (Timestamp(..), Date32) => true,
        _ => false,
    }
}

/// The name of a function that is true when all of its arguments could be computed.
pub(super) const EVALUATES: &str = "__evaluates";

static FUNCTION: LazyLock<ScalarUDF> =
    LazyLock::new(|| ScalarUDF::new_from_impl(Evaluates { signature: Signature::variadic_any(Volatility::Immutable) }));

/// The function itself.
pub(super) fn function() -> ScalarUDF {
    FUNCTION.clone()
}

/// True where all of `expressions` can be computed.
pub(super) fn evaluates(expressions: Vec<Expr>) -> Expr {
    FUNCTION.call(expressions)
}

/// What an aggregation computes of each row and may fail at: true where it does not. `None` where nothing may.
pub(super) fn evaluated(aggregate: &Aggregate) -> Option<Expr> {
    let schema = aggregate.input.schema().as_ref();
    let mut wanted: Vec<Expr> = Vec::new();
    let mut want = |expression: &Expr| {
        let expression = expression.clone().unalias_nested().data;
        if is_fallible(&expression, schema) && !wanted.contains(&expression) {
            wanted.push(expression);
        }
    };
    aggregate.group_expr.iter().for_each(&mut want);
    for call in &aggregate.aggr_expr {
        let Expr::AggregateFunction(call) = call.clone().unalias() else { continue };
        let only_where = call.params.filter.as_deref();
        only_where.into_iter().for_each(&mut want);
        let ordered = call.params.order_by.iter().map(|sort| &sort.expr);
        for argument in call.params.args.iter().chain(ordered) {
            want(&within(only_where, argument.clone()));
        }
    }
    (!wanted.is_empty()).then(|| evaluates(wanted))
}

/// `expression`, computed only where `filter` is true.
pub(super) fn within(filter: Option<&Expr>, expression: Expr) -> Expr {
    match filter {
        None => expression,
        Some(filter) => Expr::Case(Case {
            expr: None,
            when_then_expr: vec![(Box::new(filter.clone()), Box::new(expression))],
            else_expr: None,
        }),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Evaluates {
    signature: Signature,
}

impl ScalarUDFImpl for Evaluates {
    fn name(&self) -> &str {
        EVALUATES
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))))
    }
}

/// Whether a name is one of those that stand in no SQL.
pub(super) fn is_own(name: &str) -> bool {
    [arithmetic::NAME, plain::NAME, super::sum::NARROW, EVALUATES].contains(&name) || name == super::guard::NAME
}

/// True, for a condition that has nothing left in it.
pub(super) fn always() -> Expr {
    lit(true)
}
