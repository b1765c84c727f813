//! What a follower brings.

use lakehead_connector_api::Batch;
use lakehead_model::Position;

/// The next of what is followed.
#[derive(Debug)]
pub(crate) enum Step {
    /// Rows, perhaps none.
    Rows {
        /// The rows.
        batch: Batch,
        /// Where to go on once all rows up to the last of these have an answer; `None` in the midst of a commit or snapshot,
        /// where nobody can begin.
        to: Option<Position>,
    },
    /// Something that a person should know, and where to go on after it.
    Told(Finding, Option<Position>),
}

/// What a person should know of a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Rows that will never be delivered.
    pub(crate) lost_rows: u64,
    /// What happened, and what is done about it.
    pub(crate) why: String,
}
