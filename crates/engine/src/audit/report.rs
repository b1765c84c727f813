//! What an audit found out, as it is shown and sent: by stream and by view.

use std::collections::BTreeMap;

use lakehead_model::{Name, Offset};
use lakehead_query::ViewAudit;
use serde::{Deserialize, Serialize};

/// What an audit found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Report {
    /// Each stream that was scanned.
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

    /// Events that were scanned.
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

/// What the audit found out about one stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StreamAudit {
    /// The first offset that was read.
    pub start: Offset,
    /// The offset after the last.
    pub end: Offset,
    /// Events read: `end - start`, unless something is wrong.
    pub events: u64,
    /// Refused events of this stream's sources.
    pub rejects: u64,
    /// Upstream offsets that rejects and the gap ledger account for.
    pub accounted: u64,
    /// Upstream offsets that are nowhere.
    pub missing: u64,
    /// Events that are kept twice.
    pub doubled: u64,
    /// Jumps of upstream offsets at the end of the log, of which nobody can say yet what they are.
    pub unsettled: u64,
    /// Each upstream partition.
    pub partitions: BTreeMap<String, PartitionAudit>,
    /// Events by minute of received time.
    pub minutes: Vec<Minute>,
    /// Whatever does not add up.
    pub differences: u64,
    /// The first of them, in words.
    pub told: Vec<AuditFinding>,
    /// What was not looked at, and why.
    #[serde(default)]
    pub not_checked: Vec<String>,
}

/// One upstream topic and partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PartitionAudit {
    /// Events of it in the log.
    pub events: u64,
    /// The first offset.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// Offsets that rejects and the gap ledger account for.
    pub accounted: u64,
    /// How often the offsets went on under other numbers, as the ledger says.
    pub changes: u64,
    /// Offsets that are nowhere.
    pub missing: u64,
}

/// One minute of received time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Minute {
    /// When it began.
    pub start: String,
    /// Events received in it.
    pub events: u64,
    /// Upstream offsets found missing in it.
    pub missing: u64,
    /// Events received in it that the log has twice.
    pub doubled: u64,
}

/// A finding of the audit: one thing that does not add up in a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AuditFinding {
    /// The minute of received time in which it was noticed; `now` for what only this reading has noticed.
    pub minute: String,
    /// What it is.
    pub what: String,
}
