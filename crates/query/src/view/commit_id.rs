//! Which commit of which incarnation of a view: a position in its changes, inside this crate.

use lakehead_model::Position;
use serde::{Deserialize, Serialize};

/// A commit. They are in the order in which they came about: a later incarnation has a greater number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct CommitId {
    pub(crate) incarnation: u64,
    pub(crate) commit: u64,
}

impl CommitId {
    /// The commit of a position in a view; `None` for one in a stream.
    pub(crate) fn of(position: Position) -> Option<Self> {
        match position {
            Position::View { incarnation, commit } => Some(Self { incarnation, commit }),
            Position::Log { .. } => None,
        }
    }
}

impl From<CommitId> for Position {
    fn from(CommitId { incarnation, commit }: CommitId) -> Self {
        Self::View { incarnation, commit }
    }
}
