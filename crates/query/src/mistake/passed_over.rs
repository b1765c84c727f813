//! What the engine beneath reads and then passes over without a word, or without a useful one. An answer that leaves out
//! what was asked is a wrong one, so it is refused.

use std::ops::ControlFlow;

use datafusion::{
    execution::SessionState,
    sql::{
        parser::Statement,
        sqlparser::ast::{Query, Select, TableFactor, Visit, Visitor},
    },
};

use super::{Mistake, place::Clue};
use crate::Error;

/// The statement of `sql`, if it asks for nothing that would be passed over.
///
/// # Errors
/// [`Error::Wrong`] when it is none, or asks for such.
pub(crate) fn parsed(state: &SessionState, sql: &str) -> Result<Statement, Error> {
    let statement = state.sql_to_statement(sql, &state.config_options().sql_parser.dialect)?;
    let mut inner = &statement;
    while let Statement::Explain(explain) = inner {
        inner = &explain.statement;
    }
    let Statement::Statement(plain) = inner else { return Ok(statement) };
    match plain.visit(&mut Looking) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(mistake) => Err(Error::Wrong(mistake)),
    }
}

struct Looking;

fn refused(what: &str, words: &'static [&'static str]) -> ControlFlow<Mistake> {
    ControlFlow::Break(Mistake::new(what).at(Clue::Keyword(words)))
}

impl Visitor for Looking {
    type Break = Mistake;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Mistake> {
        let Query { fetch, locks, for_clause, settings, format_clause, .. } = query;
        if !locks.is_empty() {
            return refused("a query locks nothing; leave FOR UPDATE or FOR SHARE away", &["UPDATE", "SHARE"]);
        }
        if for_clause.is_some() {
            let what = "how an answer is written is asked beside the statement, as with --format json; leave FOR away";
            return refused(what, &["FOR"]);
        }
        if fetch.is_some() {
            return refused("there is no FETCH; write LIMIT n, or LIMIT n OFFSET m", &["FETCH"]);
        }
        if settings.is_some() || format_clause.is_some() {
            return refused("a statement has no SETTINGS and no FORMAT; leave them away", &["SETTINGS", "FORMAT"]);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Mistake> {
        if !select.cluster_by.is_empty() || !select.sort_by.is_empty() || !select.distribute_by.is_empty() {
            let what = "there is no SORT BY, CLUSTER BY or DISTRIBUTE BY; write ORDER BY";
            return refused(what, &["SORT", "CLUSTER", "DISTRIBUTE"]);
        }
        if select.prewhere.is_some() || !select.connect_by.is_empty() || select.value_table_mode.is_some() {
            let what = "there is no PREWHERE, CONNECT BY or AS STRUCT; write WHERE, WITH RECURSIVE or plain columns";
            return refused(what, &["PREWHERE", "CONNECT", "STRUCT"]);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Mistake> {
        let sampled = || {
            let what =
                "there is no TABLESAMPLE; write a condition as event_offset % 10 = 0, which takes every tenth event";
            refused(what, &["TABLESAMPLE", "SAMPLE"])
        };
        match table {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => sampled(),
            TableFactor::Table { with_hints, index_hints, .. } if !with_hints.is_empty() || !index_hints.is_empty() => {
                refused("a table takes no hints; leave them away", &["WITH", "USE", "IGNORE", "FORCE"])
            }
            TableFactor::Table { version: Some(_), .. } => {
                let what = "a table has no versions; narrow event_time, received_time or event_offset in WHERE";
                refused(what, &["FOR", "AS", "TIMESTAMP", "VERSION"])
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
