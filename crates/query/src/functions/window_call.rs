//! Reads a GROUP BY expression that is a call of a window function.

use datafusion::{common::ScalarValue, logical_expr::Expr};
use lakehead_window::Windows;

use super::{HOP, SESSION, TUMBLE, hop, session, tumble};
use crate::Error;

/// What is said of `hop` and `session` anywhere but in GROUP BY.
pub(crate) const NOWHERE_ELSE: &str = "stands in GROUP BY of a query or view, nowhere else";

/// A call of `tumble`, `hop` or `session`.
#[derive(Clone, Debug)]
pub(crate) struct WindowCall {
    /// The windows that its constants stand for.
    pub(crate) windows: Windows,
    /// Its first argument.
    pub(crate) time: Expr,
}

/// The window call that `expression` is, through aliases, if it is one.
///
/// # Errors
/// [`Error::Sql`] when it is one that cannot be.
pub(crate) fn window_call(expression: &Expr) -> Result<Option<WindowCall>, Error> {
    let call = match expression {
        Expr::Alias(alias) => return window_call(&alias.expr),
        Expr::ScalarFunction(call) => call,
        _ => return Ok(None),
    };
    let usage = match call.func.name() {
        TUMBLE => tumble::USAGE,
        HOP => hop::USAGE,
        SESSION => session::USAGE,
        _ => return Ok(None),
    };
    let wrong = |why: String| Error::Sql(format!("{usage}: {why}"));
    let Some((time, constants)) = call.args.split_first() else { return Err(wrong("it begins with a time".into())) };
    let constant = |arg| match arg {
        &Expr::Literal(ref value, _) => Ok(value),
        other => Err(wrong(format!("{other} is no constant; write one, as in INTERVAL '1 minute'"))),
    };
    let constants = constants.iter().map(constant).collect::<Result<Vec<&ScalarValue>, Error>>()?;
    let windows = match call.func.name() {
        HOP => hop::windows(&constants).map(Windows::Hop),
        SESSION => session::windows(&constants).map(Windows::Session),
        _ => tumble::windows(&constants),
    };
    Ok(Some(WindowCall { windows: windows.map_err(wrong)?, time: time.clone() }))
}
