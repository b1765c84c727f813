//! What a sink needs to run, run after run: what it delivers and where to, and where it notes how far it has got.

use std::sync::Arc;

use lakehead_connector_api::{Feed, SinkContext, SinkSpec};
use lakehead_json::EventTimes;
use lakehead_model::{Clock, Name, Offset, Position};
use lakehead_store::{Appender, Claim, Stream};

use super::{
    position_file::{PositionFile, PositionRecord},
    watch::SinkWatch,
};
use crate::{
    Error,
    claims::Claims,
    follow::{
        changes::ChangeFeed,
        claim::{FollowClaim, claimant},
        follower::Follower,
        log::LogFollower,
        view::ViewFollower,
    },
    ledgers::dead_letters::Refuser,
    pipeline::{SinkConfig, Start},
};

/// What is followed.
#[derive(Clone)]
pub(crate) enum Followed {
    Log { stream: Stream, times: Arc<EventTimes> },
    View { name: Name, feed: Arc<dyn ChangeFeed> },
}

/// What a sink needs to run.
pub(crate) struct Course {
    pub(crate) name: Name,
    pub(crate) spec: SinkSpec,
    pub(crate) config: SinkConfig,
    pub(crate) feed: Feed,
    pub(crate) followed: Followed,
    /// Where dead letters go; `None` where the rows are rejects themselves.
    pub(crate) rejects: Option<Appender>,
    pub(crate) refuser: Refuser,
    pub(crate) file: PositionFile,
    pub(crate) watch: Arc<SinkWatch>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Followed {
    /// Where what is there ends now.
    pub(crate) fn newest(&self) -> Position {
        match self {
            Self::Log { stream, .. } => {
                let head = stream.head();
                Position::Log { epoch: head.epoch, next: head.end }
            }
            Self::View { feed, .. } => *feed.commits().borrow(),
        }
    }

    /// Where a sink begins by its `start`; `None`: with a snapshot.
    pub(crate) fn beginning(&self, start: Start) -> Option<Position> {
        match (self, start) {
            (_, Start::Now) => Some(self.newest()),
            (Self::Log { stream, .. }, Start::Beginning) => {
                let head = stream.head();
                Some(Position::Log { epoch: head.epoch, next: head.start })
            }
            (Self::View { .. }, Start::Beginning) => None,
        }
    }
}

impl Course {
    /// What a sink is given when it opens.
    pub(crate) fn context(&self) -> SinkContext {
        SinkContext { name: self.name.to_string(), from: self.feed.clone(), clock: Arc::clone(&self.clock) }
    }

    /// Reads how far it has got; of one that begins now, notes where. What is to be told about that stands beside. Blocks.
    ///
    /// # Errors
    /// When the file is damaged, or cannot be read or written.
    pub(crate) fn load(&self) -> Result<(PositionRecord, Option<String>), Error> {
        let is_view = matches!(self.followed, Followed::View { .. });
        let found = self.file.load()?;
        let (same, other): (Option<_>, Option<_>) = match found {
            Some(record) if record.from == self.config.from && record.is_view == is_view => (Some(record), None),
            other => (None, other),
        };
        if let Some(record) = same {
            return Ok((record, None));
        }
        let began_anew = other.is_some();
        let told = other.map(|record| {
            let (before, now) = (&record.from, &self.config.from);
            format!("it delivered {before} before: it begins anew with {now}, as its `start` says")
        });
        let position = self.followed.beginning(self.config.start);
        let from = self.config.from.clone();
        let record = PositionRecord { from, is_view, position, commits: 0, lost_rows: 0, began_anew };
        self.file.save(&record)?;
        Ok((record, told))
    }

    /// Claims what is needed from `position` on.
    pub(crate) fn claim(&self, claims: &Claims, position: Option<Position>) -> FollowClaim {
        match &self.followed {
            Followed::Log { stream, .. } => {
                let from = match position {
                    Some(Position::Log { next, .. }) => next,
                    _ => stream.head().start,
                };
                FollowClaim::Log(claims.add(stream.name(), Claim { from, ..self.log_claim() }))
            }
            Followed::View { feed, .. } => FollowClaim::View(feed.claim(&claimant(&self.name), position)),
        }
    }

    fn log_claim(&self) -> Claim {
        let waits = self.config.keep.at_most();
        Claim { waits, ..Claim::new(claimant(&self.name), Offset(0)) }
    }

    /// Follows what it delivers from `position` on.
    pub(crate) fn follow(&self, position: Option<Position>) -> Follower {
        match &self.followed {
            Followed::Log { stream, times } => {
                let from = match position {
                    Some(Position::Log { next, .. }) => next,
                    _ => stream.head().start,
                };
                let claim = Claim { from, ..self.log_claim() };
                Follower::Log(Box::new(LogFollower::new(stream.clone(), Arc::clone(times), claim)))
            }
            Followed::View { name, feed } => {
                Follower::View(ViewFollower::new(name.clone(), Arc::clone(feed), position))
            }
        }
    }
}
