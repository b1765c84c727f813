//! What a follower still needs, so that retention leaves it.

use lakehead_model::{Name, Position};

use crate::claims::ClaimGuard;

/// The claim of one follower; it counts until this is dropped.
pub(crate) enum FollowClaim {
    /// On the log of a stream.
    Log(ClaimGuard),
    /// On the changes of a view.
    View(Box<dyn ChangesHeld>),
}

/// A claim on the changes of a view.
pub(crate) trait ChangesHeld: Send + Sync {
    /// Everything up to `position` was delivered, for good.
    fn advance(&self, position: Position);
}

impl FollowClaim {
    /// What is before `position` is not needed any more.
    pub(crate) fn advance(&self, position: Position) {
        match (self, position) {
            (Self::Log(claim), Position::Log { next, .. }) => claim.advance(next),
            (Self::View(claim), Position::View { .. }) => claim.advance(position),
            _ => {}
        }
    }
}

/// Under which name the sink `name` claims what it needs.
pub(crate) fn claimant(name: &Name) -> String {
    format!("sink {name}")
}
