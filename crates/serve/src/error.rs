//! Why the server could not run. Why a single request is refused stands in [`Refusal`](crate::answers::Refusal).

use lakehead_model::Kind;

/// The server's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The listening socket failed.
    #[error("cannot serve on {address}: {source}")]
    Listen {
        /// Where it listens.
        address: String,
        /// The system's word.
        source: std::io::Error,
    },
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Listen { .. } => Kind::Unavailable,
        }
    }
}
