//! What the engine beneath reads and then passes over without a word, or without a useful one. An answer that leaves out
//! what was asked is a wrong one, so it is refused. So is, before it is planned, what is no question about streams and views:
//! what would change something, and what asks the engine about itself.

use std::ops::ControlFlow;

use datafusion::{
    execution::SessionState,
    sql::{
        parser::Statement,
        sqlparser::ast::{self, ObjectName, Query, Select, TableFactor, Visit, Visitor},
    },
};

use super::{
    mistake::Mistake,
    place::{Clue, Tokens},
};
use crate::error::Error;

/// The statement of `sql`, if it is a query that asks for nothing that would be passed over.
///
/// # Errors
/// [`Error::Wrong`] when it is none, or asks for such.
pub(crate) fn parsed(state: &SessionState, sql: &str) -> Result<Statement, Error> {
    let statement = state.sql_to_statement(sql, &state.config_options().sql_parser.dialect)?;
    let looked = match &statement {
        Statement::Statement(plain) if matches!(**plain, ast::Statement::Query(_)) => plain.visit(&mut Looking),
        _ => ControlFlow::Break(no_query(sql)),
    };
    match looked {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(mistake) => Err(Error::Wrong(mistake)),
    }
}

/// What is said of a statement that is no query.
fn no_query(sql: &str) -> Mistake {
    let word = Tokens::of(sql).first_word().unwrap_or_default().to_uppercase();
    let what = match word.as_str() {
        "SHOW" | "DESCRIBE" | "DESC" => format!("there is no {word}; {LISTED}"),
        "EXPLAIN" => "there is no EXPLAIN; write the query alone, as SELECT or WITH".to_owned(),
        word if CHANGES.contains(&word) => WRITES.to_owned(),
        _ => "this sets or runs something, and a query only reads; write SELECT or WITH".to_owned(),
    };
    Mistake::new(what).at(Clue::Start)
}

const LISTED: &str =
    "`lakehead streams` and `lakehead views` list what can be asked, `lakehead streams NAME` shows the columns";

const WRITES: &str = "this would change something, and a query only reads; write SELECT or WITH, and make streams and views \
                      in the pipeline file";

/// With what a statement begins that would change something.
const CHANGES: [&str; 12] = [
    "ALTER", "COMMENT", "COPY", "CREATE", "DELETE", "DROP", "GRANT", "INSERT", "MERGE", "REVOKE", "TRUNCATE", "UPDATE",
];

struct Looking;

fn refused(what: &str, words: &'static [&'static str]) -> ControlFlow<Mistake> {
    ControlFlow::Break(Mistake::new(what).at(Clue::Keyword(words)))
}

impl Visitor for Looking {
    type Break = Mistake;

    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> ControlFlow<Mistake> {
        match statement {
            ast::Statement::Query(_) => ControlFlow::Continue(()),
            _ => refused(WRITES, &["INSERT", "UPDATE", "DELETE", "MERGE"]),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Mistake> {
        let schemas = relation.0.iter().rev().skip(1).filter_map(|part| part.as_ident());
        match schemas.into_iter().any(|schema| schema.value.eq_ignore_ascii_case("information_schema")) {
            true => refused(&format!("there is no information_schema; {LISTED}"), &["information_schema"]),
            false => ControlFlow::Continue(()),
        }
    }

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
        if select.into.is_some() {
            return refused(WRITES, &["INTO"]);
        }
        if !select.lateral_views.is_empty() {
            let what = "there is no LATERAL VIEW; write unnest in SELECT, as in unnest(string_to_array(title, ' '))";
            return refused(what, &["LATERAL"]);
        }
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
            TableFactor::Pivot { .. } => {
                let what = "there is no PIVOT; write a column for each value, as in sum(a) FILTER (WHERE b = 'x') AS x";
                refused(what, &["PIVOT"])
            }
            TableFactor::Unpivot { .. } => {
                let what = "there is no UNPIVOT; write a SELECT for each column, and UNION ALL between them";
                refused(what, &["UNPIVOT"])
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
