//! The contract of a sink: who calls what, how often, in which order.
//!
//! ```text
//! open ─▶ resume ─▶ write, write, … ─▶ commit(through) ─▶ write, … ─▶ close
//! ```

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lakehead_model::{Clock, Column, Name, Position};

use crate::{Batch, Error};

/// Delivers rows to another system. One task owns it. After an `Err` it is dropped and opened again, and everything after
/// the last position that was committed is written again.
#[async_trait]
pub trait Sink: Send {
    /// The position that the target itself stores, for a sink that is [`Delivery::Transactional`]; `None`: the engine
    /// keeps it. Called once, before anything is written.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the target cannot be asked; [`Error::Invalid`] when what it says cannot be of this sink.
    async fn resume(&mut self) -> Result<Option<Position>, Error> {
        Ok(None)
    }

    /// Writes the rows of `batch`: one answer for each, in their order.
    ///
    /// A call may be dropped only when the engine gives up waiting for it at a stop; nothing is known of the batch then.
    ///
    /// # Errors
    /// Only when nothing is known of any row: the target is away ([`Error::Unavailable`]), or a person must change
    /// something before any row can be taken ([`Error::Invalid`]).
    async fn write(&mut self, batch: &Batch) -> Result<Vec<Answer>, Error>;

    /// Makes everything that was held up to `through` durable; a transactional sink stores `through` in the same transaction.
    ///
    /// # Errors
    /// As [`write`](Self::write): all since the last commit is written again.
    async fn commit(&mut self, through: &Position) -> Result<(), Error> {
        let _ = through;
        Ok(())
    }

    /// Ends it: nothing is under way, and what was not committed is given up.
    ///
    /// # Errors
    /// When the target says so; for people, since nothing depends on it.
    async fn close(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The target has it, for good.
    Done,
    /// The target has it once [`Sink::commit`] returns.
    Held,
    /// It will never take it; why, for a person. The row becomes a reject.
    Refused(String),
    /// Not now; try again, no sooner than the target asks.
    Later(Option<Duration>),
}

/// What happens to a row that is written twice, as after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It may be there twice.
    AtLeastOnce,
    /// It has one effect: the target knows it by its id or key.
    Idempotent,
    /// It is there once: rows and position are in one transaction of the target.
    Transactional,
}

impl Delivery {
    /// In words, as in `at least once`.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at least once",
            Self::Idempotent => "effectively once: a row that is written twice has one effect",
            Self::Transactional => "exactly once: rows and position are in one transaction",
        }
    }
}

/// Which rows a sink can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Rows that are added. Of a view these are its rows as changes, each with its operation.
    Appends,
    /// Rows with a key, which replace an older one or delete it. `check` refuses a view without a whole key.
    Keyed,
}

/// What a sink is given when it opens.
pub struct SinkContext {
    /// The name that the user gave it.
    pub name: String,
    /// What it delivers.
    pub from: Feed,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What a sink delivers.
#[derive(Clone, Debug, PartialEq)]
pub enum Feed {
    /// The events of a stream, with the columns that the pipeline declares.
    Stream {
        /// The stream.
        name: Name,
        /// Its typed columns.
        columns: Vec<Column>,
    },
    /// The changes of a view's closed windows.
    View {
        /// The view.
        name: Name,
        /// Its columns, each with the name of its type in SQL.
        columns: Vec<(String, String)>,
        /// Those that make a row's key; empty where it has none.
        key: Vec<String>,
    },
}

impl Feed {
    /// The name of the stream or view.
    #[must_use]
    pub fn name(&self) -> &Name {
        match self {
            Self::Stream { name, .. } | Self::View { name, .. } => name,
        }
    }
}
