//! Upkeep: what keeps the streams in shape beside the live path, on one thread of the lowest priority.
//!
//! ```text
//!   after the start: each inventory against the files
//!   every few seconds: finished segments are sealed      every minute: retention
//! ```
//!
//! It yields: sealing uses at most its share of one processor, waits while a stream has a backlog, can be paused, and stops
//! within one large frame when Lakehead does.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use lakehead_model::{Clock, Name, Offset};
use lakehead_store::{Need, Retention, RetentionPlan, SealOptions, Stream};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    Error,
    views::{Needs, Running},
};

/// How often it is looked for something to seal: a segment ends once an hour, or every few seconds under full load.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often retention is looked at; ages are in hours and days.
const RETAIN_EVERY: Duration = Duration::from_secs(60);

/// The longest sleep at once, so that a stop is noticed.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// The niceness of its thread: the lowest priority there is.
const NICE: i32 = 19;

/// One stream, as upkeep sees it.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) stream: Stream,
    pub(crate) retention: Retention,
}

/// What upkeep says of a stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UpkeepStatus {
    /// Finished segments that are not sealed yet.
    pub unsealed: u64,
    /// Segments sealed since the start.
    pub sealed: u64,
    /// Segments removed by retention since the start.
    pub removed: u64,
    /// What retention would remove and somebody still needs: how many bytes, and who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// What went wrong last, while it does: the next round tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What retention has to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Bytes on disk.
    pub bytes: u64,
    /// Who needs them, for people.
    pub by: Vec<String>,
}

/// What the views of one stream need of its log.
pub(crate) enum Needed {
    /// This.
    By(Needs),
    /// All that is there: they are being replaced, and where the next ones begin is not known yet.
    Everything,
}

impl Needed {
    /// What these views need.
    pub(crate) fn by(running: &Running) -> Self {
        Self::By(Needs::new(std::slice::from_ref(running)))
    }

    fn of(&self, stream: &Name) -> Vec<Need> {
        match self {
            Self::By(needs) => needs.of(stream),
            Self::Everything => vec![Need { by: "views that are being replaced".to_owned(), from: Offset(0) }],
        }
    }
}

/// The thread, and what it shares.
pub(crate) struct Upkeep {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    streams: RwLock<Arc<BTreeMap<Name, Kept>>>,
    /// By stream. Held for reading from a plan to its end, so that who writes here knows that no older plan is under way.
    needs: RwLock<BTreeMap<Name, Needed>>,
    /// The streams were replaced since the thread looked.
    replaced: AtomicBool,
    seal: SealOptions,
    clock: Arc<dyn Clock>,
    status: Mutex<BTreeMap<Name, UpkeepStatus>>,
    paused: watch::Sender<bool>,
}

impl Upkeep {
    /// Starts the thread; it ends when `stop` turns true.
    pub(crate) fn start(
        streams: BTreeMap<Name, Kept>,
        needs: BTreeMap<Name, Needed>,
        seal: SealOptions,
        clock: Arc<dyn Clock>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let (streams, needs) = (RwLock::new(Arc::new(streams)), RwLock::new(needs));
        let (status, paused, replaced) = (Mutex::default(), watch::Sender::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { streams, needs, replaced, seal, clock, status, paused });
        let working = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("upkeep".to_owned())
            .spawn(move || working.run(&stop))
            .map_err(|source| Error::Io { what: "starting the upkeep's thread".into(), source })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// The thread, to be waited for after the stop was given; once.
    pub(crate) fn thread(&self) -> Option<JoinHandle<()>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// From now on these streams are kept in shape, by these rules; retention is looked at soon.
    pub(crate) fn set_streams(&self, streams: BTreeMap<Name, Kept>) {
        *self.shared.streams.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(streams);
        self.shared.replaced.store(true, Ordering::Relaxed);
    }

    /// From now on the views of `stream` need this; `None` when it has none. Waits while retention removes something, so it
    /// may block for as long as that takes.
    pub(crate) fn set_needed(&self, stream: &Name, needed: Option<Needed>) {
        let mut needs = self.shared.needs.write().unwrap_or_else(PoisonError::into_inner);
        match needed {
            Some(needed) => needs.insert(stream.clone(), needed),
            None => needs.remove(stream),
        };
    }

    pub(crate) fn status(&self, stream: &Name) -> UpkeepStatus {
        let known = self.shared.status().get(stream).cloned().unwrap_or_default();
        let unsealed = self.shared.streams().get(stream).map_or(0, |kept| kept.stream.unsealed() as u64);
        UpkeepStatus { unsealed, ..known }
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.shared.paused.borrow()
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.shared.paused.send_replace(paused);
    }

    /// What retention would do now, for each stream that has a rule.
    pub(crate) fn plans(&self) -> Result<BTreeMap<Name, RetentionPlan>, Error> {
        let streams = self.shared.streams();
        let needs = self.shared.needs.read().unwrap_or_else(PoisonError::into_inner);
        let ruled = streams.iter().filter(|(_, kept)| kept.retention != Retention::default());
        ruled.map(|(name, kept)| Ok((name.clone(), self.shared.plan(kept, &needs)?))).collect()
    }
}

impl Shared {
    // Every change under the lock is one assignment, so a panic elsewhere leaves it whole.
    fn status(&self) -> MutexGuard<'_, BTreeMap<Name, UpkeepStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams(&self) -> Arc<BTreeMap<Name, Kept>> {
        Arc::clone(&self.streams.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, name: &Name, change: impl FnOnce(&mut UpkeepStatus)) {
        change(self.status().entry(name.clone()).or_default());
    }

    fn run(&self, stop: &watch::Receiver<bool>) {
        // On Linux a thread has a priority of its own. Where this is refused, the share still holds.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "upkeep runs at the usual priority");
        }
        let mut compared: BTreeSet<Name> = BTreeSet::new();
        let mut retained: Option<Instant> = None;
        while !*stop.borrow() {
            if self.replaced.swap(false, Ordering::Relaxed) {
                retained = None;
            }
            let streams = self.streams();
            for (name, kept) in &*streams {
                if compared.insert(name.clone()) {
                    self.compare(name, kept);
                }
            }
            // First: what goes need not be sealed. And between any two segments: where sealing has fallen behind, it is
            // never through, and the disk must not fill up for that.
            if retained.is_none_or(|at| at.elapsed() >= RETAIN_EVERY) {
                retained = Some(Instant::now());
                for (name, kept) in &*streams {
                    self.retain(name, kept);
                }
            }
            let mut sealed = false;
            if self.seal.enabled {
                for (name, kept) in &*streams {
                    sealed |= self.seal(name, kept, stop);
                }
            }
            if !sealed {
                rest(LOOK_EVERY, || *stop.borrow() || self.replaced.load(Ordering::Relaxed));
            }
        }
    }

    fn compare(&self, name: &Name, kept: &Kept) {
        match kept.stream.check_inventory() {
            Ok(None) => {}
            Ok(Some(said)) => tracing::warn!(stream = %name, "{said}"),
            Err(error) => self.trouble(name, &format!("comparing the inventory with the files: {error}")),
        }
    }

    /// Seals one segment, if there is one; whether it did.
    fn seal(&self, name: &Name, kept: &Kept, stop: &watch::Receiver<bool>) -> bool {
        if *stop.borrow() || *self.paused.borrow() {
            return false;
        }
        let mut since = Instant::now();
        let mut pace = |_: u64| {
            let (worked, share) = (since.elapsed(), self.seal.cpu_percent.clamp(1, 100));
            rest(worked * (100 - share) / share, || *stop.borrow());
            while !*stop.borrow() && (kept.stream.has_backlog() || *self.paused.borrow()) {
                std::thread::sleep(SLEEP_MAX);
            }
            since = Instant::now();
            if *stop.borrow() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match kept.stream.seal_next(&mut pace) {
            Ok(Some(sealed)) => {
                tracing::debug!(stream = %name, segment = %sealed.path.display(), events = sealed.events,
                    before = sealed.stored_before, after = sealed.stored_bytes, "sealed");
                self.note(name, |status| (status.sealed, status.trouble) = (status.sealed + 1, None));
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.trouble(name, &format!("sealing: {error}"));
                false
            }
        }
    }

    fn plan(&self, kept: &Kept, needs: &BTreeMap<Name, Needed>) -> Result<RetentionPlan, Error> {
        let stream = kept.stream.name();
        let needs = needs.get(stream).map(|needed| needed.of(stream)).unwrap_or_default();
        Ok(kept.stream.plan_retention(&kept.retention, self.clock.now(), &needs)?)
    }

    fn retain(&self, name: &Name, kept: &Kept) {
        if kept.retention == Retention::default() {
            return;
        }
        let done = {
            let needs = self.needs.read().unwrap_or_else(PoisonError::into_inner);
            self.plan(kept, &needs).and_then(|plan| Ok((kept.stream.retain(&plan)?, plan)))
        };
        match done {
            Ok((removed, plan)) => {
                if let (Some(first), Some(last)) = (removed.first(), removed.last()) {
                    let bytes: u64 = removed.iter().map(|expired| expired.bytes).sum();
                    tracing::info!(stream = %name, from = %first.first_offset, to = %last.end_offset, bytes,
                        "retention removed the start of the log");
                }
                self.note(name, |status| {
                    status.removed += removed.len() as u64;
                    let held = held(&plan);
                    if let (Some(held), None) = (&held, &status.held) {
                        tracing::warn!(stream = %name, bytes = held.bytes, "retention cannot remove what is still needed by {}",
                            held.by.join(", "));
                    }
                    status.held = held;
                });
            }
            Err(error) => self.trouble(name, &format!("retention: {error}")),
        }
    }

    /// Says what is wrong, once for as long as it is the same.
    fn trouble(&self, name: &Name, what: &str) {
        self.note(name, |status| {
            if status.trouble.as_deref() != Some(what) {
                tracing::warn!(stream = %name, "{what}; trying again");
                status.trouble = Some(what.to_owned());
            }
        });
    }
}

/// Waits for the thread.
pub(crate) fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("the upkeep's thread ended by a defect");
    }
}

/// What a plan has to leave; `None` when nothing.
pub(crate) fn held(plan: &RetentionPlan) -> Option<Held> {
    let bytes = plan.held.iter().map(|expired| expired.bytes).sum();
    let by = |need: &Need| format!("{} from offset {}", need.by, need.from);
    (!plan.held.is_empty()).then(|| Held { bytes, by: plan.needs.iter().map(by).collect() })
}

/// Sleeps, and wakes early when `wanted` says so.
fn rest(time: Duration, wanted: impl Fn() -> bool) {
    let until = Instant::now() + time;
    while !wanted() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(SLEEP_MAX));
    }
}
