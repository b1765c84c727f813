//! One stream in the status: how much it keeps, how fast it grows, what is wrong with it.

use std::collections::BTreeMap;

use lakehead_model::{Offset, Timestamp};
use serde::Serialize;

use super::time::time_or_null;

/// One stream.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct StreamStatus {
    /// The first offset that is kept.
    pub start: Offset,
    /// The offset after the last committed event.
    pub end: Offset,
    /// Events kept: `end - start`.
    pub events: u64,
    /// Events a second over the last second.
    pub rate_now: f64,
    /// Events a second over the last ten seconds.
    pub rate_10s: f64,
    /// The events' own size.
    pub raw_bytes: u64,
    /// Their size on disk.
    pub stored_bytes: u64,
    /// Files of the log.
    pub segments: u64,
    /// When the last event was received.
    #[serde(serialize_with = "time_or_null")]
    #[schemars(with = "Option<String>")]
    pub last_received: Option<Timestamp>,
    /// Seconds since then.
    pub freshness_seconds: Option<f64>,
    /// Events accepted by push since the start.
    pub pushed: u64,
    /// Pushed events that were refused since the start.
    pub push_rejects: u64,
    /// Events of hasty pushes that could not be written after the push was answered, since the start.
    pub push_lost: u64,
    /// The received time of the first event that is kept, where retention has removed what was before it: what views counted
    /// earlier cannot be rebuilt.
    #[serde(serialize_with = "time_or_null")]
    #[schemars(with = "Option<String>")]
    pub rebuildable_since: Option<Timestamp>,
    /// Sealing and retention.
    #[serde(flatten)]
    pub upkeep: MaintenanceStatus,
    /// What was committed once and is gone, in words, until a repair has taken note of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Why nothing can be written, while that is so: a full disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cannot_write: Option<String>,
    /// Rises when the stream turns out to have lost events that were seen outside: an older copy was restored, say.
    pub epoch: u64,
    /// How many of its events have no event time, and why.
    pub event_times: EventTimeStatus,
    /// Values of its declared columns that are of another type.
    pub columns: ColumnsStatus,
}

/// What is known of the event times of a stream's events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct EventTimeStatus {
    /// Events taken since the start.
    pub events: u64,
    /// Of these, those without an event time.
    pub without: u64,
    /// Most of those that came last have none, though the stream says where it stands.
    pub most_without: bool,
    /// Why one of them has none, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What is known of how events fit the columns, since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ColumnsStatus {
    /// Events whose declared columns were looked at.
    pub looked_at: u64,
    /// Events that were passed over, since too many came at once.
    pub passed_over: u64,
    /// Values that are there and of another type, by column; columns without such are left out.
    pub mistyped: BTreeMap<String, u64>,
}

/// The maintenance of a stream: sealing and retention.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct MaintenanceStatus {
    /// Finished segments that are not sealed yet.
    pub unsealed: u64,
    /// Segments sealed since the start.
    pub sealed: u64,
    /// Segments removed by retention since the start.
    pub removed: u64,
    /// What retention would remove and somebody still needs: how many bytes, and who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldBack>,
    /// What went wrong last, while it does: the next round tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What retention holds back, since somebody needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct HeldBack {
    /// Bytes on disk.
    pub bytes: u64,
    /// Who needs them, for people.
    pub by: Vec<String>,
}
