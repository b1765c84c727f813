//! What a source's task tells the rest: its state and its counts, for the status.

use std::time::Duration;

use lakehead_connector_api::Activity;
use lakehead_model::{Name, Timestamp};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::status::{SourceState, SourceStatus};

/// The status of one source, shared by its task and whoever asks. A change of state is logged here, once; a change of
/// detail within a state (another try, another reason) is not.
pub(crate) struct SourceWatch {
    name: Name,
    status: watch::Sender<SourceStatus>,
}

impl SourceWatch {
    pub(crate) fn new(name: Name, kind: &'static str, stream: Name) -> Self {
        let status = SourceStatus {
            kind,
            stream,
            state: SourceState::Opening,
            events: 0,
            duplicates: 0,
            rejects: 0,
            gaps: 0,
            opened: 0,
            progress: None,
        };
        Self { name, status: watch::Sender::new(status) }
    }

    pub(crate) fn status(&self) -> SourceStatus {
        self.status.borrow().clone()
    }

    /// For those who wait until it is in some state.
    #[cfg(test)]
    pub(crate) fn subscribe(&self) -> watch::Receiver<SourceStatus> {
        self.status.subscribe()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut SourceStatus)) {
        self.status.send_modify(change);
    }

    /// Something came: the source is connected.
    pub(crate) fn active(&self, activity: Option<&Activity>, now: Timestamp) {
        let name = &self.name;
        self.status.send_if_modified(|status| {
            let next = match (activity, &status.state) {
                (Some(Activity::CatchingUp), _) => SourceState::CatchingUp,
                (Some(Activity::Live), _) => SourceState::Live,
                (None, SourceState::Live | SourceState::CatchingUp) => return false,
                (None, _) => SourceState::Live,
            };
            match &status.state {
                SourceState::Opening => info!("source {name} is connected"),
                SourceState::Away { since, .. } => info!("source {name} is back after {:.1?}", now.since(*since)),
                SourceState::Waiting { since, .. } => {
                    info!("source {name} goes on after {:.1?}: the store can write again", now.since(*since));
                }
                _ => {}
            }
            let changed = status.state != next;
            status.state = next;
            changed
        });
    }

    /// The other side is away, and is tried again after `wait`.
    pub(crate) fn away(&self, now: Timestamp, error: String, wait: Duration) {
        self.update(|status| {
            let since = match &status.state {
                SourceState::Away { since, .. } => *since,
                _ => {
                    warn!("source {} is away: {error}; trying again until it is back", self.name);
                    now
                }
            };
            status.state = SourceState::Away { since, error, next_try: now.plus(wait) };
        });
    }

    /// The store cannot write.
    pub(crate) fn waiting(&self, now: Timestamp, error: String) {
        self.update(|status| {
            let since = match &status.state {
                SourceState::Waiting { since, .. } => *since,
                _ => {
                    error!("source {} waits, since nothing can be kept: {error}", self.name);
                    now
                }
            };
            status.state = SourceState::Waiting { since, error };
        });
    }

    /// It is over, for good.
    pub(crate) fn failed(&self, now: Timestamp, error: String) {
        error!("source {} has failed and is not tried again: {error}", self.name);
        self.update(|status| status.state = SourceState::Failed { since: now, error });
    }

    /// It came to its end.
    pub(crate) fn ended(&self) {
        info!("source {} has come to its end", self.name);
        self.update(|status| status.state = SourceState::Ended);
    }
}
