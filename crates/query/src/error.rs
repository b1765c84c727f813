//! What can go wrong with a query or a view, named by what to do about it.

use std::path::PathBuf;

use datafusion::error::DataFusionError;
use lakehead_model::Kind;

/// Why a query or a view could not be answered or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The SQL is wrong, or asks for a table or column that is not there.
    #[error("{0}")]
    Sql(String),
    /// The SQL is right but cannot run as a view.
    #[error("{what} cannot be kept up to date as a view; {instead}")]
    NotIncremental {
        /// What stands in the SQL.
        what: String,
        /// The nearest thing that can be done.
        instead: String,
    },
    /// A limit on memory, time or rows was reached.
    #[error("{0}")]
    Limit(String),
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] lakehead_store::Error),
    /// Events could not be turned into columns.
    #[error(transparent)]
    Decode(#[from] lakehead_decode::Error),
    /// A file of a view could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of a view is not what was written: it is not read.
    #[error(
        "{}: damaged: its bytes are not those of its checksum. `lakehead view rebuild` or the next start makes the view anew \
         from the log",
        path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// The engine beneath failed in a way that is no fault of the SQL.
    #[error("the query engine failed: {0}")]
    Engine(String),
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sql(_) | Self::NotIncremental { .. } | Self::Limit(_) => Kind::Invalid,
            Self::Store(e) => e.kind(),
            Self::File { .. } => Kind::Unavailable,
            Self::Damaged { .. } => Kind::Corrupt,
            Self::Decode(_) | Self::Engine(_) => Kind::Internal,
        }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::External(own) if let Some(Self::Damaged { path }) = own.downcast_ref() => {
                Self::Damaged { path: path.clone() }
            }
            DataFusionError::ResourcesExhausted(_) => {
                Self::Limit(format!("the query needs more memory than it may use: {}", error.strip_backtrace()))
            }
            DataFusionError::SQL(..) | DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => {
                Self::Sql(error.strip_backtrace())
            }
            // What a function of SQL says of its arguments in words of its own, as of a pattern that is too large.
            DataFusionError::External(others) if !others.is::<Self>() => Self::Sql(others.to_string()),
            DataFusionError::NotImplemented(_) | DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => {
                Self::Sql(error.strip_backtrace())
            }
            _ => Self::Engine(error.strip_backtrace()),
        }
    }
}

impl From<datafusion::arrow::error::ArrowError> for Error {
    fn from(error: datafusion::arrow::error::ArrowError) -> Self {
        Self::Engine(error.to_string())
    }
}

impl From<datafusion::parquet::errors::ParquetError> for Error {
    fn from(error: datafusion::parquet::errors::ParquetError) -> Self {
        Self::Engine(error.to_string())
    }
}
