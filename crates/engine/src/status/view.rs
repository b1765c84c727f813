//! One view in the status: how far it is, what it has counted and left out, and the one that is built to replace it.

use std::collections::BTreeMap;

use lakehead_model::{Offset, Timestamp};
use serde::Serialize;

use super::time::time_or_null;

/// One view.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
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
    #[schemars(with = "Option<String>")]
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
    /// How often a follower was away for longer than its changes are kept, and began with a snapshot, since the view was opened.
    pub followers_overtaken: u64,
    /// The offset of its last checkpoint.
    pub checkpoint: Option<Offset>,
    /// What is wrong, if anything is: why it is stopped, or that it cannot be committed for now. Its last results can still
    /// be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Since when it is stopped.
    #[serde(serialize_with = "time_or_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub failed_since: Option<Timestamp>,
    /// Its shadow, the one that is built to replace it, since its SQL was changed or a rebuild was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<ShadowStatus>,
    /// Where in the data directory its quarantined results lie: those that the log cannot give again after a change or
    /// a rebuild.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<String>,
}

/// A shadow: the view that is built to replace an active one.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct ShadowStatus {
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
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
    /// It is stopped.
    Failed,
}
