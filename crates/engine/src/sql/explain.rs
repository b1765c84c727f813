//! Explaining rows of a view, for somebody outside.
//!
//! Which rows are meant is said in SQL, so a worker selects them, from the view as it is pinned here. What is behind them is
//! then found by the view's own text, which is the operator's, and by values.

use lakehead_model::Name;
use lakehead_query::{
    Explanation, Question,
    worker::{self, AnswerFormat, Query},
};

use super::{error::SqlError, workers::Workers};

/// The rows to be explained are few; this is room for a thousand of them with 16 KiB each.
const SELECTED_BYTES_MAX: usize = 16 << 20;

impl Workers {
    /// Explains rows of the view `name`.
    ///
    /// # Errors
    /// As [`Error`](super::Error) says.
    pub async fn explain(&self, name: &Name, question: &Question) -> Result<Explanation, SqlError> {
        let selection = self.pool.lake.selection(name, question)?;
        let query = Query {
            sql: selection.sql.clone(),
            form: AnswerFormat::Arrow,
            rows: selection.rows_max,
            threads: 1,
            part: Some(selection.condition.clone()),
        };
        let mut answering = self.ask(query, vec![(name.clone(), selection.snapshot.clone())]).await?;
        let rows = answering.whole(SELECTED_BYTES_MAX).await?;
        let rows = worker::answer(rows, &answering.head)?;
        Ok(self.pool.lake.explain_rows(&selection, rows).await?)
    }
}
