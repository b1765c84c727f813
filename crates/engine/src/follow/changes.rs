//! Where the changes of a view come from, commit by commit; a small trait, so that its followers need no view for their tests.

use futures::future::BoxFuture;
use lakehead_model::Position;
use lakehead_query::ChangeLines;
use tokio::sync::watch;

use super::claim::ChangesHeld;
use crate::Error;

/// The changes of one view.
pub(crate) trait ChangeFeed: Send + Sync {
    /// The last commit, and each that follows.
    fn commits(&self) -> watch::Receiver<Position>;

    /// What has come after `after`; all that there is without it, and where what has come is not kept any more.
    fn read(&self, after: Option<Position>) -> BoxFuture<'static, Result<ChangesRead, Error>>;

    /// Claims the changes after `after` for `who`.
    fn claim(&self, who: &str, after: Option<Position>) -> Box<dyn ChangesHeld>;
}

/// What has come in a view.
pub(crate) struct ChangesRead {
    /// The rows are all that there are.
    pub(crate) is_snapshot: bool,
    /// The commit up to which it leads.
    pub(crate) to: Position,
    /// The rows in order, a part of a commit at a time. Asking for the next one reads files and blocks.
    pub(crate) parts: Box<dyn Iterator<Item = Result<ChangesPart, Error>> + Send>,
}

/// Some rows of one commit.
pub(crate) struct ChangesPart {
    /// The commit.
    pub(crate) commit: Position,
    /// Whether these are its last rows.
    pub(crate) is_last: bool,
    pub(crate) lines: ChangeLines,
}
