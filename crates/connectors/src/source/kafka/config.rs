//! What a user may set.

use std::collections::BTreeMap;

use lakehead_model::{ByteSize, Span, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::client_keys;

/// The most entries of `topics` and of `except`. Hundreds of topics are a pattern.
const ENTRIES_MAX: usize = 200;

/// Settings of a `kafka` source.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Brokers to begin with, comma-separated: `"kafka1:9092,kafka2:9092"`. The others are learned from them.
    pub(super) brokers: String,
    /// The topics: names, and patterns in which `*` stands for anything and `?` for one character, as in `["orders", "shop.*"]`.
    /// A pattern never takes a topic that begins with `__`. At most 200 entries.
    pub(super) topics: Vec<String>,
    /// Topics that are not read although a pattern of `topics` takes them: names and patterns. At most 200. Default: none.
    #[serde(default)]
    pub(super) except: Vec<String>,
    /// Where to begin in a topic of which nothing was read yet: `"earliest"`, `"latest"`, a time (`"2026-11-01T00:00:00Z"`), or a
    /// span back from now (`"24h"`). Partitions and topics that come into being later are read from their first record.
    /// Default: `"earliest"`.
    #[serde(default)]
    pub(super) start: Start,
    /// Offsets to begin with, by topic and partition, as in `{ "orders/0" = 1200 }`; they go before `start`. Default: none.
    #[serde(default)]
    pub(super) offsets: BTreeMap<String, i64>,
    /// What becomes an event: `"envelope"`, the record with its key, headers, time and place; or `"value"`, its value alone, and then
    /// a tombstone is no event. Default: `"envelope"`.
    #[serde(default)]
    pub(super) format: RecordFormat,
    /// What a record's value is: `"json"`; `"text"`, UTF-8 that becomes a JSON string; `"base64"`, any bytes, which become a JSON
    /// string in base 64. What it is not is refused. Default: `"json"`.
    #[serde(default)]
    pub(super) value: ValueFormat,
    /// The consumer group in which offsets are committed once their events are on disk. Without `shared` that is for monitoring
    /// only. Default: none; nothing is committed.
    #[serde(default)]
    pub(super) group: Option<String>,
    /// Whether the partitions are shared with the other members of `group`, be they Lakeheads or not. Default: false; all partitions
    /// are read here.
    #[serde(default)]
    pub(super) shared: bool,
    /// With `shared`: how long a partition that moves to another member waits until what was read of it here is on disk. Default:
    /// 10 s, twenty times what a block gathers before it is written and synced.
    #[serde(default = "handover_default")]
    pub(super) handover: Span,
    /// `"read_committed"`: records of transactions that were aborted or are not decided are not read. `"read_uncommitted"`: they
    /// are. Default: `"read_committed"`.
    #[serde(default)]
    pub(super) isolation: Isolation,
    /// The greatest age of a record when the source opens: older ones are passed over, and noted. Default: none.
    #[serde(default)]
    pub(super) age_max: Option<Span>,
    /// The source ends after so many events, counted from its opening. Default: none; it never ends.
    #[serde(default)]
    pub(super) events_max: Option<u64>,
    /// What to do when a partition is not the one that was read before, as when a topic was deleted and created again, or `brokers`
    /// leads to another cluster: `"stop"`, until a person has decided; `"begin_again"`, read it from its first record. Default:
    /// `"stop"`.
    #[serde(default)]
    pub(super) recreated: Recreated,
    /// How often new topics and partitions are looked for. Default: 1m, which is a request of a few kilobytes each.
    #[serde(default = "discovery_default")]
    pub(super) discovery: Span,
    /// Most bytes of records that wait in memory; beyond them nothing is fetched (librdkafka's `queued.max.messages.kbytes`). A
    /// fetch that is under way may come on top, of the same size at most unless one record is greater. Default: 16 MiB.
    #[serde(default = "memory_default")]
    pub(super) memory: ByteSize,
    /// Settings of librdkafka, by its own names: TLS, SASL, time-outs, the member of the group. The manual lists those that may be
    /// set. Default: none.
    #[serde(default)]
    pub(super) client: BTreeMap<String, String>,
}

fn handover_default() -> Span {
    Span::seconds(10)
}

fn discovery_default() -> Span {
    Span::seconds(60)
}

fn memory_default() -> ByteSize {
    ByteSize::mib(16)
}

/// Where to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Start {
    #[default]
    Earliest,
    Latest,
    At(Timestamp),
    Back(Span),
}

impl TryFrom<String> for Start {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(span) = text.parse() {
            return Ok(Self::Back(span));
        }
        text.parse().map(Self::At).map_err(|_| {
            format!(
                "{text:?} is neither \"earliest\", \"latest\", a time, as in \"2026-11-01T00:00:00Z\", nor a span back, as in \"24h\""
            )
        })
    }
}

impl JsonSchema for Start {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Start".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// What becomes an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RecordFormat {
    /// The record with its key, headers, time and place.
    #[default]
    Envelope,
    /// Its value alone.
    Value,
}

/// What a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ValueFormat {
    /// JSON.
    #[default]
    Json,
    /// UTF-8.
    Text,
    /// Any bytes.
    Base64,
}

/// Which records of transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Isolation {
    /// Those that were committed.
    #[default]
    ReadCommitted,
    /// All.
    ReadUncommitted,
}

/// What to do about a partition that is another one than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Recreated {
    /// A person must decide.
    #[default]
    Stop,
    /// Read it from its first record.
    BeginAgain,
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.brokers.split(',').any(|broker| broker.trim().is_empty()) {
            return Err("brokers: expected addresses, comma-separated, as in \"kafka1:9092,kafka2:9092\"".to_owned());
        }
        entries("topics", &self.topics, 1)?;
        entries("except", &self.except, 0)?;
        for key in self.offsets.keys() {
            let is_place = key.rsplit_once('/').is_some_and(|(topic, n)| !topic.is_empty() && n.parse::<u16>().is_ok());
            if !is_place {
                return Err(format!("offsets: expected a topic and a partition, as in \"orders/0\", found {key:?}"));
            }
        }
        if let Some((key, offset)) = self.offsets.iter().find(|(_, offset)| **offset < 0) {
            return Err(format!("offsets: {key:?}: expected an offset from 0 on, found {offset}"));
        }
        match &self.group {
            None if self.shared => {
                return Err("shared: partitions are shared within a group: set group to its name".to_owned());
            }
            Some(group) if group.trim().is_empty() || group.len() > 249 => {
                return Err("group: expected a name of 1 to 249 bytes".to_owned());
            }
            _ => {}
        }
        let bounds = [("handover", self.handover, 100, 120_000), ("discovery", self.discovery, 100, 3_600_000)];
        for (key, span, least, most) in bounds {
            if !(least..=most).contains(&span.0.as_millis()) {
                return Err(format!("{key}: expected {least}ms to {}s, found {span}", most / 1_000));
            }
        }
        if self.age_max.is_some_and(|age| age.0.is_zero()) || self.events_max == Some(0) {
            return Err("age_max, events_max: 0 leaves nothing to be read; leave the key out for no limit".to_owned());
        }
        if !(1 << 20..=1 << 30).contains(&self.memory.0) {
            return Err(format!("memory: expected 1 MiB to 1 GiB, found {}", self.memory));
        }
        client_keys::check(&self.client)
    }
}

fn entries(key: &str, entries: &[String], least: usize) -> Result<(), String> {
    if !(least..=ENTRIES_MAX).contains(&entries.len()) {
        return Err(format!(
            "{key}: expected {least} to {ENTRIES_MAX} names or patterns, as in [\"orders\", \"shop.*\"], found {}",
            entries.len()
        ));
    }
    for entry in entries {
        // Kafka's own rule for names of topics, and the two characters of patterns.
        let is_legal = |c: char| c.is_ascii_alphanumeric() || "._-*?".contains(c);
        if entry.is_empty() || entry.len() > 249 || !entry.chars().all(is_legal) {
            return Err(format!(
                "{key}: expected letters, digits, `.`, `_`, `-`, and in a pattern `*` and `?`, at most 249, found {entry:?}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(settings: Value) -> Result<(), String> {
        serde_json::from_value::<Config>(settings).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn settings_that_cannot_work_are_refused_by_their_key() {
        let with = |key: &str, value: Value| {
            let mut settings = json!({ "brokers": "b:9092", "topics": ["orders", "shop.*"] });
            settings[key] = value;
            settings
        };
        assert_eq!(check(with("start", json!("24h"))), Ok(()));
        for (key, value, wanted) in [
            ("topics", json!([]), "topics: expected 1 to 200"),
            ("topics", json!(["a b"]), "topics: expected letters"),
            ("topics", json!(["^orders.*"]), "topics: expected letters"),
            ("topic", json!("a"), "unknown field `topic`"),
            ("brokers", json!("a:1,,b:2"), "brokers: expected addresses"),
            ("start", json!("yesterday"), "neither \"earliest\""),
            ("offsets", json!({ "orders": 7 }), "offsets: expected a topic and a partition"),
            ("offsets", json!({ "orders/0": -7 }), "offsets: \"orders/0\": expected an offset from 0"),
            ("shared", json!(true), "shared: partitions are shared within a group"),
            ("group", json!(" "), "group: expected a name"),
            ("handover", json!("1h"), "handover: expected"),
            ("events_max", json!(0), "events_max"),
            ("memory", json!("1 KiB"), "memory: expected 1 MiB"),
            ("isolation", json!("dirty"), "expected `read_committed`"),
            ("client", json!({ "group.id": "x" }), "client: \"group.id\" may not be set"),
            ("client", json!({ "sasl.kerberos.kinit.cmd": "rm" }), "may not be set"),
            ("client", json!({ "enable.ssl.certificate.verification": "false" }), "may not be set"),
            ("client", json!({ "client.idd": "x" }), "client.id"),
        ] {
            let error = check(with(key, value.clone())).expect_err(wanted);
            assert!(error.contains(wanted), "{key} = {value}: {error}");
        }
    }

    #[test]
    fn tls_is_refused_with_its_feature_where_the_build_lacks_it() {
        let settings = json!({ "brokers": "b:9093", "topics": ["t"], "client": { "security.protocol": "sasl_ssl" } });
        let refused = check(settings).err();
        assert_eq!(refused.is_none(), cfg!(feature = "kafka-tls"), "{refused:?}");
        assert!(refused.is_none_or(|error| error.contains("--features kafka-tls")));
    }
}
