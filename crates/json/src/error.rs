//! Why bytes are not a JSON document: where, what was expected there, and what was found.

use std::fmt;

use lakehead_model::Kind;

/// Why bytes are not a JSON document: `expected ',' or '}', found '"' at byte 17`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {} at byte {at}", Found(*found))]
#[non_exhaustive]
pub struct Error {
    /// The position, in bytes from the document's start, of the first byte that cannot be.
    pub at: usize,
    /// What could have stood there.
    pub expected: &'static str,
    /// The byte that stands there; `None` when the document ends there.
    pub found: Option<u8>,
}

impl Error {
    pub(crate) fn at(document: &[u8], at: usize, expected: &'static str) -> Self {
        Self { at, expected, found: document.get(at).copied() }
    }

    /// What the caller does next: always [`Kind::Invalid`], the document must be changed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

struct Found(Option<u8>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("the end"),
            Some(byte @ b' '..=b'~') => write!(f, "'{}'", char::from(byte)),
            Some(byte) => write!(f, "byte 0x{byte:02x}"),
        }
    }
}
