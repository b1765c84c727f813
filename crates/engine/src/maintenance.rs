//! Maintenance: sealing and retention of the streams beside the live path, on one thread of the lowest priority.
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
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use lakehead_model::{Clock, Name};
use lakehead_store::{Claim, Retention, RetentionPlan, SealOptions, Stream};
use tokio::sync::watch;

use crate::{
    Error,
    claims::{Claims, Planning},
    status::{HeldBack, MaintenanceStatus},
    sync::lock,
};

/// How often it is looked for something to seal: a segment ends once an hour, or every few seconds under full load.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often retention is looked at; ages are in hours and days.
const RETAIN_EVERY: Duration = Duration::from_secs(60);

/// The longest sleep at once, so that a stop is noticed.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// The niceness of its thread: the lowest priority there is.
const NICE: i32 = 19;

/// One stream, and when its oldest segments go.
#[derive(Clone)]
pub(crate) struct MaintainedStream {
    pub(crate) stream: Stream,
    pub(crate) retention: Retention,
}

/// The thread, and what it shares.
pub(crate) struct Maintenance {
    shared: Arc<MaintenanceState>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct MaintenanceState {
    streams: RwLock<Arc<BTreeMap<Name, MaintainedStream>>>,
    claims: Claims,
    /// The streams were replaced since the thread looked.
    replaced: AtomicBool,
    seal: SealOptions,
    clock: Arc<dyn Clock>,
    status: Mutex<BTreeMap<Name, MaintenanceStatus>>,
    paused: watch::Sender<bool>,
}

impl Maintenance {
    /// Starts the thread; it ends when `stop` turns true.
    pub(crate) fn start(
        streams: BTreeMap<Name, MaintainedStream>,
        claims: Claims,
        seal: SealOptions,
        clock: Arc<dyn Clock>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let streams = RwLock::new(Arc::new(streams));
        let (status, paused, replaced) = (Mutex::default(), watch::Sender::new(false), AtomicBool::new(false));
        let shared = Arc::new(MaintenanceState { streams, claims, replaced, seal, clock, status, paused });
        let working = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("upkeep".to_owned())
            .spawn(move || working.run(&stop))
            .map_err(|source| Error::Io { what: "starting the upkeep's thread".into(), source })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// The thread, to be [`join`]ed after the stop was given; once.
    pub(crate) fn thread(&self) -> Option<JoinHandle<()>> {
        lock(&self.thread).take()
    }

    /// From now on these streams are kept in shape, by these rules; retention is looked at soon.
    pub(crate) fn set_streams(&self, streams: BTreeMap<Name, MaintainedStream>) {
        *self.shared.streams.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(streams);
        self.shared.replaced.store(true, Ordering::Relaxed);
    }

    pub(crate) fn status(&self, stream: &Name) -> MaintenanceStatus {
        let known = lock(&self.shared.status).get(stream).cloned().unwrap_or_default();
        let unsealed = self.shared.streams().get(stream).map_or(0, |maintained| maintained.stream.unsealed() as u64);
        MaintenanceStatus { unsealed, ..known }
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
        let planning = self.shared.claims.planning();
        let ruled = streams.iter().filter(|(_, maintained)| maintained.retention != Retention::default());
        ruled.map(|(name, maintained)| Ok((name.clone(), self.shared.plan(maintained, &planning)?))).collect()
    }
}

impl MaintenanceState {
    fn streams(&self) -> Arc<BTreeMap<Name, MaintainedStream>> {
        Arc::clone(&self.streams.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, name: &Name, change: impl FnOnce(&mut MaintenanceStatus)) {
        change(lock(&self.status).entry(name.clone()).or_default());
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
            for (name, maintained) in &*streams {
                if compared.insert(name.clone()) {
                    self.compare(name, maintained);
                }
            }
            // First: what goes need not be sealed. And between any two segments: where sealing has fallen behind, it is
            // never through, and the disk must not fill up for that.
            if retained.is_none_or(|at| at.elapsed() >= RETAIN_EVERY) {
                retained = Some(Instant::now());
                for (name, maintained) in &*streams {
                    self.retain(name, maintained);
                }
            }
            let mut sealed = false;
            if self.seal.enabled {
                for (name, maintained) in &*streams {
                    sealed |= self.seal(name, maintained, stop);
                }
            }
            if !sealed {
                rest(LOOK_EVERY, || *stop.borrow() || self.replaced.load(Ordering::Relaxed));
            }
        }
    }

    fn compare(&self, name: &Name, maintained: &MaintainedStream) {
        match maintained.stream.check_inventory() {
            Ok(None) => {}
            Ok(Some(said)) => tracing::warn!(stream = %name, "{said}"),
            Err(error) => self.trouble(name, &format!("comparing the inventory with the files: {error}")),
        }
    }

    /// Seals one segment, if there is one; whether it did.
    fn seal(&self, name: &Name, maintained: &MaintainedStream, stop: &watch::Receiver<bool>) -> bool {
        if *stop.borrow() || *self.paused.borrow() {
            return false;
        }
        let mut since = Instant::now();
        let mut pace = |_: u64| {
            let (worked, share) = (since.elapsed(), self.seal.cpu_percent.clamp(1, 100));
            rest(worked * (100 - share) / share, || *stop.borrow());
            while !*stop.borrow() && (maintained.stream.has_backlog() || *self.paused.borrow()) {
                std::thread::sleep(SLEEP_MAX);
            }
            since = Instant::now();
            if *stop.borrow() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match maintained.stream.seal_next(&mut pace) {
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

    fn plan(&self, maintained: &MaintainedStream, planning: &Planning<'_>) -> Result<RetentionPlan, Error> {
        let claims = planning.of(maintained.stream.name());
        Ok(maintained.stream.plan_retention(&maintained.retention, self.clock.now(), &claims)?)
    }

    fn retain(&self, name: &Name, maintained: &MaintainedStream) {
        if maintained.retention == Retention::default() {
            return;
        }
        let done = {
            let planning = self.claims.planning();
            self.plan(maintained, &planning).and_then(|plan| Ok((maintained.stream.retain(&plan)?, plan)))
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

/// Waits for the thread, after the stop was given.
pub(crate) fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("the upkeep's thread ended by a defect");
    }
}

/// What a plan has to leave; `None` when nothing.
fn held(plan: &RetentionPlan) -> Option<HeldBack> {
    let bytes = plan.held.iter().map(|expired| expired.bytes).sum();
    let by = |claim: &Claim| format!("{} from offset {}", claim.by, claim.from);
    (!plan.held.is_empty()).then(|| HeldBack { bytes, by: plan.claims.iter().map(by).collect() })
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
