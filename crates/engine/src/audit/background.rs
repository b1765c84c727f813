//! The audit in the background: now and then, at a pace, only what is new; once a day everything. A reload interrupts it, and
//! it starts over with the streams that there are then.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lakehead_model::{Clock, Name};
use lakehead_query::Lake;
use lakehead_store::Stream;
use tokio::{sync::watch, time::Instant};
use tracing::{error, info, warn};

use super::{
    auditor::{Auditor, Effort},
    pace::Throttle,
    report::Report,
    scope::Scope,
    settings::AuditSettings,
};
use crate::{
    Error,
    identity::Identities,
    imports::Imports,
    status::{AuditOutcome, AuditStatus, StreamAudited, ViewAudited},
    sync::{lock, stopped},
};

/// The first audit comes this long after the start, or after `every` where that is shorter: a start has better things
/// to do with the disk.
const FIRST_AFTER: Duration = Duration::from_secs(600);

/// How often all is looked at again, also what was found right before: files can change under us.
const WHOLE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Differences that the status shows in words.
const SHOWN_MAX: usize = 10;

/// What the background audit looks at.
#[derive(Clone)]
pub(crate) struct Watched {
    /// Every stream, and so the views of each.
    pub(crate) streams: BTreeMap<Name, Stream>,
    /// Where their events say which they are upstream.
    pub(crate) identities: Identities,
    /// When.
    pub(crate) settings: AuditSettings,
}

/// Audits again and again. What is in here outlives a reload.
pub(crate) struct BackgroundAuditor {
    lake: Lake,
    clock: Arc<dyn Clock>,
    imports: Imports,
    /// What it found, for those who ask.
    status: Arc<Mutex<AuditStatus>>,
    /// The data directory, in which the last outcome is kept over a restart.
    data: PathBuf,
    begun: Instant,
    /// When the last audit came to its end.
    audited: Option<Instant>,
}

impl BackgroundAuditor {
    pub(crate) fn new(
        lake: Lake,
        clock: Arc<dyn Clock>,
        imports: Imports,
        status: Arc<Mutex<AuditStatus>>,
        data: PathBuf,
    ) -> Self {
        Self { lake, clock, imports, status, data, begun: Instant::now(), audited: None }
    }

    /// Audits what is `watched` until `stop` turns true. While there is nothing to watch, it waits.
    pub(crate) async fn run(mut self, mut watched: watch::Receiver<Option<Watched>>, mut stop: watch::Receiver<bool>) {
        loop {
            let found = tokio::select! {
                () = stopped(&mut stop) => return,
                found = watched.wait_for(Option::is_some) => match found {
                    Ok(found) => found.clone(),
                    Err(_) => return,
                },
            };
            let Some(Watched { streams, identities, settings }) = found else { continue };
            let auditor = Auditor::new(self.lake.clone(), streams, Effort::Background);
            let auditor = auditor.with_imports(self.imports.clone()).with_identities(identities);
            let interrupted = async {
                tokio::select! {
                    () = stopped(&mut stop) => {}
                    _ = watched.changed() => {}
                }
            };
            self.audit_until(interrupted, auditor, settings).await;
        }
    }

    /// Audits again and again until it is interrupted.
    async fn audit_until(
        &mut self,
        interrupted: impl Future<Output = ()>,
        mut auditor: Auditor,
        settings: AuditSettings,
    ) {
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
            let is_interrupted = Arc::new(AtomicBool::new(false));
            let throttle = Arc::new(Throttle::limited(settings.bytes_per_second.0, Arc::clone(&is_interrupted)));
            let scope = Scope::default();
            let audit = auditor.audit(&scope, &throttle);
            tokio::pin!(audit);
            let audited = tokio::select! {
                audited = &mut audit => Some(audited),
                () = &mut interrupted => None,
            };
            let Some(audited) = audited else {
                is_interrupted.store(true, Ordering::Relaxed);
                // Its readers stop within a block; after that nothing holds a file of a view.
                let _ = audit.await;
                return self.set(|status| status.running = false);
            };
            match audited {
                Ok(report) => self.succeeded(&report, begun.elapsed(), whole),
                Err(Error::Stopping) => return self.set(|status| status.running = false),
                Err(error) => {
                    self.failed(&error);
                    whole_due = Instant::now();
                }
            }
            self.audited = Some(Instant::now());
        }
    }

    /// Shows, logs and keeps what an audit found that came to its end.
    fn succeeded(&self, report: &Report, took: Duration, whole: bool) {
        let now = self.clock.now();
        let outcome = outcome(report, now, took, whole);
        log(&outcome);
        self.set(|status| {
            status.running = false;
            status.failed = None;
            if outcome.differences == 0 {
                status.last_success = Some(now);
            }
            status.last = Some(outcome);
        });
        let status = lock(&self.status).clone();
        if let Err(error) = status.save(&self.data) {
            warn!("what the audit found is not known after a restart: {error}");
        }
    }

    fn failed(&self, error: &Error) {
        warn!("the audit could not be done: {error}");
        self.set(|status| {
            status.running = false;
            status.failed = Some(error.to_string());
        });
    }

    fn set(&self, change: impl FnOnce(&mut AuditStatus)) {
        change(&mut lock(&self.status));
    }
}

fn log(outcome: &AuditOutcome) {
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
        told: report.in_words().into_iter().take(SHOWN_MAX).collect(),
        not_checked: report.not_checked(),
        streams,
        views,
    }
}
