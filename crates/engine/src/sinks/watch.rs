//! What a sink's task tells the rest: its state and its counts, for the status.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use lakehead_connector_api::Delivery;
use lakehead_model::{Clock, Name, Position, Timestamp};
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::{
    follow::{claim::FollowClaim, follower::behind, step::Finding},
    rates::{Rate, SAMPLE_EVERY, SPAN_MAX},
    status::{SinkLost, SinkState, SinkStatus},
    sync::lock,
};

/// The status of one sink, shared by its task and whoever asks. A change of state is logged here, once. It holds the sink's
/// claim too, which counts for as long as the sink is in the pipeline, whether its task runs or not.
pub(crate) struct SinkWatch {
    name: Name,
    clock: Arc<dyn Clock>,
    told: Mutex<Told>,
    claim: Mutex<Option<FollowClaim>>,
    /// Where what is followed ends now.
    newest: Box<dyn Fn() -> Option<Position> + Send + Sync>,
    begun: Instant,
    #[cfg(test)]
    pub(crate) changed: tokio::sync::watch::Sender<u64>,
}

struct Told {
    status: SinkStatus,
    /// Everything before it has an answer.
    through: Option<Position>,
    rate: Rate,
    sampled: Option<Instant>,
}

impl SinkWatch {
    pub(crate) fn new(
        name: Name,
        (kind, from, delivery): (&'static str, Name, Delivery),
        clock: Arc<dyn Clock>,
        newest: impl Fn() -> Option<Position> + Send + Sync + 'static,
    ) -> Self {
        let status = SinkStatus {
            kind,
            from,
            delivery: delivery.in_words(),
            state: SinkState::Opening,
            delivered: 0,
            rejected: 0,
            retried: 0,
            rows_per_second: 0.0,
            lag_rows: None,
            lag_commits: None,
            under_way_bytes: 0,
            position: None,
            committed: None,
            opened: 0,
            last_error: None,
            last_error_at: None,
            lost: None,
            finding: None,
            counted_since: clock.now(),
        };
        let told = Told { status, through: None, rate: Rate::default(), sampled: None };
        let (told, claim, newest) = (Mutex::new(told), Mutex::default(), Box::new(newest));
        let begun = Instant::now();
        #[cfg(test)]
        let changed = tokio::sync::watch::Sender::new(0);
        Self {
            name,
            clock,
            told,
            claim,
            newest,
            begun,
            #[cfg(test)]
            changed,
        }
    }

    /// Continues the counts of the sink that had this name before.
    pub(crate) fn continue_from(&self, before: &SinkStatus) {
        self.update(|status| {
            status.delivered += before.delivered;
            status.rejected += before.rejected;
            status.retried += before.retried;
            status.opened += before.opened;
            status.counted_since = before.counted_since;
            status.finding = status.finding.take().or_else(|| before.finding.clone());
            status.lost = status.lost.take().or_else(|| before.lost.clone());
        });
    }

    /// What it still needs is claimed by `claim`.
    pub(crate) fn claims(&self, claim: FollowClaim) {
        *lock(&self.claim) = Some(claim);
    }

    pub(crate) fn status(&self) -> SinkStatus {
        let newest = (self.newest)();
        let mut told = lock(&self.told);
        told.sample(self.begun);
        let behind = newest.and_then(|newest| behind(told.through, newest));
        let (rows, commits) = match newest {
            Some(Position::Log { .. }) => (behind, None),
            _ => (None, behind),
        };
        let rows_per_second = told.rate.over(SPAN_MAX);
        SinkStatus { lag_rows: rows, lag_commits: commits, rows_per_second, ..told.status.clone() }
    }

    fn update(&self, change: impl FnOnce(&mut SinkStatus)) {
        change(&mut lock(&self.told).status);
        #[cfg(test)]
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// It is opened once more.
    pub(crate) fn opens(&self) {
        self.update(|status| status.opened += 1);
    }

    /// It is connected: rows are under way, or nothing is there to deliver.
    pub(crate) fn connected(&self, is_caught_up: bool) {
        let next = if is_caught_up { SinkState::CaughtUp } else { SinkState::Delivering };
        if lock(&self.told).status.state == next {
            return;
        }
        let (name, now) = (&self.name, self.clock.now());
        self.update(|status| {
            match &status.state {
                SinkState::Opening => info!("sink {name} is connected"),
                SinkState::Away { since, .. } => info!("sink {name} is back after {:.1?}", now.since(*since)),
                SinkState::Waiting { since, .. } => {
                    info!(
                        "sink {name} goes on after {:.1?}: what it has to note can be written again",
                        now.since(*since)
                    );
                }
                _ => {}
            }
            status.state = next;
        });
    }

    /// Rows have an answer.
    pub(crate) fn answered(&self, through: Option<Position>, under_way_bytes: usize, counts: AnswerCounts) {
        {
            let mut told = lock(&self.told);
            told.through = through;
            let status = &mut told.status;
            status.delivered += counts.delivered;
            status.rejected += counts.rejected;
            status.retried += counts.retried;
            status.under_way_bytes = under_way_bytes as u64;
            told.sample(self.begun);
        }
        self.update(|_| {});
    }

    /// Everything before `position` is delivered for good, or refused.
    pub(crate) fn committed(&self, position: Option<Position>) {
        let now = self.clock.now();
        if let (Some(claim), Some(position)) = (&*lock(&self.claim), position) {
            claim.advance(position);
        }
        self.update(|status| {
            status.position = position.map(|position| position.to_string());
            status.committed = Some(now);
        });
    }

    /// It begins at `position`.
    pub(crate) fn begins(&self, position: Option<Position>) {
        lock(&self.told).through = position;
        self.update(|status| status.position = position.map(|position| position.to_string()));
    }

    /// Something that a person should know of its position. `lost_rows` are all that it has lost.
    pub(crate) fn found(&self, finding: &Finding, lost_rows: u64) {
        warn!("sink {}: {}", self.name, finding.why);
        self.update(|status| {
            status.finding = Some(finding.why.clone());
            if finding.lost_rows > 0 {
                status.lost = Some(SinkLost { rows: lost_rows, why: finding.why.clone() });
            }
        });
    }

    /// The target is away, and is tried again after `wait`.
    pub(crate) fn away(&self, error: String, wait: Duration) {
        let now = self.clock.now();
        self.update(|status| {
            let since = match &status.state {
                SinkState::Away { since, .. } => *since,
                _ => {
                    warn!("sink {} is away: {error}; trying again until it is back", self.name);
                    now
                }
            };
            note(status, &error, now);
            status.state = SinkState::Away { since, error, next_try: now.plus(wait) };
        });
    }

    /// What it has to note cannot be written.
    pub(crate) fn waiting(&self, error: String) {
        let now = self.clock.now();
        self.update(|status| {
            let since = match &status.state {
                SinkState::Waiting { since, .. } => *since,
                _ => {
                    error!("sink {} waits, since nothing can be noted: {error}", self.name);
                    now
                }
            };
            note(status, &error, now);
            status.state = SinkState::Waiting { since, error };
        });
    }

    /// It is over, until a reload or a restart.
    pub(crate) fn failed(&self, error: String) {
        error!("sink {} has failed and is not tried again: {error}", self.name);
        let now = self.clock.now();
        self.update(|status| {
            note(status, &error, now);
            status.state = SinkState::Failed { since: now, error };
        });
    }

    /// It was stopped.
    pub(crate) fn stopped(&self) {
        self.update(|status| {
            if !matches!(status.state, SinkState::Failed { .. }) {
                status.state = SinkState::Stopped;
            }
            status.under_way_bytes = 0;
        });
    }
}

/// What became of some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerCounts {
    /// The target has them.
    pub(crate) delivered: u64,
    /// Refused for good.
    pub(crate) rejected: u64,
    /// To be written again.
    pub(crate) retried: u64,
}

impl Told {
    fn sample(&mut self, begun: Instant) {
        if self.sampled.is_none_or(|at| at.elapsed() >= SAMPLE_EVERY) {
            self.sampled = Some(Instant::now());
            self.rate.observe(begun.elapsed(), self.status.delivered);
        }
    }
}

fn note(status: &mut SinkStatus, error: &str, now: Timestamp) {
    (status.last_error, status.last_error_at) = (Some(error.to_owned()), Some(now));
}
