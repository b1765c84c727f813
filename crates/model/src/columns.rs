//! What a stream's events look like as a table: typed columns by JSON path, and where the event time stands.

use serde::{Deserialize, Serialize};

/// The type of a declared column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A signed 64-bit integer.
    Int64,
    /// A 64-bit float.
    Float64,
    /// True or false.
    Bool,
    /// A point in time, microseconds, UTC; RFC 3339 text or Unix seconds on the wire.
    Timestamp,
    /// Any JSON value, as its text.
    Json,
}

/// One typed column: the value at a JSON path. A missing or mistyped value is NULL, never a lost event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The column's name in SQL.
    pub name: String,
    /// The keys that lead to the value, outermost first: `["length", "new"]`.
    pub path: Vec<String>,
    /// Its type.
    pub column_type: ColumnType,
    /// When given, the column is true where the value at the path is this text and false where it is another or is
    /// missing; `canary` is `meta.domain` equal to "canary". The type is then `Bool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
}

/// How an event time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// RFC 3339 text.
    Rfc3339,
    /// Unix seconds as a JSON number.
    UnixSeconds,
    /// Unix milliseconds as a JSON number.
    UnixMillis,
}

/// One place where the event time may stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTimeRule {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// How it is written there.
    pub format: TimeFormat,
}

/// A stream as a table. Beside these columns every stream has `event_offset`, `event_time`, `received_time` and `data`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSchema {
    /// Where the event time stands: the first rule whose value is there and readable wins.
    pub event_time: Vec<EventTimeRule>,
    /// The typed columns, in the order in which `SELECT *` shows them.
    pub columns: Vec<Column>,
}

impl StreamSchema {
    /// Built-in schemas by name: `mediawiki/recentchange`; and `json`, which has no typed columns and takes `dt`,
    /// `timestamp` or `time` (RFC 3339) as the event time.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        match name {
            "mediawiki/recentchange" => Some(recentchange()),
            "json" => Some(json()),
            "rejects" => Some(rejects()),
            _ => None,
        }
    }

    /// The names that [`builtin`](Self::builtin) knows and a user may write, for messages.
    pub const BUILTIN: &'static [&'static str] = &["json", "mediawiki/recentchange"];

    /// The declared column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

fn column(name: &str, path: &str, column_type: ColumnType) -> Column {
    Column { name: name.to_owned(), path: path.split('.').map(str::to_owned).collect(), column_type, equals: None }
}

fn time(path: &str, format: TimeFormat) -> EventTimeRule {
    EventTimeRule { path: path.split('.').map(str::to_owned).collect(), format }
}

/// Wikimedia's recentchange, schema 1.0.x: <https://schema.wikimedia.org>, mediawiki/recentchange.
fn recentchange() -> StreamSchema {
    use ColumnType::{Bool, Int64, Json, Text, Timestamp};
    StreamSchema {
        event_time: vec![time("timestamp", TimeFormat::UnixSeconds), time("meta.dt", TimeFormat::Rfc3339)],
        columns: vec![
            column("meta_id", "meta.id", Text),
            column("meta_dt", "meta.dt", Timestamp),
            column("meta_domain", "meta.domain", Text),
            column("meta_stream", "meta.stream", Text),
            column("meta_topic", "meta.topic", Text),
            column("meta_partition", "meta.partition", Int64),
            column("meta_offset", "meta.offset", Int64),
            Column { equals: Some("canary".into()), ..column("canary", "meta.domain", Bool) },
            column("id", "id", Int64),
            column("type", "type", Text),
            column("namespace", "namespace", Int64),
            column("title", "title", Text),
            column("comment", "comment", Text),
            column("user", "user", Text),
            column("bot", "bot", Bool),
            column("minor", "minor", Bool),
            column("patrolled", "patrolled", Bool),
            column("length_old", "length.old", Int64),
            column("length_new", "length.new", Int64),
            column("revision_old", "revision.old", Int64),
            column("revision_new", "revision.new", Int64),
            column("log_id", "log_id", Int64),
            column("log_type", "log_type", Text),
            column("log_action", "log_action", Text),
            column("log_params", "log_params", Json),
            column("server_name", "server_name", Text),
            column("wiki", "wiki", Text),
        ],
    }
}

fn json() -> StreamSchema {
    StreamSchema {
        event_time: ["dt", "timestamp", "time"].map(|path| time(path, TimeFormat::Rfc3339)).to_vec(),
        columns: Vec::new(),
    }
}

fn rejects() -> StreamSchema {
    use ColumnType::{Int64, Text};
    StreamSchema {
        event_time: Vec::new(),
        columns: vec![
            column("stream", "stream", Text),
            column("source", "source", Text),
            column("reason", "reason", Text),
            column("position", "position", Text),
            column("payload", "payload", Text),
            column("payload_bytes", "payload_bytes", Int64),
            column("view", "view", Text),
            column("refused_offset", "refused_offset", Int64),
        ],
    }
}
