//! What a look before the start finds: at a source without taking anything, at a sink without writing anything.

use crate::source::Opened;

/// A source, opened for a look.
pub enum Peeked {
    /// Its events can be looked at. It has no use for acknowledgements.
    Opened(Opened),
    /// It cannot be looked at without changing something outside; why, for a person.
    Unseen(String),
}

/// What was found out of a sink's target. Nothing in it is secret: no header, no password, no query of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    /// What was asked, and is as it should be: a sentence each, as in `http://hooks.example/a answers`.
    pub found: Vec<String>,
    /// What shows only when something is written: a sentence each.
    pub unknown: Vec<String>,
}

impl Probed {
    /// This was found, and nothing is left unknown.
    #[must_use]
    pub fn found(what: impl Into<String>) -> Self {
        Self { found: vec![what.into()], unknown: Vec::new() }
    }

    /// Beside that, this is not known.
    #[must_use]
    pub fn but(mut self, unknown: impl Into<String>) -> Self {
        self.unknown.push(unknown.into());
        self
    }
}
