//! What a stream's events look like as a table: typed columns by JSON path, and where the event time stands.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::mediawiki_history::{self, HistoryColumn, HistoryValue};

/// The type of a declared column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A signed 64-bit integer: any number without a fraction that fits, so `7`, `7.0` and `7e0`, and not `7.5`.
    Int64,
    /// A 64-bit float.
    Float64,
    /// True or false.
    Bool,
    /// A point in time of the years 1678 to 2261, microseconds, UTC; RFC 3339 text or Unix seconds on the wire.
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
    /// RFC 3339 text with its zone: `2026-11-28T11:30:00Z`.
    Rfc3339,
    /// Unix seconds, as a number or as text that is one.
    #[serde(alias = "unix", alias = "unix_s")]
    UnixSeconds,
    /// Unix milliseconds.
    #[serde(alias = "unix_ms")]
    UnixMillis,
    /// Unix microseconds.
    #[serde(alias = "unix_us")]
    UnixMicros,
    /// Unix nanoseconds, cut off below the microsecond.
    #[serde(alias = "unix_ns")]
    UnixNanos,
    /// ISO 8601 text, with its zone or in that of the rule: `2026-11-28 11:30:00`, `2026-11-28T11:30`, `2026-11-28`.
    #[serde(alias = "iso8601")]
    Iso,
    /// As in HTTP and in mail (RFC 9110 5.6.7, RFC 5322 3.3): `Sat, 28 Nov 2026 11:30:00 GMT`.
    #[serde(alias = "rfc2822", alias = "http")]
    HttpDate,
    /// Whichever of these it is: text by its form, numbers by their size, so that `1795865400` is in seconds and
    /// `1795865400000` in milliseconds. Text without a zone is read only where the rule has one.
    Auto,
}

impl TimeFormat {
    /// Its name as a pipeline file has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rfc3339 => "rfc3339",
            Self::UnixSeconds => "unix_seconds",
            Self::UnixMillis => "unix_ms",
            Self::UnixMicros => "unix_us",
            Self::UnixNanos => "unix_ns",
            Self::Iso => "iso",
            Self::HttpDate => "http_date",
            Self::Auto => "auto",
        }
    }
}

/// One place where the event time may stand, and how it is written there. One place with several formats is several
/// rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTimeRule {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// How it is written there.
    pub format: TimeFormat,
    /// The zone of text that names none, for [`TimeFormat::Iso`] and [`TimeFormat::Auto`]: `UTC`, `+01:00`, or an IANA
    /// name as `Europe/Berlin`. Default: such text is no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// How values are read from events: raised whenever the same text may be read otherwise than before, the range of times
/// included. What was computed by another reading is not believed. 2: times are of the years 1678 to 2261, and `7.0` is
/// an integer.
pub const READING: u32 = 2;

/// By which rule event times were read, as a number that says nothing but whether two rules are the same one: where they
/// stand, how they are written, and how such text is read ([`READING`]). A range of event times is kept
/// together with this, and has a meaning only for a reader by the same rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimeRule(pub NonZeroU64);

impl TimeRule {
    /// From the number as it was kept; 0 is none.
    #[must_use]
    pub fn kept(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number, for keeping.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.get()
    }
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
    /// Built-in schemas by name: `mediawiki/recentchange`; `mediawiki/history`, for rows of MediaWiki history dumps; and `json`,
    /// which has no typed columns and takes `dt`, `timestamp` or `time` (RFC 3339) as the event time.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        match name {
            "mediawiki/history" => Some(history()),
            "mediawiki/recentchange" => Some(recentchange()),
            "json" => Some(json()),
            "rejects" => Some(rejects()),
            _ => None,
        }
    }

    /// The names that [`builtin`](Self::builtin) knows and a user may write, for messages.
    pub const BUILTIN: &'static [&'static str] = &["json", "mediawiki/history", "mediawiki/recentchange"];

    /// By which rule its event times are read: part of what is kept, so it stays the same from release to release as long
    /// as the reading does.
    #[must_use]
    pub fn time_rule(&self) -> TimeRule {
        let text = serde_json::to_string(&(READING, &self.event_time)).expect("text and numbers are always JSON");
        // FNV-1a with 64 bits: the Internet draft draft-eastlake-fnv, section 5.
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        TimeRule(NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN))
    }

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
    EventTimeRule { path: path.split('.').map(str::to_owned).collect(), format, zone: None }
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

/// MediaWiki history dumps, as the source `file` makes events of their rows: the columns of the newest layout. A list is JSON.
fn history() -> StreamSchema {
    let typed = |of: &HistoryColumn| {
        let column_type = match of.value {
            HistoryValue::Text => ColumnType::Text,
            HistoryValue::List => ColumnType::Json,
            HistoryValue::Whole => ColumnType::Int64,
            HistoryValue::Truth => ColumnType::Bool,
            HistoryValue::Time => ColumnType::Timestamp,
        };
        column(of.name, of.name, column_type)
    };
    StreamSchema {
        event_time: vec![time("event_timestamp", TimeFormat::Rfc3339)],
        columns: mediawiki_history::COLUMNS.iter().map(typed).collect(),
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
            column("sink", "sink", Text),
            column("key", "key", Text),
            column("attempts", "attempts", Int64),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_told_from_every_other_by_its_number() {
        let with = |event_time| StreamSchema { event_time, columns: Vec::new() }.time_rule();
        let zoned = EventTimeRule { zone: Some("UTC".into()), ..time("dt", TimeFormat::Iso) };
        let rules = [
            with(vec![]),
            with(vec![time("dt", TimeFormat::Rfc3339)]),
            with(vec![time("dt", TimeFormat::UnixMillis)]),
            with(vec![time("meta.dt", TimeFormat::Rfc3339)]),
            with(vec![EventTimeRule { path: vec!["meta.dt".into()], ..time("dt", TimeFormat::Rfc3339) }]),
            with(vec![time("dt", TimeFormat::Iso)]),
            with(vec![zoned]),
            with(vec![time("dt", TimeFormat::Rfc3339), time("meta.dt", TimeFormat::Rfc3339)]),
            with(vec![time("meta.dt", TimeFormat::Rfc3339), time("dt", TimeFormat::Rfc3339)]),
        ];
        for (at, rule) in rules.iter().enumerate() {
            assert!(!rules[..at].contains(rule), "{at}");
            assert_eq!(TimeRule::kept(rule.number()), Some(*rule));
        }
    }

    #[test]
    fn columns_have_no_part_in_the_rule() {
        let schema = recentchange();
        let without = StreamSchema { columns: Vec::new(), ..schema.clone() };
        assert_eq!(schema.time_rule(), without.time_rule());
    }

    #[test]
    fn every_schema_that_a_user_may_name_is_there_and_its_columns_have_names_of_their_own() {
        for name in StreamSchema::BUILTIN {
            let schema = StreamSchema::builtin(name).expect("built in");
            let mut names: Vec<_> = schema.columns.iter().map(|column| &column.name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), schema.columns.len(), "{name}");
        }
        assert_eq!(StreamSchema::builtin("mediawiki/history").expect("built in").columns.len(), 78);
    }

    #[test]
    fn the_rule_is_kept_in_files_so_its_number_stays() {
        assert_eq!(json().time_rule().number(), 2_977_765_135_346_671_869);
    }
}
