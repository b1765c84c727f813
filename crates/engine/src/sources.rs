//! The sources of a running pipeline: made ready, connected, stopped and replaced, each on its own.
//!
//! ```text
//! ready ── connect ──▶ connected ── stop ──▶ stopped ──▶ another takes its name, or it is removed
//! ```
//! A source that has to stop commits what is under way, and no other source of its name is connected before that is done: the
//! next one reads its cursor from the store, and must find the last.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lakehead_connector_api::SourceSpec;
use lakehead_model::Name;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tracing::warn;

use crate::{ingest::Ingest, status::SourceStatus, supervise::supervise, watch::SourceWatch};

/// How long sources get to finish what is under way; the store commits within a quarter of a second, so past this the
/// disk is in trouble and waiting does not help.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A source that can be connected.
pub(crate) struct Ready {
    pub(crate) ingest: Ingest,
    pub(crate) spec: SourceSpec,
    pub(crate) settings: serde_json::Value,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Sources(Mutex<SourcesState>);

#[derive(Default)]
struct SourcesState {
    /// Whether what is added is connected at once.
    connects: bool,
    entries: BTreeMap<Name, SourceEntry>,
    /// Tasks that were to stop and have not ended in time.
    leaving: BTreeMap<Name, JoinHandle<()>>,
}

struct SourceEntry {
    watch: Arc<SourceWatch>,
    stop: watch::Sender<bool>,
    phase: Phase,
}

enum Phase {
    Ready(Box<Ready>),
    Connected(JoinHandle<()>),
    /// It was stopped; its last status still shows.
    Stopped,
}

impl Sources {
    /// Adds a source; connects it if [`connect`](Self::connect) has been called.
    pub(crate) fn add(&self, ready: Ready) {
        let mut state = self.state();
        let (name, watch) = (ready.ingest.source.clone(), Arc::clone(&ready.ingest.watch));
        let stop = watch::Sender::new(false);
        let phase = if state.connects {
            Phase::Connected(spawn(ready, state.leaving.remove(&name), stop.subscribe()))
        } else {
            Phase::Ready(Box::new(ready))
        };
        state.entries.insert(name, SourceEntry { watch, stop, phase });
    }

    /// Connects those that are ready, and from now on whatever is added. A second call does nothing.
    pub(crate) fn connect(&self) {
        let mut state = self.state();
        let SourcesState { connects, entries, leaving } = &mut *state;
        *connects = true;
        for (name, entry) in entries {
            entry.phase = match std::mem::replace(&mut entry.phase, Phase::Stopped) {
                Phase::Ready(ready) => Phase::Connected(spawn(*ready, leaving.remove(name), entry.stop.subscribe())),
                other => other,
            };
        }
    }

    /// The status of each.
    pub(crate) fn status(&self) -> BTreeMap<Name, SourceStatus> {
        self.state().entries.iter().map(|(name, entry)| (name.clone(), entry.watch.status())).collect()
    }

    /// The watch of one of them.
    #[cfg(test)]
    pub(crate) fn watch_of(&self, source: &str) -> Arc<SourceWatch> {
        Arc::clone(&self.state().entries[source].watch)
    }

    /// Stops those of these names and waits until they have committed what is under way.
    pub(crate) async fn stop(&self, names: &[Name]) {
        let mut tasks = Vec::new();
        {
            let mut state = self.state();
            for name in names {
                let Some(entry) = state.entries.get_mut(name) else { continue };
                entry.stop.send_replace(true);
                if let Phase::Connected(task) = std::mem::replace(&mut entry.phase, Phase::Stopped) {
                    tasks.push((name.clone(), task));
                }
            }
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for (name, mut task) in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                warn!("source {name} did not finish within {STOP_WITHIN:?}; going on without it");
                self.state().leaving.insert(name, task);
            }
        }
    }

    /// Stops all of them.
    pub(crate) async fn stop_all(&self) {
        let names: Vec<Name> = self.state().entries.keys().cloned().collect();
        self.stop(&names).await;
    }

    /// Removes one that was stopped; answers its last status.
    pub(crate) fn remove(&self, name: &Name) -> Option<SourceStatus> {
        self.state().entries.remove(name).map(|entry| entry.watch.status())
    }

    /// Tells all of them to stop, and waits for none.
    pub(crate) fn halt(&self) {
        self.state().entries.values().for_each(|entry| {
            entry.stop.send_replace(true);
        });
    }

    // Every change under the lock leaves the maps whole, so a panic elsewhere does, too.
    fn state(&self) -> MutexGuard<'_, SourcesState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a source once the one `before` it has ended.
fn spawn(ready: Ready, before: Option<JoinHandle<()>>, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let Ready { ingest, spec, settings } = ready;
    tokio::spawn(async move {
        if let Some(before) = before {
            // How it ended it has reported itself; that it did is what counts here.
            let _ = before.await;
        }
        supervise(ingest, spec, settings, stop).await;
    })
}
