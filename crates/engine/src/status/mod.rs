//! What is going on, as one document: the dashboard, `/v1/status` and the metrics all show this.
//!
//! Making one reads counters that are kept anyway; it does no I/O, so it may be called as often as anyone likes. Times
//! are RFC 3339 text in JSON.

mod audit;
mod reload;
mod sink;
mod source;
mod stream;
mod time;
mod view;

use std::collections::BTreeMap;

use lakehead_model::{Name, Timestamp};
use serde::Serialize;

pub use self::{
    audit::{AuditOutcome, AuditStatus, StreamAudited, ViewAudited},
    reload::{LastReload, ReloadOutcome, ReloadStatus},
    sink::{SinkLost, SinkState, SinkStatus},
    source::{SourceState, SourceStatus},
    stream::{ColumnsStatus, EventTimeStatus, HeldBack, MaintenanceStatus, StreamStatus},
    view::{ShadowStatus, ViewState, ViewStatus},
};

use self::time::time;

/// Everything at one moment.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Status {
    /// Lakehead's version.
    pub version: &'static str,
    /// The moment.
    #[serde(serialize_with = "time")]
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// When this process started.
    #[serde(serialize_with = "time")]
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// Whole seconds since then.
    pub uptime_seconds: u64,
    /// Whether it is about to finish.
    pub stopping: bool,
    /// Every stream, the built-in `rejects` and `gaps` too.
    pub streams: BTreeMap<Name, StreamStatus>,
    /// Every source.
    pub sources: BTreeMap<Name, SourceStatus>,
    /// Every view.
    pub views: BTreeMap<Name, ViewStatus>,
    /// Every sink.
    pub sinks: BTreeMap<Name, SinkStatus>,
    /// Space.
    pub disk: DiskStatus,
    /// What the standing audit found.
    pub audit: AuditStatus,
    /// Reloads of the pipeline file.
    pub reloads: ReloadStatus,
}

/// Space on the disk that holds the data directory.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct DiskStatus {
    /// What Lakehead keeps: streams and views.
    pub data_bytes: u64,
    /// What is left for it.
    pub free_bytes: u64,
}
