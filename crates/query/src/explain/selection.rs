//! Which rows of a view are to be explained: the query that selects them, around a condition from outside.

use std::sync::Arc;

use lakehead_model::Name;

use super::question::Question;
use crate::{error::Error, lake::Lake, view::Snapshot, worker::StatementPart};

/// Rows explained at once, when nobody says otherwise.
const ROWS_MAX: usize = 10;
/// Events shown for one row, when nobody says otherwise.
const EVENTS_MAX: usize = 100;
/// Rows explained at once at most, and events shown for one at most: the answer is a document that is read whole.
const ROWS_AT_ONCE_MAX: usize = 1_000;
const EVENTS_AT_ONCE_MAX: usize = 10_000;

/// Which rows of a view are to be explained.
pub struct Selection {
    /// The view.
    pub name: Name,
    /// The view at the moment at which it is explained.
    pub snapshot: Arc<Snapshot>,
    /// What gives the rows.
    pub sql: String,
    /// What of it is from outside.
    pub condition: StatementPart,
    /// How many of them are wanted: one more than are explained.
    pub rows_max: usize,
    pub(super) events_max: usize,
}

impl Lake {
    /// What has to be asked to learn which rows of the view `name` are meant. The condition is text from outside: whoever
    /// does not trust it has the query answered elsewhere, with the view pinned as it is here.
    ///
    /// # Errors
    /// [`Error::Sql`] for an unknown view, [`Error::Limit`] for too much at once.
    pub fn selection(&self, name: &Name, question: &Question) -> Result<Selection, Error> {
        let Some(view) = self.view(name) else {
            let known = self.views().iter().map(|view| view.name().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::Sql(format!("there is no view {name}; there are: {known}")));
        };
        let (rows, events) = (question.rows.unwrap_or(ROWS_MAX), question.events.unwrap_or(EVENTS_MAX));
        if rows > ROWS_AT_ONCE_MAX || events > EVENTS_AT_ONCE_MAX {
            return Err(Error::Limit(format!(
                "at most {ROWS_AT_ONCE_MAX} rows can be explained at once, with at most {EVENTS_AT_ONCE_MAX} events each"
            )));
        }
        let filter = if question.filter.trim().is_empty() { "true" } else { question.filter.trim() };
        // Its line ends with it, so that a comment in it does, too.
        let before = format!("SELECT * FROM \"{name}\" WHERE (");
        let condition = StatementPart { text: filter.to_owned(), start: before.chars().count() };
        let sql = format!("{before}{filter}\n) LIMIT {}", rows + 1);
        let snapshot = view.snapshot();
        Ok(Selection { name: name.clone(), snapshot, sql, condition, rows_max: rows + 1, events_max: events })
    }
}
