//! One source in the status: what it is doing, and what it has brought.

use lakehead_model::{Name, Timestamp};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::time::{time, time_or_null};

/// One source. The counts are since this process started.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct SourceStatus {
    /// Its kind.
    pub kind: &'static str,
    /// The streams it feeds. In JSON `stream` stands beside `streams` where it is one.
    #[serde(flatten, serialize_with = "stream_names")]
    #[schemars(with = "StreamNames")]
    pub streams: Vec<Name>,
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
    #[schemars(with = "Option<String>")]
    pub progress: Option<Timestamp>,
    /// Since when this process counts these.
    #[serde(serialize_with = "time")]
    #[schemars(with = "String")]
    pub counted_since: Timestamp,
}

/// What [`stream_names`] writes.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct StreamNames {
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Name>,
    streams: Vec<Name>,
}

/// `stream`, where it is one, and `streams`.
fn stream_names<S: Serializer>(streams: &[Name], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    if let [only] = streams {
        map.serialize_entry("stream", only)?;
    }
    map.serialize_entry("streams", streams)?;
    map.end()
}

/// What a source is doing.
///
/// ```text
/// opening ──→ catching_up ──→ live ──→ ended
///    ↑             │           │
///    │             ↓           ↓
///    └──────── away, waiting ←─┘        failed: from anywhere, for good
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
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
        #[schemars(with = "String")]
        since: Timestamp,
        /// What happened last.
        error: String,
        /// When it is tried next; past while it is being tried.
        #[serde(serialize_with = "time")]
        #[schemars(with = "String")]
        next_try: Timestamp,
    },
    /// The store cannot write (a full disk): it waits, and will go on from the store's cursor.
    Waiting {
        /// Since when.
        #[serde(serialize_with = "time")]
        #[schemars(with = "String")]
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
        #[schemars(with = "String")]
        since: Timestamp,
        /// What is wrong.
        error: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_stands_flat_beside_the_counts() {
        let source = SourceStatus {
            kind: "eventstreams",
            streams: vec![Name::new("recentchange").expect("a name")],
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
        assert_eq!((&json["stream"], &json["streams"]), (&"recentchange".into(), &serde_json::json!(["recentchange"])));
        let two = ["a", "b"].map(|text| Name::new(text).expect("a name")).to_vec();
        let json = serde_json::to_value(SourceStatus { streams: two, ..source }).expect("json");
        assert_eq!((json.get("stream"), &json["streams"]), (None, &serde_json::json!(["a", "b"])));
    }
}
