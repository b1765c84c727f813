//! The name of a stream, source, view or sink, as the user chose it.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest name, in bytes: leaves room for a file suffix within the 255 bytes that file systems allow, and is
/// PostgreSQL's limit for an identifier (`NAMEDATALEN` - 1).
const NAME_BYTES_MAX: usize = 63;

/// A name: a lower-case letter, then lower-case letters, digits and underscores, at most 63 bytes.
///
/// `recentchange` and `edits_per_minute` are names; `Edits`, `2fast`, `a-b` and `../x` are not. So a name is a folder,
/// an SQL identifier that needs no quotes, and a part of an address, all without escaping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a name: use a lower-case letter, then lower-case letters, digits and underscores, at most {NAME_BYTES_MAX} bytes"
)]
pub struct NameError {
    text: String,
}

impl Name {
    /// Takes `text` as a name.
    ///
    /// # Errors
    /// When it is not one; the message says what one is.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let head = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if head && rest && text.len() <= NAME_BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            Err(NameError { text: text.chars().take(80).collect() })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_folders_and_identifiers() {
        for good in ["a", "recentchange", "edits_per_minute", "v2"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "A", "2a", "_a", "a-b", "a.b", "../a", "a/b", "ä", long.as_str()] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }
}
