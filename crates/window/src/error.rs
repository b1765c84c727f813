//! Why a window cannot be.

use std::time::Duration;

use lakehead_model::Kind;

/// Why a window cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A window's size is no whole number of microseconds, or it is zero, or too great.
    #[error("a window of {0:?} cannot be: its size must be a whole number of microseconds, from 1 µs to 36525 days")]
    Size(Duration),
}

impl Error {
    /// What the caller does next: always [`Kind::Invalid`], a person must choose another size.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Size(_) => Kind::Invalid,
        }
    }
}
