//! Why events cannot be decoded. What an event holds is never a reason.

use arrow::error::ArrowError;
use lakehead_model::Kind;

/// Why events cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A required column is not in the table.
    #[error("there is no column {column:?}: the table has {known}")]
    UnknownColumn {
        /// The column that was asked for.
        column: String,
        /// Those that there are.
        known: String,
    },
    /// A schema declares a column twice, or one that every stream has anyway.
    #[error("the column {column:?} is there already: give the one with the path {path:?} another name")]
    ColumnTwice {
        /// The column's name.
        column: String,
        /// The path of the second one, with dots.
        path: String,
    },
    /// The ends of the events do not fit the payload.
    #[error(
        "event {event} of the block ends at byte {end}, which cannot be: the one before ends at {start} and the payload at {payload}"
    )]
    Ends {
        /// Which event of the block, from 0.
        event: usize,
        /// Where it begins.
        start: usize,
        /// Where it is said to end.
        end: usize,
        /// The payload's size in bytes.
        payload: usize,
    },
    /// The payload is not the UTF-8 text that was stored.
    #[error("the block that begins at offset {first_offset} does not hold text as it was stored")]
    Text {
        /// The offset of the block's first event.
        first_offset: u64,
        /// What Arrow says.
        #[source]
        source: ArrowError,
    },
    /// Columns do not make a batch.
    #[error("the columns do not make a record batch")]
    Batch(#[source] ArrowError),
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownColumn { .. } | Self::ColumnTwice { .. } => Kind::Invalid,
            Self::Ends { .. } | Self::Text { .. } => Kind::Corrupt,
            Self::Batch(_) => Kind::Internal,
        }
    }
}
