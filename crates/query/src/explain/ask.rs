//! Explains rows of a view.

use futures::future::BoxFuture;
use lakehead_model::Name;

use super::{
    explaining::Explaining,
    question::{Explanation, Question},
    selection::Selection,
};
use crate::{answer::Answer, error::Error, lake::Lake, worker::StatementPart};

impl Lake {
    /// Explains rows of the view `name`.
    ///
    /// # Errors
    /// [`Error::Sql`] for an unknown view or a wrong filter; [`Error::Limit`] when it takes too much.
    pub fn explain_view<'a>(
        &'a self,
        name: &'a Name,
        question: &'a Question,
    ) -> BoxFuture<'a, Result<Explanation, Error>> {
        Box::pin(async move {
            let selection = self.selection(name, question)?;
            let rows = async { self.rows(&selection.sql).await?.first(selection.rows_max).await };
            let StatementPart { text, start } = &selection.condition;
            let rows = rows.await.map_err(|error: Error| error.of_part(text, *start))?;
            self.explain_rows(&selection, rows).await
        })
    }

    /// Explains the rows that `selection` has selected. Nothing from outside is planned here.
    ///
    /// # Errors
    /// As [`explain_view`](Self::explain_view).
    pub fn explain_rows<'a>(
        &'a self,
        selection: &'a Selection,
        rows: Answer,
    ) -> BoxFuture<'a, Result<Explanation, Error>> {
        Box::pin(async move {
            let limit = self.limits().time;
            let explained =
                tokio::time::timeout(limit, Explaining::new(self, selection)?.answer(selection, rows)).await;
            explained.unwrap_or_else(|_| {
                Err(Error::Limit(format!(
                    "explaining took longer than {} s and was stopped; name fewer rows in --where",
                    limit.as_secs()
                )))
            })
        })
    }
}
