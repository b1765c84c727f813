//! The audit itself: scans the streams, has the views counted again, and remembers what need not be looked at twice.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use lakehead_model::{Kind, Name, Offset};
use lakehead_query::{Extent, Lake, Limits, ViewAudit, ViewHandle};
use lakehead_store::Stream;

use super::{
    ids::Ids,
    ledger::LedgerStreams,
    pace::Throttle,
    report::{Report, StreamAudit},
    scan::Scan,
    scope::Scope,
};
use crate::{Error, identity::Identities, imports::Imports, sync::blocking};

/// How long a view may take to come to where the log ended when the audit began. A live one is there before the audit is.
const BEHIND_MAX: Duration = Duration::from_secs(10);
/// Between two looks at it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How much of the machine an audit takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// One core, and memory for a few thousand rows, or for those of one window where these are more.
    Background,
    /// All cores: somebody waits for it.
    Whole,
}

impl Effort {
    fn threads(self) -> usize {
        match self {
            Self::Background => 1,
            Self::Whole => Limits::default().threads,
        }
    }

    fn rows_at_once(self) -> u64 {
        match self {
            Self::Background => 8_000,
            Self::Whole => 250_000,
        }
    }

    /// Ids that are remembered of each stream, at least: nearly an hour and three hours and a half at Wikimedia's rate, in 2.4
    /// and 9.4 MB.
    fn ids(self) -> Ids {
        Ids::new(match self {
            Self::Background => 7 << 14,
            Self::Whole => 7 << 16,
        })
    }
}

/// What an audit works on, and what it remembers from one time to the next.
pub(crate) struct Auditor {
    lake: Lake,
    streams: BTreeMap<Name, Stream>,
    effort: Effort,
    scans: BTreeMap<Name, Scan>,
    /// Result files that were found right, by view.
    known: HashMap<Name, HashSet<String>>,
    imports: Imports,
    identities: Identities,
}

impl Auditor {
    pub(crate) fn new(lake: Lake, streams: BTreeMap<Name, Stream>, effort: Effort) -> Self {
        let (scans, known, imports, identities) = Default::default();
        Self { lake, streams, effort, scans, known, imports, identities }
    }

    /// Where imports ran, it looks otherwise at upstream offsets.
    pub(crate) fn with_imports(self, imports: Imports) -> Self {
        Self { imports, ..self }
    }

    /// Compares upstream offsets where these say that they stand; without one, it does not.
    pub(crate) fn with_identities(self, identities: Identities) -> Self {
        Self { identities, ..self }
    }

    /// Forgets what it knows, so that the next audit is a whole one.
    pub(crate) fn forget(&mut self) {
        self.scans.clear();
        self.known.clear();
    }

    /// About how many bytes of events a whole audit of `scope` reads.
    pub(crate) fn bytes(&self, scope: &Scope) -> u64 {
        let raw = |name: &Name| self.streams.get(name).map_or(0, |stream| stream.stats().raw_bytes);
        let streams: u64 = self.streams.keys().filter(|name| scope.scans(name)).map(raw).sum();
        let views = self.lake.views();
        let views = views.iter().filter(|view| scope.counts(view.name(), view.plan().stream()));
        // Each is read once for the events of its windows and once for its rows, if these fit one pass.
        streams + views.map(|view| 2 * raw(view.plan().stream())).sum::<u64>()
    }

    /// Audits `scope`. What was found right before, and cannot have changed, is not looked at again.
    ///
    /// # Errors
    /// When a log or a file cannot be read; [`Error::Stopping`] when the throttle was told to stop.
    pub(crate) async fn audit(&mut self, scope: &Scope, throttle: &Arc<Throttle>) -> Result<Report, Error> {
        let mut report = Report::default();
        let streams: Vec<Stream> = self.streams.values().filter(|stream| scope.scans(stream.name())).cloned().collect();
        let ends: BTreeMap<Name, Offset> =
            self.streams.iter().map(|(name, stream)| (name.clone(), stream.head().end)).collect();
        for stream in streams {
            let audited = self.scan(&stream, scope, throttle).await?;
            report.streams.insert(stream.name().clone(), audited);
        }
        for view in self.lake.views().iter().filter(|view| scope.counts(view.name(), view.plan().stream())) {
            let end = ends.get(view.plan().stream()).copied();
            report.views.insert(view.name().clone(), self.count(view, end, scope, throttle).await?);
        }
        Ok(report)
    }

    /// Scans what is new of a stream.
    async fn scan(&mut self, stream: &Stream, scope: &Scope, throttle: &Arc<Throttle>) -> Result<StreamAudit, Error> {
        let name = stream.name();
        let (effort, since) = (self.effort, scope.since);
        // The end is pinned before the ledger is read: an entry is committed before the event after its gap.
        let end = stream.head().end;
        let before = self.scans.remove(name).filter(|scan| scan.can_continue(stream));
        let continues = before.is_some();
        let mut scan = before.unwrap_or_else(|| Scan::new(stream, since, effort.ids(), self.identities.of(name)));
        let ledger = LedgerStreams::of(&self.streams);
        let (log, slow) = (stream.clone(), Arc::clone(throttle));
        let ran = self.imports.ran(name);
        let identities = self.identities.of(name).to_vec();
        scan.imported(ran.clone());
        let work = move || {
            scan.advance(&log, end, &ledger, &slow)?;
            if continues && scan.report().differences > 0 {
                // The ledger may explain by now what it did not when that part was read.
                scan = Scan::new(&log, since, effort.ids(), &identities);
                scan.imported(ran);
                scan.advance(&log, end, &ledger, &slow)?;
            }
            Ok::<_, Error>(scan)
        };
        let scan = blocking(work).await??;
        let audited = scan.report();
        self.scans.insert(name.clone(), scan);
        Ok(audited)
    }

    /// Has a view counted again, whose stream ended at `end` when the audit began.
    async fn count(
        &mut self,
        view: &ViewHandle,
        end: Option<Offset>,
        scope: &Scope,
        throttle: &Arc<Throttle>,
    ) -> Result<ViewAudit, Error> {
        let (name, plan) = (view.name(), view.plan());
        let extent = Extent {
            since: scope.since,
            known: Arc::new(self.known.get(name).cloned().unwrap_or_default()),
            threads: self.effort.threads(),
            rows_at_once: self.effort.rows_at_once(),
            pace: Arc::clone(throttle) as _,
        };
        let is_broken = self.scans.get(plan.stream()).is_some_and(Scan::is_broken);
        let mut audited = match self.lake.audit(view, &extent).await {
            Err(_) if throttle.is_stopped() => return Err(Error::Stopping),
            Err(source) if source.kind() == Kind::Corrupt || is_broken => {
                let mut audited = ViewAudit { stream: plan.stream().to_string(), ..ViewAudit::default() };
                audited.found(&format!("it could not be counted again, since the log cannot be read: {source}"));
                audited
            }
            audited => audited.map_err(|source| Error::View { view: name.clone(), source })?,
        };
        if plan.upstream().is_none()
            && let Some(end) = end
            && let Some(seen) = behind(view, end, throttle).await
        {
            audited.found(&format!(
                "it stands still or is behind: it has seen the events before offset {seen}, and the log ended at {end} when \
                 the audit began; what came between is not in it, and was not compared"
            ));
        }
        // Where something differs the next audit is a whole one, so that it is not forgotten.
        if audited.differences == 0 {
            self.known.entry(name.clone()).or_default().extend(audited.compared.iter().cloned());
        } else {
            self.known.remove(name);
        }
        Ok(audited)
    }
}

/// How far `view` has seen its stream, where it does not come to `end` within a while.
async fn behind(view: &ViewHandle, end: Offset, throttle: &Throttle) -> Option<Offset> {
    let until = tokio::time::Instant::now() + BEHIND_MAX;
    loop {
        let seen = view.snapshot().next_offset;
        if seen >= end || throttle.is_stopped() {
            return None;
        }
        if tokio::time::Instant::now() >= until {
            return Some(seen);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
