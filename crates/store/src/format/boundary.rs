//! The boundary between two blocks, by number and offset: where boundaries meet, nothing is missing.

use std::fmt;

use lakehead_model::Offset;
use serde::{Deserialize, Serialize};

/// A boundary between two blocks: one ends here, the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Boundary {
    /// The number of the block after it.
    pub(crate) number: u64,
    /// The offset of the event after it.
    pub(crate) offset: Offset,
}

impl Boundary {
    /// What is wrong when blocks that end here are followed by one that begins at `next`.
    pub(crate) fn is_not_followed_by(self, next: Self) -> String {
        format!("{self} was expected next, and {next} is there")
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} with offset {}", self.number, self.offset)
    }
}
