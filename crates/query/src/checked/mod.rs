//! Numbers that are right or not there: checked arithmetic, exact sums, one zero, answers that have room, and what becomes of
//! a row that an expression fails on.
//!
//! ```text
//!   SQL ─▶ analyzer rule: + - * / % of whole numbers and decimals become checked functions, floats are made plain,
//!                          functions that enlarge or take long are measured first
//!       ─▶ DataFusion's optimizer
//!       ─▶ planner: AND, OR and conditions that may fail are guarded; in a view, what fails is left out or NULL
//!       ─▶ physical plan
//! ```
//!
//! A query is [`Strict`](Mode::Strict): what fails fails the query, in words that name the expression and a cure. A view may not
//! stop: an event on which an expression fails is left out, and a value of a row that cannot be computed is NULL; both are
//! noted ([`noted`]). Queries, views, the audit and explanations are planned by the same rules, so that they agree. Why, and
//! what was refused: `docs/decisions/0013-checked-numbers.md`.

mod arithmetic;
mod brief;
mod common;
mod conditions;
mod costly;
mod demanded;
mod distinct;
mod fallible;
mod guard;
mod lenient;
mod like;
mod measured;
mod mode;
mod notes;
mod offset;
mod pattern;
mod plain;
mod planner;
mod rule;
mod sized;
mod sum;
mod text;
mod wide;

use std::sync::Arc;

use datafusion::{error::Result, execution::SessionStateBuilder, optimizer::Optimizer, prelude::SessionContext};

pub(crate) use self::{
    demanded::without_failing,
    lenient::may_leave_out,
    mode::Mode,
    notes::{Note, Notes, noted},
    planner::{Planner, physical},
    text::text,
};

/// Makes every plan of the session a checked one.
pub(crate) fn session(builder: SessionStateBuilder, mode: Mode) -> SessionStateBuilder {
    let rules = Optimizer::new().rules.into_iter().map(distinct::instead);
    builder
        .with_optimizer_rules(rules.collect())
        .with_analyzer_rule(Arc::new(rule::Checked))
        .with_query_planner(Arc::new(planner::Planner::new(mode)))
}

/// Makes the functions known that stand in SQL.
pub(crate) fn register(context: &SessionContext) -> Result<()> {
    context.register_udaf(sum::function());
    context.register_udf(fallible::function());
    Ok(())
}
