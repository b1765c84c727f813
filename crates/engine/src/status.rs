//! What is going on, as one document: the dashboard, `/v1/status` and the metrics all show this.
//!
//! Making one reads counters that are kept anyway; it does no I/O, so it may be called as often as anyone likes. Times
//! are RFC 3339 text in JSON.

use std::collections::BTreeMap;

use lakehead_model::{Name, Offset, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::upkeep::UpkeepStatus;
pub use crate::{columns::ColumnsStatus, untimed::EventTimeStatus};

/// Everything at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Lakehead's version.
    pub version: &'static str,
    /// The moment.
    #[serde(serialize_with = "time")]
    pub now: Timestamp,
    /// When this process started.
    #[serde(serialize_with = "time")]
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
    /// Space.
    pub disk: DiskStatus,
    /// What the standing audit found.
    pub audit: AuditStatus,
    /// Reloads of the pipeline file.
    pub reloads: ReloadStatus,
}

/// One stream.
#[derive(Clone, Debug, Serialize)]
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
    pub last_received: Option<Timestamp>,
    /// Seconds since then.
    pub freshness_seconds: Option<f64>,
    /// Events accepted by push since the start.
    pub pushed: u64,
    /// Pushed events that were refused since the start.
    pub push_rejects: u64,
    /// The received time of the first event that is kept, where retention has removed what was before it: what views counted
    /// earlier cannot be rebuilt.
    #[serde(serialize_with = "time_or_null")]
    pub rebuildable_since: Option<Timestamp>,
    /// Sealing and retention.
    #[serde(flatten)]
    pub upkeep: UpkeepStatus,
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

/// One source. The counts are since this process started.
#[derive(Clone, Debug, Serialize)]
pub struct SourceStatus {
    /// Its kind.
    pub kind: &'static str,
    /// The stream it feeds.
    pub stream: Name,
    /// What it is doing. In JSON its fields stand beside the others: `"state": "away", "since": …`.
    #[serde(flatten)]
    pub state: SourceState,
    /// Events committed.
    pub events: u64,
    /// Events that came again and were dropped, since the log holds them.
    pub duplicates: u64,
    /// Events refused.
    pub rejects: u64,
    /// Upstream events proven to be missing.
    pub gaps: u64,
    /// How often it was opened.
    pub opened: u64,
    /// The event time up to which it has brought everything, as far as it knows.
    #[serde(serialize_with = "time_or_null")]
    pub progress: Option<Timestamp>,
    /// Since when this process counts these.
    #[serde(serialize_with = "time")]
    pub counted_since: Timestamp,
}

/// What a source is doing.
///
/// ```text
/// opening ──→ catching_up ──→ live ──→ ended
///    ↑             │           │
///    │             ↓           ↓
///    └──────── away, waiting ←─┘        failed: from anywhere, for good
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SourceState {
    /// Being opened for the first time.
    Opening,
    /// Connected, and reading what happened a while ago.
    CatchingUp,
    /// Connected, and at the head of its upstream.
    Live,
    /// The other side is away; it is tried again.
    Away {
        /// Since when.
        #[serde(serialize_with = "time")]
        since: Timestamp,
        /// What happened last.
        error: String,
        /// When it is tried next; past while it is being tried.
        #[serde(serialize_with = "time")]
        next_try: Timestamp,
    },
    /// The store cannot write (a full disk): it waits, and will go on from the store's cursor.
    Waiting {
        /// Since when.
        #[serde(serialize_with = "time")]
        since: Timestamp,
        /// What the store says.
        error: String,
    },
    /// It came to its end: a file was read.
    Ended,
    /// A person must change something; it is not tried again. The others go on.
    Failed {
        /// Since when.
        #[serde(serialize_with = "time")]
        since: Timestamp,
        /// What is wrong.
        error: String,
    },
}

/// One view.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ViewStatus {
    /// The stream it reads.
    pub stream: String,
    /// The view whose rows it reads, if it is a view over another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<String>,
    /// What it is doing. In JSON its fields stand beside the others: `"state": "building", "fraction": 0.42, …`.
    #[serde(flatten)]
    pub state: ViewState,
    /// Up to this offset its results count every event.
    pub offset: Offset,
    /// Committed events it has not counted yet.
    pub behind: u64,
    /// The event time up to which its windows are closed.
    #[serde(serialize_with = "time_or_null")]
    pub watermark: Option<Timestamp>,
    /// Rows that a query finds: those of its result files, and those of open windows.
    pub rows: u64,
    /// There are more, in open windows, that nobody has counted: many partial rows, or another view's rows, would have to be
    /// made rows for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rows_at_least: bool,
    /// Result files.
    pub files: u64,
    /// Memory of its open windows, in bytes.
    pub open_bytes: u64,
    /// Late events that corrected a window.
    pub late_corrected: u64,
    /// Late events beyond `lateness`, or dropped by `late = "drop"`.
    pub late_dropped: u64,
    /// All late events by how long after the end of their window they came.
    pub late_by: BTreeMap<&'static str, u64>,
    /// Events without event time, left out of event-time windows.
    pub without_time: u64,
    /// Events left out because an expression of its SQL fails on them; the first of each hour are in the stream `rejects`.
    pub failed_events: u64,
    /// Values in its rows that are NULL because they could not be computed, as far as rows were made.
    pub failed_values: u64,
    /// Why the last event that it left out was, since this process started; or else the first such value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The offset of its last checkpoint.
    pub checkpoint: Option<Offset>,
    /// What is wrong, if anything is: why it stands still, or that it cannot be committed for now. Its last results can still
    /// be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Since when it stands still.
    #[serde(serialize_with = "time_or_null", skip_serializing_if = "Option::is_none")]
    pub failed_since: Option<Timestamp>,
    /// The one that is built to take its place, since its SQL was changed or a rebuild was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextView>,
    /// Where in the data directory results of it lie that the log cannot give again, since it was changed or built anew.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<String>,
}

/// A view that is built to take another's place.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NextView {
    /// What it is doing.
    #[serde(flatten)]
    pub state: ViewState,
    /// Up to this offset its results count every event.
    pub offset: Offset,
    /// It is built, and waits for `lakehead view swap`.
    pub waits: bool,
    /// What is wrong, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What a view is doing.
///
/// ```text
/// building ──→ live
///     └──→ failed ←─┘
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ViewState {
    /// Far behind its stream, and coming up beside those that are live. Queries answer with what it has counted so far.
    Building {
        /// Where its stream ends now.
        end: Offset,
        /// How much of the log it has read, from 0 to 1.
        fraction: f64,
        /// How fast, over the last ten seconds.
        events_per_second: f64,
        /// About how long it takes from here; `None` while that is not known.
        seconds_left: Option<f64>,
    },
    /// At the head of its stream.
    #[default]
    Live,
    /// It stands still.
    Failed,
}

/// Space on the disk that holds the data directory.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DiskStatus {
    /// What Lakehead keeps: streams and views.
    pub data_bytes: u64,
    /// What is left for it.
    pub free_bytes: u64,
}

/// The standing audit.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AuditStatus {
    /// How often it runs; `None` when it is off.
    pub every_seconds: Option<u64>,
    /// Whether one is under way.
    pub running: bool,
    /// When everything last added up.
    #[serde(serialize_with = "time_or_null")]
    pub last_success: Option<Timestamp>,
    /// What the last one that came to its end found.
    pub last: Option<AuditOutcome>,
    /// Why the last one could not be done, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What one audit found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditOutcome {
    /// When it was done.
    #[serde(serialize_with = "time", deserialize_with = "time_from")]
    pub at: Timestamp,
    /// How long it took.
    pub took_seconds: f64,
    /// Whether everything was looked at, or only what was new.
    pub whole: bool,
    /// Events that were walked over.
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
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ViewAudited {
    /// Rows compared.
    pub rows: u64,
    /// Rows that differ because of late events that were left out.
    pub explained: u64,
    /// How many things do not add up.
    pub differences: u64,
}

/// Reloads of the pipeline file since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReloadStatus {
    /// Those that were applied, also where nothing had changed.
    pub done: u64,
    /// Those that were refused since the file was not good, or asked for what takes a restart: the old pipeline went on.
    pub refused: u64,
    /// Those that could not be applied as a whole.
    pub failed: u64,
    /// The last one.
    pub last: Option<LastReload>,
}

/// One reload.
#[derive(Clone, Debug, Serialize)]
pub struct LastReload {
    /// When it was over.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// What came of it. In JSON its fields stand beside: `"outcome": "done", "changes": …`.
    #[serde(flatten)]
    pub outcome: ReloadOutcome,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// The new pipeline runs.
    Done {
        /// What it changed, in words.
        changes: Vec<String>,
    },
    /// The old pipeline goes on as it was.
    Refused {
        /// Everything that is in the way.
        why: String,
    },
    /// The new pipeline runs, but for what stands here.
    Failed {
        /// What went wrong, and what stands still.
        why: String,
    },
}

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn time_from<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|_| serde::de::Error::custom("not a time"))
}

fn time_or_null<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_stands_flat_beside_the_counts() {
        let source = SourceStatus {
            kind: "eventstreams",
            stream: Name::new("recentchange").expect("a name"),
            state: SourceState::Away { since: Timestamp(0), error: "refused".into(), next_try: Timestamp(7) },
            events: 3,
            duplicates: 0,
            rejects: 0,
            gaps: 0,
            opened: 1,
            progress: None,
            counted_since: Timestamp(0),
        };
        let json = serde_json::to_value(&source).expect("json");
        assert_eq!(json["state"], "away");
        assert_eq!(json["since"], "1970-01-01T00:00:00Z");
        assert_eq!(json["events"], 3);
    }
}
