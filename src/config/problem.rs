//! What is wrong with a pipeline file: where, which key, and what would be valid.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// The line, from 1; 0 when it concerns the file as a whole.
    pub(crate) line: usize,
    /// The character in the line, from 1; 0 when the key says enough.
    pub(crate) column: usize,
    /// The key, as it would be written from the top: `source.wikimedia.url`.
    pub(crate) key: String,
    /// What is wrong, and what would be valid.
    pub(crate) what: String,
    /// The line with a mark under the place; empty where there is no column.
    pub(crate) marked: String,
}

/// Everything that is wrong with one file, in its order.
#[derive(Debug)]
pub(crate) struct Problems {
    /// The file, as the user named it.
    pub(crate) file: String,
    /// At least one.
    pub(crate) found: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { line, column, key, what, marked }) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if *line > 0 {
                write!(f, ":{line}")?;
            }
            if *column > 0 {
                write!(f, ":{column}")?;
            }
            if !key.is_empty() {
                write!(f, ": {key}")?;
            }
            write!(f, ": {what}")?;
            if !marked.is_empty() {
                write!(f, "\n{marked}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
