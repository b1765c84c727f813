//! The one error of a connector, named by what the caller does next.

use lakehead_model::Kind;

/// Why a connector stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is wrong, or the other side says that we may not: a person must change something.
    #[error("{0}")]
    Invalid(String),
    /// The other side is away, slow or cut off: the engine waits and opens again, from the last cursor.
    #[error("{what}")]
    Unavailable {
        /// What happened, for a person: which address, which status, how long.
        what: String,
        /// How long the other side asked to be left alone, if it did (`Retry-After`).
        retry_after: Option<std::time::Duration>,
    },
    /// The cursor or the stream's tail cannot be read.
    #[error("{0}")]
    Corrupt(String),
    /// A defect of ours.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The other side is away for now.
    #[must_use]
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into(), retry_after: None }
    }

    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::Corrupt(_) => Kind::Corrupt,
            Self::Internal(_) => Kind::Internal,
        }
    }
}
