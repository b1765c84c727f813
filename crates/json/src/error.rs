//! Why bytes are not a JSON document: where, what was expected there, and what was found.

use std::fmt;

use lakehead_model::Kind;

/// Why bytes are not a JSON document: `expected ',' or '}', found '"' at byte 17`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {} at byte {at}{}", Found(*found, word), cure(word))]
#[non_exhaustive]
pub struct Error {
    /// The position, in bytes from the document's start, of the first byte that cannot be.
    pub at: usize,
    /// What could have stood there.
    pub expected: &'static str,
    /// The byte that stands there; `None` when the document ends there.
    pub found: Option<u8>,
    /// The word that begins there, where a value should and a word does; else empty.
    word: Box<str>,
}

/// Longest word that is shown, in characters.
const WORD_MAX: usize = 20;

impl Error {
    pub(crate) fn at(document: &[u8], at: usize, expected: &'static str) -> Self {
        Self { at, expected, found: document.get(at).copied(), word: Box::default() }
    }

    /// There is no value at `at`. Where a word stands there, it is shown whole: of `not json`, "found 'n'" would tell nobody
    /// what is wrong. `document` is UTF-8.
    pub(crate) fn no_value(document: &[u8], at: usize) -> Self {
        let rest = document.get(at..).unwrap_or_default();
        let is_end = |byte: &u8| matches!(byte, 0..=b' ' | b'"' | b',' | b':' | b'[' | b']' | b'{' | b'}');
        let word = rest.split(is_end).next().filter(|word| word.first().is_some_and(u8::is_ascii_alphabetic));
        let word = String::from_utf8_lossy(word.unwrap_or_default());
        let mut shown: String = word.chars().take(WORD_MAX).collect();
        if shown.len() < word.len() {
            shown.push('…');
        }
        Self { word: shown.into(), ..Self::at(document, at, "a value") }
    }

    /// What the caller does next: always [`Kind::Invalid`], the document must be changed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

fn cure(word: &str) -> &'static str {
    if word.is_empty() { "" } else { "; a text stands in double quotes" }
}

/// The byte that was found, and the word that it begins.
struct Found<'e>(Option<u8>, &'e str);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(_) if !self.1.is_empty() => write!(f, "'{}'", self.1),
            None => f.write_str("the end"),
            Some(byte @ b' '..=b'~') => write!(f, "'{}'", char::from(byte)),
            Some(byte) => write!(f, "byte 0x{byte:02x}"),
        }
    }
}
