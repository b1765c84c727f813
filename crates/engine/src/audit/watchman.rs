//! The audit in the background: now and then, at a pace, only what is new; once a day everything. A reload breaks it off,
//! and it begins anew with what there is then.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lakehead_model::{ByteSize, Clock, Name};
use lakehead_query::Lake;
use lakehead_store::Stream;
use tokio::{sync::watch, time::Instant};
use tracing::{error, info, warn};

use super::{Auditor, Effort, Report, Scope, Throttle};
use crate::{
    Error,
    imports::Imports,
    status::{AuditOutcome, AuditStatus, StreamAudited, ViewAudited},
};

/// The first audit comes this long after the start, or after `every` where that is shorter: a start has better things
/// to do with the disk.
const FIRST_AFTER: Duration = Duration::from_secs(600);

/// How often all is looked at again, also what was found right before: files can change under us.
const WHOLE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Differences that the status tells in words.
const TOLD_MAX: usize = 10;

/// When the background audit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// How often. `None`: never. Default: 1 h.
    pub every: Option<Duration>,
    /// How many bytes of events it reads a second at most. Default: 64 MiB, a few hundredths of a core at the rate at
    /// which zstd decompresses.
    pub bytes_per_second: ByteSize,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { every: Some(Duration::from_secs(3600)), bytes_per_second: ByteSize::mib(64) }
    }
}

/// What it looks at.
#[derive(Clone)]
pub(crate) struct Watched {
    /// Every stream, and so the views of each.
    pub(crate) streams: BTreeMap<Name, Stream>,
    /// When.
    pub(crate) settings: AuditSettings,
}

/// Audits what is `watched` until `stop` turns true, and writes into `status` what it finds. While there is nothing to
/// watch, it rests.
pub(crate) async fn watch(
    lake: Lake,
    mut watched: watch::Receiver<Option<Watched>>,
    clock: Arc<dyn Clock>,
    kept: Kept,
    mut stop: watch::Receiver<bool>,
) {
    let imports = kept.imports.clone();
    let mut watchman = Watchman { clock, kept, audited: None, begun: Instant::now() };
    loop {
        let found = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            found = watched.wait_for(Option::is_some) => match found {
                Ok(found) => found.clone(),
                Err(_) => return,
            },
        };
        let Some(Watched { streams, settings }) = found else { continue };
        let auditor = Auditor::new(lake.clone(), streams, Effort::Background).with_imports(imports.clone());
        let interrupted = async {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                _ = watched.changed() => {}
            }
        };
        watchman.audit(auditor, settings, interrupted).await;
    }
}

/// What it writes to, and what it has to know beside the streams.
pub(crate) struct Kept {
    /// What it found, for those who ask.
    pub(crate) status: Arc<Mutex<AuditStatus>>,
    pub(crate) imports: Imports,
    /// The data directory, in which the last outcome is kept over a restart.
    pub(crate) data: PathBuf,
}

/// What stays over a reload.
struct Watchman {
    clock: Arc<dyn Clock>,
    kept: Kept,
    begun: Instant,
    /// When the last audit came to its end.
    audited: Option<Instant>,
}

impl Watchman {
    /// Audits again and again until it is interrupted.
    async fn audit(&mut self, mut auditor: Auditor, settings: AuditSettings, interrupted: impl Future<Output = ()>) {
        tokio::pin!(interrupted);
        self.set(|status| status.every_seconds = settings.every.map(|every| every.as_secs()));
        let Some(every) = settings.every else { return interrupted.await };
        let mut whole_due = Instant::now();
        loop {
            let due = self.audited.map_or(self.begun + every.min(FIRST_AFTER), |audited| audited + every);
            tokio::select! {
                () = &mut interrupted => return,
                () = tokio::time::sleep_until(due) => {}
            }
            let begun = Instant::now();
            let whole = begun >= whole_due;
            if whole {
                auditor.forget();
                whole_due = begun + WHOLE_EVERY;
            }
            self.set(|status| status.running = true);
            let stopped = Arc::new(AtomicBool::new(false));
            let throttle = Arc::new(Throttle::limited(settings.bytes_per_second.0, Arc::clone(&stopped)));
            let scope = Scope::default();
            let audit = auditor.audit(&scope, &throttle);
            tokio::pin!(audit);
            let audited = tokio::select! {
                audited = &mut audit => Some(audited),
                () = &mut interrupted => None,
            };
            let Some(audited) = audited else {
                stopped.store(true, Ordering::Relaxed);
                // Its readers stop within a block; after that nothing holds a file of a view.
                let _ = audit.await;
                return self.set(|status| status.running = false);
            };
            let now = self.clock.now();
            match audited {
                Ok(report) => {
                    let outcome = outcome(&report, now, begun.elapsed(), whole);
                    tell(&outcome);
                    self.set(|status| {
                        status.running = false;
                        status.failed = None;
                        if outcome.differences == 0 {
                            status.last_success = Some(now);
                        }
                        status.last = Some(outcome);
                    });
                    self.keep();
                }
                Err(Error::Stopping) => return self.set(|status| status.running = false),
                Err(error) => {
                    warn!("the audit could not be done: {error}");
                    self.set(|status| {
                        status.running = false;
                        status.failed = Some(error.to_string());
                    });
                    whole_due = Instant::now();
                }
            }
            self.audited = Some(Instant::now());
        }
    }

    fn set(&self, change: impl FnOnce(&mut AuditStatus)) {
        change(&mut self.kept.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn keep(&self) {
        let status = self.kept.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(error) = status.save(&self.kept.data) {
            warn!("what the audit found is not known after a restart: {error}");
        }
    }
}

fn tell(outcome: &AuditOutcome) {
    if outcome.differences == 0 {
        info!("audit: {} events and {} rows add up", outcome.events, outcome.rows);
    } else {
        error!(
            "audit: {} differences, the first: {}; `lakehead verify` shows them",
            outcome.differences,
            outcome.told.first().map_or("-", String::as_str)
        );
    }
}

/// What the status keeps of a report.
fn outcome(report: &Report, at: lakehead_model::Timestamp, took: Duration, whole: bool) -> AuditOutcome {
    let streams: BTreeMap<Name, StreamAudited> = report
        .streams
        .iter()
        .map(|(name, stream)| {
            let audited = StreamAudited {
                events: stream.events,
                accounted: stream.accounted,
                missing: stream.missing,
                doubled: stream.doubled,
                differences: stream.differences,
            };
            (name.clone(), audited)
        })
        .collect();
    let views: BTreeMap<Name, ViewAudited> = report
        .views
        .iter()
        .map(|(name, view)| {
            let audited = ViewAudited { rows: view.rows, explained: view.explained, differences: view.differences };
            (name.clone(), audited)
        })
        .collect();
    AuditOutcome {
        at,
        took_seconds: took.as_secs_f64(),
        whole,
        events: report.events(),
        rows: report.rows(),
        differences: report.differences(),
        told: report.in_words().into_iter().take(TOLD_MAX).collect(),
        not_checked: report.not_checked(),
        streams,
        views,
    }
}
