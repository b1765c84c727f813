//! What can go wrong with a query or a view, named by what to do about it.

use std::{fmt, path::PathBuf};

use datafusion::{arrow::error::ArrowError, error::DataFusionError, execution::SessionState};
use lakehead_model::Kind;

use crate::wording::{self, Known, Mistake, Place, plainly};

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
    /// The SQL is wrong in the eyes of the engine beneath; where, whoever has its text can tell.
    #[error("{0}")]
    Wrong(Mistake),
    /// What stands at a place of the SQL.
    #[error("{0}")]
    At(Box<Placed>),
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
    /// What another of these errors said, after the engine beneath had handed it to several.
    #[error("{what}")]
    Carried {
        /// What it said.
        what: String,
        /// What the caller does next.
        kind: Kind,
    },
    /// The engine beneath failed in a way that is no fault of the SQL.
    #[error("the query engine failed: {0}")]
    Engine(String),
}

/// An error and its place.
#[derive(Debug)]
pub struct Placed {
    /// Where.
    pub place: Place,
    /// What.
    pub error: Error,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n{}", self.place, self.error, self.place.marked())
    }
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Wrong(mistake) if mistake.is_defect() => Kind::Internal,
            Self::Sql(_) | Self::Wrong(_) | Self::NotIncremental { .. } | Self::Limit(_) => Kind::Invalid,
            Self::At(placed) => placed.error.kind(),
            Self::Store(e) => e.kind(),
            Self::Carried { kind, .. } => *kind,
            Self::File { .. } => Kind::Unavailable,
            Self::Damaged { .. } => Kind::Corrupt,
            Self::Decode(_) | Self::Engine(_) => Kind::Internal,
        }
    }

    /// Whether another statement is what helps.
    #[must_use]
    pub fn is_of_statement(&self) -> bool {
        match self {
            Self::Wrong(mistake) => !mistake.is_defect(),
            Self::Sql(_) | Self::NotIncremental { .. } | Self::Store(lakehead_store::Error::NoStream { .. }) => true,
            Self::At(placed) => placed.error.is_of_statement(),
            _ => false,
        }
    }

    /// Hands `error` through the engine beneath: what reads the log or a file fails with this, never with words alone,
    /// which would be taken for words about the statement.
    pub(crate) fn through(error: impl Into<Self>) -> DataFusionError {
        DataFusionError::External(Box::new(error.into()))
    }

    /// The same error with its place in `text`, where it has one, and with the names that would be valid.
    pub(crate) fn in_text(self, text: &str, state: &SessionState) -> Self {
        self.in_text_with(text, state, &[])
    }

    /// The same, where there are more tables than those of `state`: `tables`.
    pub(crate) fn in_text_with(self, text: &str, state: &SessionState, tables: &[String]) -> Self {
        let known = Known { state, tables };
        let (error, place) = match self {
            Self::Wrong(mistake) => {
                let (what, place) = known.complete(mistake, text);
                (Self::Sql(what), place)
            }
            Self::Sql(what) => {
                let place = wording::place_of(&what, text);
                (Self::Sql(what), place)
            }
            Self::NotIncremental { what, instead } => {
                let place = wording::place_of_refusal(&what, text);
                (Self::NotIncremental { what, instead }, place)
            }
            other => (other, None),
        };
        match place {
            Some(place) => Self::At(Box::new(Placed { place, error })),
            None => error,
        }
    }

    /// The place in the text of the statement, where the error has one.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::At(placed) => Some(&placed.place),
            _ => None,
        }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::At(placed) => placed.error.what(),
            other => other.to_string(),
        }
    }

    /// The same error, of a statement that Lakehead made around `text`, which begins at the `start`-th character.
    #[must_use]
    pub fn of_part(self, text: &str, start: usize) -> Self {
        match self {
            Self::At(placed) => {
                let Placed { place, error } = *placed;
                match place.within(text, start) {
                    Some(place) => Self::At(Box::new(Placed { place, error })),
                    None => error,
                }
            }
            other => other,
        }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let error = match error {
            DataFusionError::External(inner) => match inner.downcast::<Self>() {
                Ok(ours) => return *ours,
                Err(other) => DataFusionError::External(other),
            },
            other => other,
        };
        let root = wording::root(&error).0;
        match carried(root).and_then(|inner| inner.downcast_ref()) {
            Some(Self::Damaged { path }) => return Self::Damaged { path: path.clone() },
            Some(Self::Limit(what)) => return Self::Limit(what.clone()),
            Some(Self::Sql(what)) => return Self::Sql(what.clone()),
            Some(own) => return Self::Carried { what: own.to_string(), kind: own.kind() },
            None => {}
        }
        match root {
            DataFusionError::ResourcesExhausted(_) => Self::Limit(
                "the query needs more memory than queries may use; ask for a shorter time range, fewer groups or fewer \
                 columns, or keep a view of it"
                    .to_owned(),
            ),
            DataFusionError::IoError(_)
            | DataFusionError::ParquetError(_)
            | DataFusionError::ExecutionJoin(_) => Self::Engine(plainly(&root.strip_backtrace())),
            DataFusionError::ArrowError(arrow, _) if is_of_files(arrow) => Self::Engine(plainly(&root.strip_backtrace())),
            // A regular expression that is none comes from its own crate.
            root if carried(root).is_some_and(|inner| !inner.to_string().contains("regex")) => {
                Self::Engine(plainly(&root.strip_backtrace()))
            }
            _ => Self::Wrong(Mistake::of(&error)),
        }
    }
}

/// The error of another crate, or one of ours, that the engine only passes on.
fn carried(root: &DataFusionError) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
    match root {
        DataFusionError::External(inner) => Some(&**inner),
        DataFusionError::ArrowError(arrow, _) => match &**arrow {
            ArrowError::ExternalError(inner) => Some(&**inner),
            _ => None,
        },
        _ => None,
    }
}

/// Whether it is told of what a file holds, never of what a statement says.
fn is_of_files(error: &ArrowError) -> bool {
    matches!(
        error,
        ArrowError::IoError(..) | ArrowError::IpcError(_) | ArrowError::ParquetError(_) | ArrowError::MemoryError(_)
    )
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::Engine(plainly(&error.to_string()))
    }
}

impl From<datafusion::parquet::errors::ParquetError> for Error {
    fn from(error: datafusion::parquet::errors::ParquetError) -> Self {
        Self::Engine(plainly(&error.to_string()))
    }
}
