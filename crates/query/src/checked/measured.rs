//! Functions that may enlarge or take long, each measured before it is computed.
//!
//! A row whose answer may be beyond [`ROW_BYTES_MAX`], or its steps beyond [`ROW_STEPS_MAX`], fails, as one does on a
//! division by zero. Rows that are within it and a great deal together are refused as [too much at once](is_too_much),
//! which a [guard](super::guard) answers by computing a part of them at a time, with all that stands around the
//! function. Rows that take long together are computed all the same: what is bounded is what one event may cost.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, Int64Array},
        compute::{concat, kernels::concat_elements::concat_elements_dyn},
        datatypes::{DataType, Field, FieldRef},
    },
    common::{DataFusionError, Result, ScalarValue, exec_err, plan_err},
    logical_expr::{
        BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility, binary::BinaryTypeCoercer, expr::ScalarFunction,
    },
};
use lakehead_planning::Walk;

use super::{
    costly::{self, ROW_STEPS_MAX},
    like,
    sized::{self, Argument, JOINED, ROW_BYTES_MAX, Row, bytes_of, padded},
};
use crate::error::Error;

/// The most that one call makes of a batch, or holds of compiled patterns: a few of the largest rows.
const CALL_BYTES_MAX: u64 = 64 << 20;

/// The most that the parts of a batch may be when they are put together again: far below the 2 GiB that a column can hold.
const TOGETHER_BYTES_MAX: u64 = 512 << 20;

/// Steps are told in millions.
const STEPS_TOLD: u64 = 1_000_000;

/// Whether `part` may enlarge or take long, and is not measured yet.
pub(super) fn is_to_measure(part: &Expr) -> bool {
    match part {
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            (sized::bound(name).is_some() || costly::is_costly(name, &call.args)) && !is_measured(part)
        }
        Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. }) => true,
        _ => like::is_search(part),
    }
}

/// `part`, which [is to be measured](is_to_measure), measured before it is computed; its text is `text`.
pub(super) fn measured(part: Expr, text: String) -> Expr {
    let (inner, args, is_negated) = match part {
        Expr::ScalarFunction(call) => (call.func, call.args, false),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let joined = Joined { signature: Signature::any(2, Volatility::Immutable) };
            (Arc::new(ScalarUDF::new_from_impl(joined)), vec![*left, *right], false)
        }
        other => match like::call(&other) {
            Some(like::Call { function, args, is_negated }) => (function, args, is_negated),
            None => return other,
        },
    };
    let function = ScalarUDF::new_from_impl(Measured { inner, text });
    let call = Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), args));
    if is_negated { Expr::Not(Box::new(call)) } else { call }
}

/// Whether `part` is a call that is measured, so that it may fail.
pub(super) fn is_measured(part: &Expr) -> bool {
    matches!(part, Expr::ScalarFunction(call) if call.func.inner().is::<Measured>())
}

/// Whether anything in `expression` may be too much at once.
pub(super) fn is_in(expression: &Expr) -> bool {
    let enlarges = |part: &Expr| match part {
        Expr::ScalarFunction(call) => is_measured(part) && sized::bound(call.func.name()).is_some(),
        _ => false,
    };
    // What cannot be walked over is not known.
    expression.any(&mut |part| Ok(enlarges(part))).unwrap_or(true)
}

/// Whether fewer rows at a time are what helps.
pub(super) fn is_too_much(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::External(inner) => matches!(inner.downcast_ref::<Error>(), Some(Error::Limit(_))),
        _ => false,
    }
}

/// The values of the two halves of a batch as one.
pub(super) fn together(first: &ArrayRef, second: &ArrayRef) -> Result<ArrayRef> {
    let bytes = bytes_of(first, 0..first.len()).saturating_add(bytes_of(second, 0..second.len()));
    if bytes > TOGETHER_BYTES_MAX {
        return Err(DataFusionError::ResourcesExhausted(format!(
            "the rows of a batch become {} MiB together, and {} MiB are the most; cut texts and lists short before they are \
             kept",
            mib(bytes),
            mib(TOGETHER_BYTES_MAX)
        )));
    }
    Ok(concat(&[first, second])?)
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// A function that enlarges or takes long, in front of itself.
///
/// It simplifies nothing: what `concat` makes of its constants would not be measured.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Measured {
    inner: Arc<ScalarUDF>,
    text: String,
}

impl ScalarUDFImpl for Measured {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (size, work) = (sized::bound(self.name()), costly::bound(self.name()));
        let flags = costly::flags_of_pattern(self.name());
        let arguments = args.args.iter().map(Argument::of).collect::<Result<Vec<_>>>()?;
        // Constants are computed once, also for a batch without a row.
        let rows = if arguments.iter().all(|argument| argument.is_constant) { 1 } else { args.number_rows };
        let mut sizes = Vec::with_capacity(rows);
        for row in 0..rows {
            let row = Row { arguments: &arguments, row };
            // First of all: to know the size, matches may be counted.
            let steps = work.and_then(|work| work(&row)).unwrap_or(0);
            if steps > ROW_STEPS_MAX {
                return exec_err!(
                    "{} may take {} million steps for one row, and {} million are the most; leave such rows out with \
                     WHERE, or cut short what it is given, as with left(…, 1000)",
                    self.text,
                    steps / STEPS_TOLD,
                    ROW_STEPS_MAX / STEPS_TOLD
                );
            }
            let bytes = size.and_then(|size| size(&row)).unwrap_or(0);
            if bytes > ROW_BYTES_MAX {
                return exec_err!(
                    "{} may become {} MiB in one row, and {} MiB are the most that a text or a list of one row may have; leave \
                     such rows out with WHERE, or cut short what it is given, as with left(…, 1000)",
                    self.text,
                    mib(bytes),
                    mib(ROW_BYTES_MAX)
                );
            }
            let held = flags.map_or(0, |flags| costly::pattern_bytes(&row, flags));
            sizes.push(bytes + held);
        }
        if matches!(self.name(), "lpad" | "rpad")
            && let Some(length) = args.args.get_mut(1)
        {
            tame(length, &arguments, rows);
        }
        if rows <= 1 || sizes.iter().sum::<u64>() <= CALL_BYTES_MAX {
            return self.inner.invoke_with_args(args);
        }
        self.in_parts(&args, &sizes)
    }
}

impl Measured {
    /// Calls it for a few rows at a time, until it has made too much: the bounds may be far above what it makes.
    fn in_parts(&self, args: &ScalarFunctionArgs, sizes: &[u64]) -> Result<ColumnarValue> {
        let (mut parts, mut start, mut made): (Vec<ArrayRef>, usize, u64) = (Vec::new(), 0, 0);
        while let Some(first) = sizes.get(start) {
            let mut bytes = *first;
            let more = sizes.iter().skip(start + 1).take_while(|size| {
                bytes = bytes.saturating_add(**size);
                bytes <= CALL_BYTES_MAX
            });
            let rows = 1 + more.count();
            let mut part = args.clone();
            part.number_rows = rows;
            for value in &mut part.args {
                if let ColumnarValue::Array(values) = value {
                    *values = values.slice(start, rows);
                }
            }
            let part = self.inner.invoke_with_args(part)?.into_array(rows)?;
            made = made.saturating_add(bytes_of(&part, 0..part.len()));
            if made > CALL_BYTES_MAX {
                return Err(Error::through(Error::Limit(format!(
                    "{} becomes more than {} MiB of {} rows at once; cut short what it is given, as with left(…, 1000)",
                    self.text,
                    mib(CALL_BYTES_MAX),
                    sizes.len()
                ))));
            }
            parts.push(part);
            start += rows;
        }
        let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
        Ok(ColumnarValue::Array(concat(&parts)?))
    }
}

/// `lpad` and `rpad` make room for every length ahead: for one below zero, taken as a number without a sign, and for one of a
/// row without a text. These become zero and NULL, which give the same.
fn tame(length: &mut ColumnarValue, arguments: &[Argument], rows: usize) {
    /// So short a constant they do not make room for.
    const SHORT_MAX: i64 = 16_384;
    if matches!(length, ColumnarValue::Scalar(ScalarValue::Int64(Some(0..=SHORT_MAX)))) {
        return;
    }
    let tamed = (0..rows).map(|row| {
        let row = Row { arguments, row };
        padded(&row).and_then(|_| row.count(1)).map(|length| length.max(0))
    });
    let tamed: Int64Array = tamed.collect();
    *length = match arguments.iter().all(|argument| argument.is_constant) {
        true => ColumnarValue::Scalar(ScalarValue::Int64(tamed.iter().next().flatten())),
        false => ColumnarValue::Array(Arc::new(tamed)),
    };
}

/// `||` of texts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        JOINED
    }

    /// As of the operator.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect::<Vec<_>>().join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] => BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type(),
            _ => plan_err!("|| has two sides"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(JOINED, self.return_type(&types)?, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)] => {
                let joined = concat_elements_dyn(left.to_array()?.as_ref(), right.to_array()?.as_ref())?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(joined.as_ref(), 0)?))
            }
            [left, right] => {
                let (left, right) = (left.to_array(args.number_rows)?, right.to_array(args.number_rows)?);
                Ok(ColumnarValue::Array(concat_elements_dyn(left.as_ref(), right.as_ref())?))
            }
            _ => exec_err!("|| has two sides"),
        }
    }
}
