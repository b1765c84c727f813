//! The one follower, over whatever is followed.

use lakehead_model::Position;

use super::{log::LogFollower, step::Step, view::ViewFollower};
use crate::Error;

/// Follows a stream or a view.
pub(crate) enum Follower {
    Log(Box<LogFollower>),
    View(ViewFollower),
}

impl Follower {
    /// What comes next; waits, without polling, while there is nothing. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the log or a file of the view cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Step, Error> {
        match self {
            Self::Log(log) => log.next().await,
            Self::View(view) => view.next().await,
        }
    }

    /// Whether everything that is committed was handed over.
    pub(crate) fn is_at_end(&self) -> bool {
        match self {
            Self::Log(log) => log.is_at_end(),
            Self::View(view) => view.is_at_end(),
        }
    }
}

/// How far `position` is behind `newest`, in events of a stream or commits of a view; `None` where that cannot be said.
pub(crate) fn behind(position: Option<Position>, newest: Position) -> Option<u64> {
    match (position?, newest) {
        (Position::Log { next, .. }, Position::Log { next: end, .. }) => Some(end.since(next)),
        (Position::View { incarnation, commit }, Position::View { incarnation: same, commit: newest })
            if incarnation == same =>
        {
            Some(newest.saturating_sub(commit))
        }
        _ => None,
    }
}
