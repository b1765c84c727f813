//! What runs beside others of its kind and on its own: sources, sinks. Each is made ready, connected, stopped and replaced.
//!
//! ```text
//! ready ── connect ──▶ connected ── stop ──▶ stopped ──▶ another takes its name, or it is removed
//! ```
//! What has to stop commits what is under way, and no other of its name is connected before that is done: the next one begins
//! where the last one has committed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lakehead_model::Name;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tracing::warn;

/// How long all that has to stop gets to finish what is under way; the store commits within a quarter of a second and a sink
/// gives up before, so past this waiting does not help.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(20);

/// One of a kind that runs on its own.
pub(crate) trait Runs: Send + 'static {
    /// What it is called, as in `source`.
    const WHAT: &'static str;
    /// What its task tells, also after it has ended.
    type Watch: Send + Sync + 'static;
    /// What a status shows of that.
    type Status;

    /// The name that the user gave it.
    fn name(&self) -> &Name;

    /// What its task will tell.
    fn watch(&self) -> Arc<Self::Watch>;

    /// What a status shows.
    fn status(watch: &Self::Watch) -> Self::Status;

    /// Runs until it ends by itself or `stop` turns true. Everything that goes wrong is told to its watch.
    fn run(self, stop: watch::Receiver<bool>) -> impl Future<Output = ()> + Send;
}

/// All of one kind.
pub(crate) struct Roster<T: Runs>(Mutex<RosterState<T>>);

struct RosterState<T: Runs> {
    /// Whether what is added is connected at once.
    connects: bool,
    entries: BTreeMap<Name, RosterEntry<T>>,
    /// Tasks that were to stop and have not ended in time.
    leaving: BTreeMap<Name, JoinHandle<()>>,
}

struct RosterEntry<T: Runs> {
    watch: Arc<T::Watch>,
    stop: watch::Sender<bool>,
    phase: Phase<T>,
}

enum Phase<T> {
    Ready(Box<T>),
    Connected(JoinHandle<()>),
    /// It was stopped; its last status still shows.
    Stopped,
}

impl<T: Runs> Default for Roster<T> {
    fn default() -> Self {
        let (entries, leaving) = (BTreeMap::new(), BTreeMap::new());
        Self(Mutex::new(RosterState { connects: false, entries, leaving }))
    }
}

impl<T: Runs> Roster<T> {
    /// Adds one; connects it if [`connect`](Self::connect) has been called.
    pub(crate) fn add(&self, ready: T) {
        let mut state = self.state();
        let (name, watch) = (ready.name().clone(), ready.watch());
        let stop = watch::Sender::new(false);
        let phase = if state.connects {
            Phase::Connected(spawn(ready, state.leaving.remove(&name), stop.subscribe()))
        } else {
            Phase::Ready(Box::new(ready))
        };
        state.entries.insert(name, RosterEntry { watch, stop, phase });
    }

    /// Connects those that are ready, and from now on whatever is added. A second call does nothing.
    pub(crate) fn connect(&self) {
        let mut state = self.state();
        let RosterState { connects, entries, leaving } = &mut *state;
        *connects = true;
        for (name, entry) in entries {
            entry.phase = match std::mem::replace(&mut entry.phase, Phase::Stopped) {
                Phase::Ready(ready) => Phase::Connected(spawn(*ready, leaving.remove(name), entry.stop.subscribe())),
                other => other,
            };
        }
    }

    /// The status of each.
    pub(crate) fn status(&self) -> BTreeMap<Name, T::Status> {
        self.state().entries.iter().map(|(name, entry)| (name.clone(), T::status(&entry.watch))).collect()
    }

    /// The watch of one of them.
    #[cfg(test)]
    pub(crate) fn watch_of(&self, name: &str) -> Arc<T::Watch> {
        Arc::clone(&self.state().entries[name].watch)
    }

    /// Stops those of these names and waits until they have committed what is under way.
    pub(crate) async fn stop(&self, names: &[Name]) {
        self.stop_within(names, STOP_WITHIN).await;
    }

    async fn stop_within(&self, names: &[Name], within: Duration) {
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
        let deadline = Instant::now() + within;
        for (name, mut task) in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                warn!("{} {name} did not finish within {within:?}; going on without it", T::WHAT);
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
    fn remove(&self, name: &Name) -> Option<T::Status> {
        self.state().entries.remove(name).map(|entry| T::status(&entry.watch))
    }

    /// Removes those of these names, which were stopped; answers the last status of each.
    pub(crate) fn remove_all(&self, names: &[Name]) -> BTreeMap<Name, T::Status> {
        names.iter().filter_map(|name| Some((name.clone(), self.remove(name)?))).collect()
    }

    /// Tells all of them to stop, and waits for none.
    pub(crate) fn halt(&self) {
        self.state().entries.values().for_each(|entry| {
            entry.stop.send_replace(true);
        });
    }

    // Every change under the lock leaves the maps whole, so a panic elsewhere does, too.
    fn state(&self) -> MutexGuard<'_, RosterState<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `ready` once the one `before` it has ended.
fn spawn<T: Runs>(ready: T, before: Option<JoinHandle<()>>, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Some(before) = before {
            // How it ended it has reported itself; that it did is what counts here.
            let _ = before.await;
        }
        ready.run(stop).await;
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Counts how many of its name run at once.
    struct Counting {
        name: Name,
        running: Arc<AtomicU64>,
        /// It takes notice of a stop only when this one is told.
        release: Option<watch::Receiver<bool>>,
    }

    impl Runs for Counting {
        const WHAT: &'static str = "thing";
        type Watch = Arc<AtomicU64>;
        type Status = u64;

        fn name(&self) -> &Name {
            &self.name
        }

        fn watch(&self) -> Arc<Self::Watch> {
            Arc::new(Arc::clone(&self.running))
        }

        fn status(watch: &Self::Watch) -> u64 {
            watch.load(Ordering::Acquire)
        }

        async fn run(self, mut stop: watch::Receiver<bool>) {
            assert_eq!(self.running.fetch_add(1, Ordering::AcqRel), 0, "two of one name run at once");
            let _ = self.release.unwrap_or(stop.clone()).wait_for(|go| *go).await;
            let _ = stop.wait_for(|stop| *stop).await;
            self.running.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Lets all tasks run, on this thread, until nothing is left for them to do.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_next_of_a_name_waits_for_the_one_that_did_not_stop_in_time() {
        let (roster, running, name) = (Roster::default(), Arc::new(AtomicU64::new(0)), Name::new("a").expect("a name"));
        let (release, released) = watch::channel(false);
        let one = |release| Counting { name: name.clone(), running: Arc::clone(&running), release };
        roster.add(one(Some(released)));
        assert_eq!(roster.status()["a"], 0, "it is ready, not connected");
        roster.connect();
        roster.connect();
        settle().await;
        assert_eq!(roster.status()["a"], 1);
        roster.stop_within(std::slice::from_ref(&name), Duration::from_millis(1)).await;
        assert_eq!(roster.remove(&name), Some(1), "it was given up");
        roster.add(one(None));
        settle().await;
        assert_eq!(roster.status()["a"], 1, "still the first");
        release.send_replace(true);
        settle().await;
        assert_eq!(roster.status()["a"], 1, "the second");
        roster.stop_all().await;
        assert_eq!(roster.status()["a"], 0);
    }
}
