//! What an error asks of the caller. Every crate's error has a `kind()`.

use std::fmt;

/// Kinds of error, named by what the caller does next. Supervision is one `match` on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person must change something: the pipeline, an argument, a permission.
    Invalid,
    /// The outside is away for now: wait and try again, with backoff.
    Unavailable,
    /// What was stored is damaged: stop and keep the bytes.
    Corrupt,
    /// The other end is finished: finish too.
    Closed,
    /// A defect of Lakehead.
    Internal,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Closed => "closed",
            Self::Internal => "internal",
        })
    }
}
