//! The standing audit: whether what was brought in, what is in the log, and what the views say add up.
//!
//! ```text
//!   upstream offsets ── events ──┐            ┌── the balance of each view
//!   rejects, gap ledger ─────────┴── the log ─┴── its rows, counted again
//! ```
//!
//! It only reads, and takes nothing for true but the log. A stream is walked once, in order (`walk.rs`); each view is
//! counted again by [`Lake::audit`]. `lakehead verify` runs it whole; in a running process it comes by now and then
//! (`watchman.rs`), at a pace that the live path does not feel.

mod ids;
mod intervals;
pub mod last;
mod ledger;
mod pace;
mod sequence;
#[cfg(test)]
mod tests;
mod walk;
pub(crate) mod watchman;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use lakehead_model::{Kind, Name, Offset, Timestamp};
use lakehead_query::{Extent, Lake, Limits, ViewAudit, ViewHandle};
use lakehead_store::Stream;
use serde::{Deserialize, Serialize};

use self::{ids::Ids, ledger::LedgerStreams, walk::Walk};
pub use self::{
    pace::Throttle,
    walk::{Minute, PartitionAudit, Said, StreamAudit},
    watchman::AuditSettings,
};
use crate::{Error, gaps, imports::Imports, rejects};

/// What is to be audited: everything, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// This stream, and the views of it.
    #[serde(default)]
    pub stream: Option<Name>,
    /// This view, and no stream unless one is named.
    #[serde(default)]
    pub view: Option<Name>,
    /// Only what was received, and only windows that began, at or after this.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

/// What an audit found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Each stream that was walked.
    pub streams: BTreeMap<Name, StreamAudit>,
    /// Each view that was counted again.
    pub views: BTreeMap<Name, ViewAudit>,
}

impl Report {
    /// How many things do not add up.
    #[must_use]
    pub fn differences(&self) -> u64 {
        let streams = self.streams.values().map(|stream| stream.differences);
        streams.chain(self.views.values().map(|view| view.differences)).sum()
    }

    /// Events that were walked over.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.streams.values().map(|stream| stream.events).sum()
    }

    /// What does not add up, one thing a line: the first of each stream and view.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let streams = self.streams.iter().flat_map(|(name, stream)| {
            stream.told.iter().map(move |said| format!("stream {name}, {}: {}", said.minute, said.what))
        });
        let views = self
            .views
            .iter()
            .flat_map(|(name, view)| view.told.iter().map(move |difference| format!("view {name}, {difference}")));
        streams.chain(views).collect()
    }

    /// What was not looked at, and why, one thing a line. Nothing is left out in silence.
    #[must_use]
    pub fn not_checked(&self) -> Vec<String> {
        let streams = self
            .streams
            .iter()
            .flat_map(|(name, stream)| stream.not_checked.iter().map(move |what| format!("stream {name}: {what}")));
        let views = self
            .views
            .iter()
            .flat_map(|(name, view)| view.not_checked.iter().map(move |what| format!("view {name}: {what}")));
        streams.chain(views).collect()
    }

    /// Rows that were compared.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.views.values().map(|view| view.rows).sum()
    }
}

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
    walks: BTreeMap<Name, Walk>,
    /// Result files that were found right, by view.
    known: HashMap<Name, HashSet<String>>,
    imports: Imports,
}

impl Auditor {
    pub(crate) fn new(lake: Lake, streams: BTreeMap<Name, Stream>, effort: Effort) -> Self {
        let (walks, known, imports) = Default::default();
        Self { lake, streams, effort, walks, known, imports }
    }

    /// Where imports ran, it looks otherwise at upstream offsets.
    pub(crate) fn with_imports(self, imports: Imports) -> Self {
        Self { imports, ..self }
    }

    /// Forgets what it knows, so that the next audit is a whole one.
    pub(crate) fn forget(&mut self) {
        self.walks.clear();
        self.known.clear();
    }

    /// About how many bytes of events a whole audit of `scope` reads.
    pub(crate) fn bytes(&self, scope: &Scope) -> u64 {
        let raw = |name: &Name| self.streams.get(name).map_or(0, |stream| stream.stats().raw_bytes);
        let streams: u64 = self.streams.keys().filter(|name| scope.walks(name)).map(raw).sum();
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
        let effort = self.effort;
        let ends: BTreeMap<&Name, Offset> =
            self.streams.iter().map(|(name, stream)| (name, stream.head().end)).collect();
        for (name, stream) in &self.streams {
            if !scope.walks(name) {
                continue;
            }
            // The end is pinned before the ledger is read: an entry is committed before the event after its hole.
            let end = stream.head().end;
            let walk = self.walks.remove(name).filter(|walk| walk.can_go_on(stream));
            let goes_on = walk.is_some();
            let mut walk = walk.unwrap_or_else(|| Walk::new(stream, scope.since, effort.ids()));
            let ledger = LedgerStreams::of(&self.streams, rejects::STREAM, gaps::STREAM);
            let (stream, slow, since) = (stream.clone(), Arc::clone(throttle), scope.since);
            let ran = self.imports.ran(name);
            walk.imported(ran.clone());
            let work = move || {
                walk.advance(&stream, end, &ledger, &slow)?;
                if goes_on && walk.report().differences > 0 {
                    // The ledger may explain by now what it did not when that part was read.
                    walk = Walk::new(&stream, since, effort.ids());
                    walk.imported(ran);
                    walk.advance(&stream, end, &ledger, &slow)?;
                }
                Ok::<_, Error>(walk)
            };
            let walk = tokio::task::spawn_blocking(work).await.map_err(|e| Error::Internal(e.to_string()))??;
            report.streams.insert(name.clone(), walk.report());
            self.walks.insert(name.clone(), walk);
        }
        for view in self.lake.views() {
            let name = view.name().clone();
            if !scope.counts(&name, view.plan().stream()) {
                continue;
            }
            let known = self.known.get(&name).cloned().unwrap_or_default();
            let extent = Extent {
                since: scope.since,
                known: Arc::new(known),
                threads: self.effort.threads(),
                rows_at_once: self.effort.rows_at_once(),
                pace: Arc::clone(throttle) as _,
            };
            let is_broken = self.walks.get(view.plan().stream()).is_some_and(Walk::is_broken);
            let audited = self.lake.audit(&view, &extent).await;
            let mut audited = match audited {
                Err(_) if throttle.is_stopped() => return Err(Error::Stopping),
                Err(source) if source.kind() == Kind::Corrupt || is_broken => {
                    let mut audited = ViewAudit { stream: view.plan().stream().to_string(), ..ViewAudit::default() };
                    audited.found(&format!("it could not be counted again, since the log cannot be read: {source}"));
                    audited
                }
                audited => audited.map_err(|source| Error::View { view: name.clone(), source })?,
            };
            if view.plan().reads().is_none()
                && let Some(end) = ends.get(view.plan().stream())
                && let Some(seen) = behind(&view, *end, throttle).await
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
                self.known.remove(&name);
            }
            report.views.insert(name, audited);
        }
        Ok(report)
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

impl Scope {
    fn walks(&self, stream: &Name) -> bool {
        match (&self.stream, &self.view) {
            (Some(asked), _) => asked == stream,
            (None, Some(_)) => false,
            (None, None) => true,
        }
    }

    fn counts(&self, view: &Name, of: &Name) -> bool {
        match (&self.stream, &self.view) {
            (_, Some(asked)) => asked == view,
            (Some(stream), None) => stream == of,
            (None, None) => true,
        }
    }
}
