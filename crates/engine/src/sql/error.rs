//! Why a query was not answered, by what the one who asked does next.

use lakehead_model::Kind;
use lakehead_query::worker::{Failure, MendedBy};

/// Why a query was not answered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The SQL is wrong.
    #[error("{0}")]
    Sql(String),
    /// It took more than it may.
    #[error("{0}")]
    Limit(String),
    /// There is no room for it now; the same query may be answered a little later.
    #[error("{0}")]
    Busy(String),
    /// Something failed that is no fault of the SQL.
    #[error("{0}")]
    Failed(String),
}

impl SqlError {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sql(_) | Self::Limit(_) => Kind::Invalid,
            Self::Busy(_) => Kind::Unavailable,
            Self::Failed(_) => Kind::Internal,
        }
    }
}

impl From<lakehead_query::Error> for SqlError {
    fn from(error: lakehead_query::Error) -> Self {
        Failure::from(error).into()
    }
}

impl From<Failure> for SqlError {
    fn from(failure: Failure) -> Self {
        match failure.mends {
            MendedBy::Sql => Self::Sql(failure.what),
            MendedBy::Limit => Self::Limit(failure.what),
            MendedBy::Nobody => Self::Failed(failure.what),
        }
    }
}
