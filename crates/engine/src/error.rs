//! Why the engine could not do something.

use lakehead_model::{ByteSize, Kind, Name};

use crate::fixed::Fixed;

/// The engine's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store says no.
    #[error(transparent)]
    Store(#[from] lakehead_store::Error),
    /// A query or a view says no.
    #[error(transparent)]
    Query(#[from] lakehead_query::Error),
    /// A view cannot run.
    #[error("view {view}: {source}")]
    View {
        /// The view.
        view: Name,
        /// Why.
        source: lakehead_query::Error,
    },
    /// The pipeline asks for what is not there. The binary's check finds these first and names the line.
    #[error("{0}")]
    Pipeline(String),
    /// A reload asks for what only a restart can change. Nothing of it was applied.
    #[error("{}", lines(.0))]
    TakesRestart(Vec<Fixed>),
    /// A reload was applied, but for what stands here; the next one tries that again.
    #[error("{}; all else is as the new pipeline says; reload again when this is mended", .0.join("; "))]
    PartlyReloaded(Vec<String>),
    /// The views of a stream could not be started: they are stopped, and their last results can be read.
    #[error("{0}")]
    ViewsStopped(String),
    /// No stream of this name takes events.
    #[error("there is no stream {name:?} to push to; this pipeline has: {known}")]
    UnknownStream {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A body is too large.
    #[error("the body has more than {limit}; send it in parts")]
    BodyTooLarge {
        /// How large one may be.
        limit: ByteSize,
    },
    /// A body has more events than are appended at once, and was to be kept at once.
    #[error(
        "the body has more than {limit} events; with an idempotency key it is kept at once or not, so send it in parts"
    )]
    TooManyEvents {
        /// How many one may have.
        limit: usize,
    },
    /// A body for several streams has more events than are taken at once.
    #[error("the body has more than {limit} events, the most that are taken at once; send it in parts")]
    TooManyAtOnce {
        /// How many one may have.
        limit: usize,
    },
    /// What is to be appended to a stream waits for room for too long: its disk does not keep up.
    #[error("the queue of stream {stream} is full; send it again in a moment")]
    QueueFull {
        /// The stream.
        stream: Name,
    },
    /// An idempotency key stands beside `hasty`.
    #[error("with hasty nothing is promised, and an idempotency key promises something: send one of the two")]
    HastyKey,
    /// A batch of an import has more lines than are appended at once.
    #[error("the body has more than {limit} lines, the most that are imported at once; send it in parts")]
    TooManyLines {
        /// How many one may have.
        limit: usize,
    },
    /// A body was kept in several writes, and one of them failed.
    #[error("the first {accepted} events of the body are kept, and then: {source}; send the rest")]
    PartlyPushed {
        /// How many are kept.
        accepted: u64,
        /// Why not all.
        source: Box<Error>,
    },
    /// There is no event in the body.
    #[error("the body holds no event: send one JSON document, an array of them, or one on each line")]
    EmptyBody,
    /// An idempotency key is not one.
    #[error("an idempotency key has 1 to {limit} printable ASCII characters")]
    BadKey {
        /// How long one may be.
        limit: usize,
    },
    /// A push with the same idempotency key is being written at this moment.
    #[error("a push with this idempotency key is being written; ask again")]
    KeyInFlight,
    /// An import stands elsewhere than its caller thinks.
    #[error("the import {source_name} stands elsewhere: go on from the cursor that is held")]
    CursorMoved {
        /// The import.
        source_name: Name,
        /// The cursor that is held, as its text.
        held: Option<std::sync::Arc<str>>,
    },
    /// The engine is shutting down, or a task of it was stopped by a defect.
    #[error("the pipeline is stopping")]
    Stopping,
    /// A file of ours outside the store.
    #[error("{what}: {source}")]
    Io {
        /// Which file, and what was done to it.
        what: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// A record of ours outside the store is not as it was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// A defect of ours.
    #[error("defect: {0}")]
    Internal(String),
}

fn lines(fixed: &[Fixed]) -> String {
    fixed.iter().map(Fixed::to_string).collect::<Vec<_>>().join("\n")
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(error) => error.kind(),
            Self::PartlyPushed { source, .. } => source.kind(),
            Self::Query(error) | Self::View { source: error, .. } => error.kind(),
            Self::Pipeline(_)
            | Self::TakesRestart(_)
            | Self::UnknownStream { .. }
            | Self::BodyTooLarge { .. }
            | Self::TooManyEvents { .. }
            | Self::TooManyLines { .. }
            | Self::TooManyAtOnce { .. }
            | Self::HastyKey
            | Self::EmptyBody
            | Self::BadKey { .. } => Kind::Invalid,
            Self::KeyInFlight
            | Self::QueueFull { .. }
            | Self::CursorMoved { .. }
            | Self::Io { .. }
            | Self::PartlyReloaded(_)
            | Self::ViewsStopped(_) => Kind::Unavailable,
            Self::Stopping => Kind::Closed,
            Self::Damaged { .. } => Kind::Corrupt,
            Self::Internal(_) => Kind::Internal,
        }
    }
}
