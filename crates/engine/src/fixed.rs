//! A setting that a reload cannot change, named as a person would look for it.

use std::fmt;

/// A setting that differs, and cannot change while Lakehead runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Its key, as it would be written from the top of a pipeline file.
    pub key: String,
    /// What to do.
    pub what: String,
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}
