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
pub(crate) struct Sources(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether what is added is connected at once.
    connects: bool,
    there: BTreeMap<Name, There>,
    /// Tasks that were told to stop and have not ended in time.
    leaving: BTreeMap<Name, JoinHandle<()>>,
}

struct There {
    watch: Arc<SourceWatch>,
    stop: watch::Sender<bool>,
    phase: Phase,
}

enum Phase {
    Ready(Box<Ready>),
    Connected(JoinHandle<()>),
    /// It was told to stop; what it told last still shows.
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
        state.there.insert(name, There { watch, stop, phase });
    }

    /// Connects those that are ready, and from now on whatever is added. A second call does nothing.
    pub(crate) fn connect(&self) {
        let mut state = self.state();
        let State { connects, there, leaving } = &mut *state;
        *connects = true;
        for (name, there) in there {
            there.phase = match std::mem::replace(&mut there.phase, Phase::Stopped) {
                Phase::Ready(ready) => Phase::Connected(spawn(*ready, leaving.remove(name), there.stop.subscribe())),
                other => other,
            };
        }
    }

    /// What each tells.
    pub(crate) fn status(&self) -> BTreeMap<Name, SourceStatus> {
        self.state().there.iter().map(|(name, there)| (name.clone(), there.watch.status())).collect()
    }

    /// What one of them tells.
    #[cfg(test)]
    pub(crate) fn watch_of(&self, source: &str) -> Arc<SourceWatch> {
        Arc::clone(&self.state().there[source].watch)
    }

    /// Stops those of these names and waits until they have committed what is under way.
    pub(crate) async fn stop(&self, names: &[Name]) {
        let mut tasks = Vec::new();
        {
            let mut state = self.state();
            for name in names {
                let Some(there) = state.there.get_mut(name) else { continue };
                there.stop.send_replace(true);
                if let Phase::Connected(task) = std::mem::replace(&mut there.phase, Phase::Stopped) {
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
        let names: Vec<Name> = self.state().there.keys().cloned().collect();
        self.stop(&names).await;
    }

    /// Removes one that was stopped; answers what it told last.
    pub(crate) fn remove(&self, name: &Name) -> Option<SourceStatus> {
        self.state().there.remove(name).map(|there| there.watch.status())
    }

    /// Tells all of them to stop, and waits for none.
    pub(crate) fn halt(&self) {
        self.state().there.values().for_each(|there| {
            there.stop.send_replace(true);
        });
    }

    // Every change under the lock leaves the maps whole, so a panic elsewhere does, too.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a source once the one `before` it has ended.
fn spawn(ready: Ready, before: Option<JoinHandle<()>>, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let Ready { ingest, spec, settings } = ready;
    tokio::spawn(async move {
        if let Some(before) = before {
            // How it ended was told by itself; that it did is what counts here.
            let _ = before.await;
        }
        supervise(ingest, spec, settings, stop).await;
    })
}
