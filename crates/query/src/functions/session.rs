//! `session(time, gap [, greatest])`: the run of events of one group that follow each other within less than `gap`.
//!
//! A session is named by the time of its first event. An event exactly `gap` after the last begins a new one, and none
//! goes over a multiple of `greatest` since 1970 (a *slice*), so that a session ends some day whatever comes.
//! The function stands in GROUP BY and is never called. What runs in its stead is made of the two functions here: the
//! slice of a time, and whether a time begins a session, given the one before it.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, PrimitiveArray},
        datatypes::{DataType, TimestampMicrosecondType},
    },
    common::{Result, ScalarValue},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
    },
};
use lakehead_model::Timestamp;
use lakehead_window::{SESSION_LENGTH_MAX, Session};

use super::{
    arguments::{length, time_type, times},
    placeholder::placeholder,
};

/// The name of the session window's function in SQL.
pub(crate) const SESSION: &str = "session";

pub(super) const USAGE: &str = "session(time, gap [, greatest])";

/// `session` as a function to register.
pub(super) fn function() -> ScalarUDF {
    let signature = Signature::one_of(vec![TypeSignature::Any(2), TypeSignature::Any(3)], Volatility::Immutable);
    placeholder(SESSION, USAGE, signature)
}

/// The windows that the constants behind the time stand for.
pub(super) fn windows(constants: &[&ScalarValue]) -> Result<Session, String> {
    let (gap, greatest) = match constants {
        [gap] => (gap, SESSION_LENGTH_MAX),
        [gap, greatest] => (gap, length(greatest)?),
        _ => return Err("it takes a time, a gap and perhaps the greatest length".into()),
    };
    Session::new(length(gap)?, greatest).map_err(|error| error.to_string())
}

/// The start of the slice that `time` lies in.
pub(crate) fn slice(session: Session, time: Expr) -> Expr {
    ScalarUDF::from(SessionSlice { session, signature: Signature::any(1, Volatility::Immutable) }).call(vec![time])
}

/// `time` where it begins a session, given the time before it in the same slice; else NULL.
pub(crate) fn first(session: Session, before: Expr, time: Expr) -> Expr {
    ScalarUDF::from(SessionFirst { session, signature: Signature::any(2, Volatility::Immutable) })
        .call(vec![before, time])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SessionSlice {
    session: Session,
    signature: Signature,
}

impl ScalarUDFImpl for SessionSlice {
    fn name(&self) -> &str {
        "__session_cell"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(time_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let times = times(args.args.first(), args.number_rows)?;
        let slices: PrimitiveArray<TimestampMicrosecondType> =
            times.unary(|time| self.session.slice(Timestamp(time)).start.0);
        Ok(ColumnarValue::Array(Arc::new(slices.with_timezone("UTC")) as ArrayRef))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SessionFirst {
    session: Session,
    signature: Signature,
}

impl ScalarUDFImpl for SessionFirst {
    fn name(&self) -> &str {
        "__session_first"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(time_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let before = times(args.args.first(), args.number_rows)?;
        let times = times(args.args.get(1), args.number_rows)?;
        let begins = |before: Option<i64>, time: &i64| {
            before.is_none_or(|before| !self.session.follows(Timestamp(before), Timestamp(*time)))
        };
        let firsts: PrimitiveArray<TimestampMicrosecondType> =
            before.iter().zip(&times).map(|(before, time)| time.filter(|time| begins(before, time))).collect();
        Ok(ColumnarValue::Array(Arc::new(firsts.with_timezone("UTC")) as ArrayRef))
    }
}
