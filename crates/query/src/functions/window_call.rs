//! Reads a GROUP BY expression that is a call of a window function.

use datafusion::{common::ScalarValue, logical_expr::Expr};
use lakehead_window::Windows;

use super::{
    hop::{self, HOP},
    session::{self, SESSION},
    tumble::{self, TUMBLE},
};
use crate::{error::Error, wording::plainly};

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
    let constants = constants.iter().map(|arg| match arg {
        Expr::Literal(value, _) => Ok(value),
        other => {
            Err(wrong(format!("{} is no constant; write one, as in INTERVAL '1 minute'", plainly(&other.to_string()))))
        }
    });
    let constants = constants.collect::<Result<Vec<&ScalarValue>, Error>>()?;
    let windows = match call.func.name() {
        HOP => hop::windows(&constants).map(Windows::Hop),
        SESSION => session::windows(&constants).map(Windows::Session),
        _ => tumble::windows(&constants),
    };
    Ok(Some(WindowCall { windows: windows.map_err(wrong)?, time: time.clone() }))
}

#[cfg(test)]
mod tests {
    use datafusion::{
        logical_expr::LogicalPlan,
        prelude::{SessionContext, lit},
    };

    use super::*;
    use crate::functions;

    /// What is read of the first expression in the GROUP BY of a query over one time.
    async fn read(call: &str) -> Result<Option<WindowCall>, Error> {
        let context = SessionContext::new_with_config(functions::config());
        functions::register(&context).expect("registered");
        let sql = format!("SELECT count(*) FROM (SELECT now() AS t, 'UTC' AS z) GROUP BY {call}");
        let plan = lakehead_planning::of_text(&context.state(), &sql).await.expect(call);
        let LogicalPlan::Projection(projection) = plan else { panic!("{plan}") };
        let LogicalPlan::Aggregate(aggregate) = projection.input.as_ref() else { panic!("{}", projection.input) };
        window_call(&aggregate.group_expr[0])
    }

    #[tokio::test]
    async fn calls_are_read_with_what_they_stand_for() {
        for (call, read_as) in [
            ("tumble(t, INTERVAL '1 day')", "Tumble("),
            ("tumble(t, INTERVAL '90 minutes')", "Tumble("),
            ("tumble(t, INTERVAL '1 day', 'Europe/Berlin')", "Calendar("),
            ("tumble(t, INTERVAL '15 minutes', 'Asia/Kathmandu')", "Calendar("),
            ("tumble(t, INTERVAL '3 months')", "Calendar("),
            ("hop(t, INTERVAL '1 minute', INTERVAL '1 hour')", "Hop("),
            ("session(t, INTERVAL '30 minutes')", "Session("),
            ("session(t, INTERVAL '30 minutes', INTERVAL '1 week')", "Session("),
        ] {
            let read = read(call).await.expect(call).expect(call);
            assert!(format!("{:?}", read.windows).starts_with(read_as), "{call}: {read:?}");
            assert_eq!(read.time.schema_name().to_string(), "t", "{call}");
        }
        for other in ["t", "date_trunc('hour', t)", "tumble(t, INTERVAL '1 day') + INTERVAL '1 hour'"] {
            assert!(read(other).await.expect(other).is_none(), "{other}");
        }
        assert!(window_call(&lit(1).alias("tumble")).expect("no call").is_none());
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_with_what_would_be_right() {
        for (call, says) in [
            ("tumble(t, 60)", "60 is no interval; write one as in INTERVAL '1 minute'"),
            ("tumble(t, INTERVAL '0 seconds')", "must be above zero"),
            ("tumble(t, INTERVAL '-1 minute')", ": -1 minute is no length: it must be above zero"),
            ("tumble(t, INTERVAL '-1 month')", ": -1 month is no size: it must be above zero"),
            ("tumble(t, INTERVAL '-1 day', 'UTC')", "must be above zero"),
            ("tumble(t, INTERVAL '1 nanosecond')", ": 1 nanosecond is finer than a microsecond"),
            ("tumble(t, INTERVAL '1 month 1 day')", ": 1 month 1 day mixes units"),
            ("tumble(t, INTERVAL '1 day 1 hour', 'UTC')", "mixes units"),
            ("tumble(t, t - t)", "is no constant"),
            ("tumble(t, INTERVAL '1 day', z)", "is no constant"),
            ("tumble(t, INTERVAL '1 day', 7)", "the zone must be a text"),
            ("tumble(t, INTERVAL '1 day', 'Mars/Olympus')", "Mars/Olympus"),
            ("tumble(t, INTERVAL '36 hours', 'UTC')", "shorter than 24 hours"),
            ("tumble(t, INTERVAL '200 years')", "100 years|1200 months"),
            ("hop(t, INTERVAL '1 hour', INTERVAL '1 minute')", "in no window"),
            ("hop(t, INTERVAL '1 second', INTERVAL '1 week')", "panes"),
            ("hop(t, INTERVAL '1 month', INTERVAL '1 year')", ": 1 month has no fixed length"),
            ("session(t, INTERVAL '0 seconds')", "must be above zero"),
            ("session(t, INTERVAL '2 days')", "shorter than the gap"),
        ] {
            let error = read(call).await.map(|read| panic!("{call}: {read:?}")).expect_err(call);
            let text = error.to_string();
            assert!(matches!(error, Error::Sql(_)), "{call}: {error:?}");
            assert!(text.starts_with(&call[..call.find('(').expect("a call")]), "{call} says: {text}");
            assert!(says.split('|').any(|says| text.contains(says)), "{call} says: {text}, not: {says}");
        }
    }
}
