//! What a source's task tells the rest: its state and its counts, for the status.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lakehead_connector_api::Activity;
use lakehead_model::{Name, Timestamp};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::status::{SourceState, SourceStatus};

/// The status of one source, shared by its task and whoever asks. A change of state is logged here, once; a change of
/// detail within a state (another try, another reason) is not.
pub(crate) struct SourceWatch {
    name: Name,
    /// What it did last, as far as it said.
    activity: Mutex<Activity>,
    status: watch::Sender<SourceStatus>,
}

impl SourceWatch {
    pub(crate) fn new(name: Name, kind: &'static str, streams: Vec<Name>) -> Self {
        let status = SourceStatus {
            kind,
            streams,
            state: SourceState::Opening,
            events: 0,
            duplicates: 0,
            rejects: 0,
            gaps: 0,
            opened: 0,
            progress: None,
            counted_since: Timestamp::default(),
        };
        Self { name, activity: Mutex::new(Activity::Live), status: watch::Sender::new(status) }
    }

    /// It counts from now on.
    pub(crate) fn counts_since(self, now: Timestamp) -> Self {
        self.update(|status| status.counted_since = now);
        self
    }

    /// Continues the counts of the source that had this name before.
    pub(crate) fn continue_from(&self, before: &SourceStatus) {
        self.update(|status| {
            let SourceStatus { events, duplicates, rejects, gaps, opened, counted_since, .. } = *before;
            *status = SourceStatus { events, duplicates, rejects, gaps, opened, counted_since, ..status.clone() };
        });
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

    /// Something came: the source is connected. While the store cannot write, that alone changes nothing.
    pub(crate) fn active(&self, activity: Option<&Activity>, now: Timestamp) {
        let next = self.connected(activity);
        let name = &self.name;
        self.status.send_if_modified(|status| {
            match &status.state {
                SourceState::Waiting { .. } => return false,
                SourceState::Opening => info!("source {name} is connected"),
                SourceState::Away { since, .. } => info!("source {name} is back after {:.1?}", now.since(*since)),
                _ => {}
            }
            let changed = status.state != next;
            status.state = next;
            changed
        });
    }

    /// Events are on disk, and with them the source's progress.
    pub(crate) fn committed(&self, events: u64, progress: Option<Timestamp>, now: Timestamp) {
        let next = self.connected(None);
        self.update(|status| {
            if let SourceState::Waiting { since, .. } = &status.state {
                info!("source {} goes on after {:.1?}: the store can write again", self.name, now.since(*since));
                status.state = next;
            }
            status.events += events;
            status.progress = progress.or(status.progress);
        });
    }

    /// The state of a source that is connected and does `activity`, or what it did last.
    fn connected(&self, activity: Option<&Activity>) -> SourceState {
        let mut last = self.activity.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(activity) = activity {
            *last = activity.clone();
        }
        match *last {
            Activity::CatchingUp => SourceState::CatchingUp,
            Activity::Live => SourceState::Live,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_waits_for_the_store_until_something_is_kept() {
        let name = || Name::new("a").expect("a name");
        let watch = SourceWatch::new(name(), "scripted", vec![name()]);
        let at = Timestamp::from_seconds;
        watch.active(Some(&Activity::CatchingUp), at(0));
        watch.waiting(at(1), "full".into());
        watch.active(None, at(2));
        watch.waiting(at(3), "still full".into());
        let waiting = SourceState::Waiting { since: at(1), error: "still full".into() };
        assert_eq!(watch.status().state, waiting, "since the first of them");
        watch.committed(5, None, at(4));
        let status = watch.status();
        assert_eq!((status.state, status.events), (SourceState::CatchingUp, 5));
    }

    #[test]
    fn a_source_that_is_away_keeps_its_since_until_it_is_back() {
        let name = || Name::new("a").expect("a name");
        let watch = SourceWatch::new(name(), "scripted", vec![name()]);
        let at = Timestamp::from_seconds;
        let second = Duration::from_secs(1);
        watch.away(at(1), "refused".into(), second);
        watch.away(at(9), "reset".into(), second);
        let away = SourceState::Away { since: at(1), error: "reset".into(), next_try: at(10) };
        assert_eq!(watch.status().state, away);
        watch.active(None, at(11));
        assert_eq!(watch.status().state, SourceState::Live);
    }
}
