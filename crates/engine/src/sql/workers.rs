//! Answers SQL by workers: finds a place and a worker for each query, and hands back the answer.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lakehead_model::Name;
use lakehead_query::{
    Lake, Limits, Snapshot,
    worker::{AnswerFormat, Query},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    answering::{Answering, Ended},
    attend,
    bounds::SQL_BYTES_MAX,
    child,
    error::SqlError,
    launch::Launch,
    pool::{Pool, Tally},
};

/// Pieces of an answer, of 64 KiB each, between a worker and its client: what a client that does not read costs here.
const PIECES_AHEAD: usize = 4;

/// Answers SQL over a lake by workers. Cheap to clone; all clones share the workers.
#[derive(Clone)]
pub struct Workers {
    pub(super) pool: Arc<Pool>,
    limits: Limits,
}

impl Workers {
    /// Workers that answer from `lake`. None is started yet. `time_max` is what one query may take of processor time, and
    /// by the clock until its answer is there: [`TIME_MAX`](super::TIME_MAX) unless somebody says otherwise.
    #[must_use]
    pub fn new(lake: Lake, launch: Launch, time_max: Duration) -> Self {
        let limits = Limits { threads: child::threads(), ..Limits::default() };
        Self { pool: Arc::new(Pool::new(lake, launch, time_max)), limits }
    }

    /// Answers `sql`, written in `form`. Returns when all rows are there and their first bytes can be had.
    ///
    /// # Errors
    /// As [`Error`](super::Error) says.
    pub async fn answer(&self, sql: &str, form: AnswerFormat) -> Result<Answering, SqlError> {
        let limits = self.limits;
        let query = Query { sql: sql.to_owned(), form, rows: limits.rows, threads: limits.threads, part: None };
        self.ask(query, Vec::new()).await
    }

    /// What became of the queries since the start.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.pool.tally()
    }

    /// Has a worker answer `query`, whose tables are as `given` where they stand there.
    pub(super) async fn ask(&self, query: Query, given: Vec<(Name, Arc<Snapshot>)>) -> Result<Answering, SqlError> {
        let answer = self.try_ask(query, given).await;
        let counts = &self.pool.counts;
        let count = match &answer {
            // Counted when its last byte is taken.
            Ok(_) => return answer,
            Err(SqlError::Sql(_)) => &counts.refused,
            Err(SqlError::Busy(_)) => &counts.busy,
            Err(SqlError::Limit(_) | SqlError::Failed(_)) => &counts.stopped,
        };
        count.fetch_add(1, Ordering::Relaxed);
        answer
    }

    async fn try_ask(&self, query: Query, given: Vec<(Name, Arc<Snapshot>)>) -> Result<Answering, SqlError> {
        if query.sql.len() > SQL_BYTES_MAX {
            return Err(SqlError::Limit(format!(
                "the statement has {} bytes and may have {SQL_BYTES_MAX}; put long lists into a stream and join with it",
                query.sql.len()
            )));
        }
        let familiar = &self.pool.familiar;
        let text = familiar.text(&query.sql);
        let mut place = self.pool.places.take(familiar.is_long(text)).await?;
        // Of twenty that came at once, the first has shown meanwhile what the others will take.
        if !place.is_long() && familiar.is_long(text) {
            drop(place);
            place = self.pool.places.take(true).await?;
        }
        let process = self.pool.worker().map_err(|error| {
            SqlError::Failed(format!(
                "a worker for the query could not be started: {error}; ask again when the machine has room"
            ))
        })?;
        let (tell_head, head) = oneshot::channel();
        let (tell_pieces, pieces) = mpsc::channel(PIECES_AHEAD);
        let ended = Arc::new(Ended::default());
        let listener = attend::Listener { head: Some(tell_head), pieces: tell_pieces, ended: Arc::clone(&ended) };
        tokio::spawn(attend::attend(Arc::clone(&self.pool), process, (place, text), query, given, listener));
        let head = head.await.unwrap_or_else(|_| Err(SqlError::Failed("the query was given up".to_owned())))?;
        Ok(Answering { head, pieces, ended })
    }
}
