//! One sink in the status: what it is doing, how far it has delivered, and what it could not deliver.

use lakehead_model::{Name, Timestamp};
use serde::Serialize;

use super::time::{time, time_or_null};

/// One sink. The counts are since this process started; the position is for good.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct SinkStatus {
    /// Its kind.
    pub kind: &'static str,
    /// The stream or view that it delivers.
    pub from: Name,
    /// What happens to a row that is written twice, in words: `at least once`.
    pub delivery: &'static str,
    /// What it is doing. In JSON its fields stand beside the others: `"state": "away", "since": …`.
    #[serde(flatten)]
    pub state: SinkState,
    /// Rows that the target has taken. Those that it takes again after a lost connection count again.
    pub delivered: u64,
    /// Rows that the target refused for good; each is in the stream `rejects`.
    pub rejected: u64,
    /// Rows that were written again, since the target had said "later" or was away.
    pub retried: u64,
    /// Delivered rows a second, over the last ten seconds.
    pub rows_per_second: f64,
    /// Rows that are there and not delivered; of a view `None`, which counts commits.
    pub lag_rows: Option<u64>,
    /// Of a view: commits that are there and not delivered.
    pub lag_commits: Option<u64>,
    /// Bytes of rows that are read and have no answer yet.
    pub under_way_bytes: u64,
    /// Everything before it is delivered or refused: `log.0.1200`; `None` before its first commit.
    pub position: Option<String>,
    /// When the position moved last.
    #[serde(serialize_with = "time_or_null")]
    #[schemars(with = "Option<String>")]
    pub committed: Option<Timestamp>,
    /// How often it was opened.
    pub opened: u64,
    /// What went wrong last, also if it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When that was.
    #[serde(serialize_with = "time_or_null", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub last_error_at: Option<Timestamp>,
    /// What it will never deliver, since it was gone before; `None` if there is no such thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<SinkLost>,
    /// That it began anew or passed over something, and why; the last such finding since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// Since when this process counts these.
    #[serde(serialize_with = "time")]
    #[schemars(with = "String")]
    pub counted_since: Timestamp,
}

/// What a sink will never deliver: retention removed it before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct SinkLost {
    /// How many rows.
    pub rows: u64,
    /// What happened last, for a person.
    pub why: String,
}

/// What a sink is doing.
///
/// ```text
/// opening ──→ delivering ⇄ caught_up ──→ stopped
///    ↑             │           │
///    │             ↓           ↓
///    └──────── away, waiting ←─┘        failed: from anywhere, until a reload or a restart
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SinkState {
    /// Being opened for the first time.
    Opening,
    /// Rows are under way.
    Delivering,
    /// Everything that is there is delivered.
    CaughtUp,
    /// The target is away; it is tried again.
    Away {
        /// Since when.
        #[serde(serialize_with = "time")]
        #[schemars(with = "String")]
        since: Timestamp,
        /// What happened last.
        error: String,
        /// When it is tried next; past while it is being tried.
        #[serde(serialize_with = "time")]
        #[schemars(with = "String")]
        next_try: Timestamp,
    },
    /// What was refused, or the position, cannot be written (a full disk): it waits, and delivers nothing meanwhile.
    Waiting {
        /// Since when.
        #[serde(serialize_with = "time")]
        #[schemars(with = "String")]
        since: Timestamp,
        /// What the disk says.
        error: String,
    },
    /// A person must change something; it is not tried again. The others go on.
    Failed {
        /// Since when.
        #[serde(serialize_with = "time")]
        #[schemars(with = "String")]
        since: Timestamp,
        /// What is wrong.
        error: String,
    },
    /// It was stopped, as for a reload or the end.
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_stands_flat_beside_the_counts() {
        let sink = SinkStatus {
            kind: "http",
            from: Name::new("recentchange").expect("a name"),
            delivery: "at least once",
            state: SinkState::Away { since: Timestamp(0), error: "refused".into(), next_try: Timestamp(7) },
            delivered: 3,
            rejected: 0,
            retried: 1,
            rows_per_second: 0.0,
            lag_rows: Some(12),
            lag_commits: None,
            under_way_bytes: 0,
            position: Some("log.0.3".into()),
            committed: None,
            opened: 1,
            last_error: None,
            last_error_at: None,
            lost: None,
            finding: None,
            counted_since: Timestamp(0),
        };
        let json = serde_json::to_value(&sink).expect("json");
        assert_eq!(json["state"], "away");
        assert_eq!(json["since"], "1970-01-01T00:00:00Z");
        assert_eq!(json["delivered"], 3);
        assert_eq!(json["position"], "log.0.3");
        assert!(json.get("lost").is_none());
    }
}
