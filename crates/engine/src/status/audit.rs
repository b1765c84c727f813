//! The standing audit in the status: when it ran last, and what it found.

use std::collections::BTreeMap;

use lakehead_model::{Name, Timestamp};
use serde::{Deserialize, Serialize};

use super::time::{time, time_from, time_or_null};

/// The standing audit.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct AuditStatus {
    /// How often it runs; `None` when it is off.
    pub every_seconds: Option<u64>,
    /// Whether one is under way.
    pub running: bool,
    /// When everything last added up.
    #[serde(serialize_with = "time_or_null")]
    #[schemars(with = "Option<String>")]
    pub last_success: Option<Timestamp>,
    /// What the last one that came to its end found.
    pub last: Option<AuditOutcome>,
    /// Why the last one could not be done, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What one audit found.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AuditOutcome {
    /// When it was done.
    #[serde(serialize_with = "time", deserialize_with = "time_from")]
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// How long it took.
    pub took_seconds: f64,
    /// Whether everything was looked at, or only what was new.
    pub whole: bool,
    /// Events that were scanned.
    pub events: u64,
    /// Rows of views that were counted again.
    pub rows: u64,
    /// How many things do not add up.
    pub differences: u64,
    /// The first of them, in words.
    pub told: Vec<String>,
    /// What was not looked at, and why.
    #[serde(default)]
    pub not_checked: Vec<String>,
    /// By stream.
    pub streams: BTreeMap<Name, StreamAudited>,
    /// By view.
    pub views: BTreeMap<Name, ViewAudited>,
}

/// What an audit found out about a stream.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StreamAudited {
    /// Events read.
    pub events: u64,
    /// Upstream offsets that rejects and the gap ledger account for.
    pub accounted: u64,
    /// Upstream offsets that are nowhere.
    pub missing: u64,
    /// Events that are kept twice.
    pub doubled: u64,
    /// How many things do not add up.
    pub differences: u64,
}

/// What an audit found out about a view.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ViewAudited {
    /// Rows compared.
    pub rows: u64,
    /// Rows that differ because of late events that were left out.
    pub explained: u64,
    /// How many things do not add up.
    pub differences: u64,
}
