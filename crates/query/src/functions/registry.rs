//! The setup of every session: how SQL is read, and the functions that Lakehead adds to it.

use std::sync::Arc;

use datafusion::{
    common::{Result, config::Dialect},
    execution::FunctionRegistry,
    prelude::{SessionConfig, SessionContext},
};

use super::{hop, json, session, time, top_k, tumble};
use crate::checked;

/// What every session is set up with: PostgreSQL's reading of SQL, since only there `data ->> 'a' = 'x'` compares a
/// field with a text; elsewhere `=` binds closer than `->>`.
pub(crate) fn config() -> SessionConfig {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    // So that an error can say where.
    config.options_mut().sql_parser.collect_spans = true;
    config
}

/// Makes all of Lakehead's functions known to `context`.
pub(crate) fn register(context: &SessionContext) -> Result<()> {
    context.register_udf(tumble::function());
    context.register_udf(hop::function());
    context.register_udf(session::function());
    context.register_udaf(top_k::function());
    checked::register(context)?;
    json::functions().for_each(|function| context.register_udf(function));
    let found = |name: &str| context.udf(name).ok();
    time::functions(found).into_iter().for_each(|function| context.register_udf(function));
    context.state_ref().write().register_expr_planner(Arc::new(json::Operators))
}
