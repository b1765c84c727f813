//! Something that is wrong with a statement: a sentence, and a clue by which its place in the text can be found.

use std::fmt;

use super::place::Clue;

/// Something that is wrong with a statement.
#[derive(Clone, Debug)]
pub struct Mistake {
    pub(super) what: String,
    pub(super) clue: Clue,
    pub(super) missing: Missing,
    /// Whether the engine takes it for a defect of its own: while a statement is planned it is the statement's, later not.
    pub(super) is_defect: bool,
}

/// What was asked for by name and is not there, so that near names can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Nothing,
    Table(String),
    Function(String),
}

/// The sentence alone.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Mistake {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), clue: Clue::Nowhere, missing: Missing::Nothing, is_defect: false }
    }

    pub(crate) fn is_defect(&self) -> bool {
        self.is_defect
    }

    pub(super) fn call(mut self, name: &str) -> Self {
        self.clue = Clue::Call(name.to_owned());
        self
    }

    pub(super) fn at(mut self, clue: Clue) -> Self {
        self.clue = clue;
        self
    }
}
