//! `[stream.NAME]`: a built-in schema by name (`json` when none is named), columns and an event time of one's own.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use lakehead_engine::pipeline::StreamConfig;
use lakehead_json::TimeReader;
use lakehead_json_schema::{DOCUMENT_BYTES_MAX, JsonSchema as EventSchema};
use lakehead_model::{
    ByteSize, Column, ColumnType, EventTimeRule, Name, Span, StreamSchema, TimeFormat, hint::instead,
};
use lakehead_store::Retention;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{document::Document, problem::Problem};
use crate::regular_file;

/// Names of streams that are always there.
pub(crate) const BUILT_IN_STREAMS: [&str; 2] = ["rejects", "gaps"];

/// Columns that every stream has, so that no schema may declare them.
const EVERY_STREAM_HAS: [&str; 4] = ["event_offset", "event_time", "received_time", "data"];

/// A stream's keys.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamKeys {
    /// A built-in schema: "json", "mediawiki/history" or "mediawiki/recentchange". Default: "json", which has no columns of its own.
    #[serde(rename = "schema")]
    _schema: Option<String>,
    /// Columns of the stream's own: name = path, or name = { path, type, equals }, in this order.
    #[serde(default, rename = "columns")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    _columns: serde_json::Map<String, Value>,
    /// Where the event time stands: a path as in "meta.dt", { path, format }, or an array of these, of which the first that
    /// is there wins. Default: as the schema says.
    #[serde(default, rename = "event_time")]
    #[schemars(with = "Option<String>")]
    _event_time: Value,
    /// How long events are kept, by received time. Default: for ever.
    retention: Option<Span>,
    /// How much of the disk the stream may take before its oldest segments go. Default: any amount.
    retention_bytes: Option<ByteSize>,
    /// A file with a JSON Schema to which events have to conform, whatever brings them; an event that does not is refused, with the
    /// place and the reason. JSON, of at most 1 MiB, read at the start and at each reload; `$ref` leads to a place in the same
    /// file. A relative path begins in the folder in which Lakehead is started. Default: any JSON is an event.
    json_schema: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnKeys {
    /// Where the value stands: keys with dots between them, as in "length.new", or an array of keys.
    path: Keyed,
    /// Its type; what is no such value is NULL. Default: "text".
    #[serde(rename = "type")]
    column_type: Option<ColumnType>,
    /// Makes the column true or false: whether the text there is this one.
    equals: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeKeys {
    /// Where the time stands: keys with dots between them, as in "meta.dt", or an array of keys.
    path: Keyed,
    /// How it is written there. Default: RFC 3339; with a zone ISO 8601.
    format: Option<TimeFormat>,
    /// Several of them: the first that reads it goes.
    formats: Option<Vec<TimeFormat>>,
    /// The zone of text that names none. Default: such text is no time.
    zone: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a path is text as in \"length.new\", or its keys as in [\"length\", \"new\"]")]
enum Keyed {
    Dotted(String),
    Keys(Vec<String>),
}

impl Keyed {
    fn keys(self) -> Result<Vec<String>, String> {
        let keys = match self {
            Self::Dotted(text) => text.split('.').map(str::to_owned).collect(),
            Self::Keys(keys) => keys,
        };
        if keys.is_empty() || keys.iter().any(String::is_empty) {
            return Err("a path names at least one key, and none of its keys is empty".to_owned());
        }
        Ok(keys)
    }
}

/// The streams by name; one whose table is wrong is there without its columns, so that what names it is not wrong too.
pub(super) fn read(document: &Document, problems: &mut Vec<Problem>) -> BTreeMap<Name, Option<StreamConfig>> {
    let mut streams = BTreeMap::new();
    for (name, key) in document.tables("stream", problems) {
        if BUILT_IN_STREAMS.contains(&key) {
            let what = "this stream is built in: Lakehead fills it itself; choose another name";
            problems.push(document.problem(&["stream", key], what));
        }
        let stream = read_one(document, key, problems);
        streams.insert(name, stream);
    }
    if streams.is_empty() && document.get(&["stream"]).is_none() {
        let what = "there is no stream; add one, as in [stream.events]";
        problems.push(document.problem(&[], what));
    }
    streams
}

/// The streams whose tables are good.
pub(super) fn whole(streams: &BTreeMap<Name, Option<StreamConfig>>) -> BTreeMap<Name, StreamConfig> {
    streams.iter().filter_map(|(name, stream)| Some((name.clone(), stream.clone()?))).collect()
}

/// Reads the stream `name`.
fn read_one(document: &Document, name: &str, problems: &mut Vec<Problem>) -> Option<StreamConfig> {
    let path = ["stream", name];
    let before = problems.len();
    let keys: StreamKeys = document.read_all(&path, problems).unwrap_or_default();
    let columns_path = ["stream", name, "columns"];
    // Also where another key is wrong.
    let asked = document.get(&["stream", name, "schema"]).and_then(Value::as_str);
    let mut schema = match asked {
        Some(schema) if StreamSchema::BUILTIN.contains(&schema) => StreamSchema::builtin(schema).unwrap_or_default(),
        Some(schema) => {
            let what =
                format!("no built-in schema {schema:?}; {}", instead(schema, StreamSchema::BUILTIN.iter().copied()));
            problems.push(document.problem(&["stream", name, "schema"], what));
            StreamSchema::default()
        }
        None => StreamSchema::builtin("json").unwrap_or_default(),
    };
    for key in document.keys(&columns_path) {
        match column(document, name, key) {
            Ok(column) if schema.column(key).is_some() => {
                let what = "the schema has a column of this name already; choose another";
                problems.push(document.problem(&["stream", name, "columns", &column.name], what));
            }
            Ok(column) => schema.columns.push(column),
            Err(problem) => problems.push(problem),
        }
    }
    if let Some(rules) = event_time(document, name, problems) {
        schema.event_time = rules;
    }
    let retention = Retention { age: keys.retention.map(|span| span.0), size: keys.retention_bytes };
    let json_schema = keys.json_schema.as_deref().and_then(|file| match event_schema(Path::new(file)) {
        Ok(schema) => Some(Arc::new(schema)),
        Err(what) => {
            problems.push(document.problem(&["stream", name, "json_schema"], what));
            None
        }
    });
    (problems.len() == before).then_some(StreamConfig { schema, retention, json_schema })
}

/// The JSON Schema in `file`.
fn event_schema(file: &Path) -> Result<EventSchema, String> {
    let text =
        regular_file::bytes(file, "a JSON Schema", DOCUMENT_BYTES_MAX as u64).map_err(|error| format!("{error:#}"))?;
    EventSchema::new(&text).map_err(|what| format!("{}: {what}", file.display()))
}

fn column(document: &Document, stream: &str, name: &str) -> Result<Column, Problem> {
    let at = ["stream", stream, "columns", name];
    Name::new(name).map_err(|error| document.problem(&at, error.to_string()))?;
    if EVERY_STREAM_HAS.contains(&name) {
        return Err(document.problem(&at, "every stream has a column of this name already; choose another"));
    }
    let keys = match document.get(&at) {
        Some(Value::Object(_)) => document.read::<ColumnKeys>(&at)?,
        _ => ColumnKeys { path: document.read(&at)?, column_type: None, equals: None },
    };
    let column_type = match (keys.column_type, &keys.equals) {
        (Some(ColumnType::Bool) | None, Some(_)) => ColumnType::Bool,
        (Some(_), Some(_)) => {
            let [a, b, c, d] = at;
            return Err(document.problem(&[a, b, c, d, "type"], "with `equals` the column is true or false: bool"));
        }
        (column_type, None) => column_type.unwrap_or(ColumnType::Text),
    };
    let path = keys.path.keys().map_err(|what| document.problem(&at, what))?;
    Ok(Column { name: name.to_owned(), path, column_type, equals: keys.equals })
}

fn event_time(document: &Document, stream: &str, problems: &mut Vec<Problem>) -> Option<Vec<EventTimeRule>> {
    let at = ["stream", stream, "event_time"];
    let places: Vec<Vec<String>> = match document.get(&at) {
        None => return None,
        Some(Value::Array(rules)) => (0..rules.len())
            .map(|index| at.map(str::to_owned).into_iter().chain([index.to_string()]).collect())
            .collect(),
        Some(_) => vec![at.map(str::to_owned).to_vec()],
    };
    let mut rules = Vec::new();
    for place in places {
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        match rules_at(document, &place) {
            Ok(found) => rules.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    Some(rules)
}

/// The rules that one entry stands for: one for each format that it names.
fn rules_at(document: &Document, at: &[&str]) -> Result<Vec<EventTimeRule>, Problem> {
    let keys = match document.get(at) {
        Some(Value::Object(_)) => document.read::<TimeKeys>(at)?,
        Some(Value::String(_)) => TimeKeys { path: document.read(at)?, format: None, formats: None, zone: None },
        _ => {
            let what = "write a path as in \"meta.dt\", or { path = \"ts\", format = \"unix_ms\" }, or an array of these, of \
                        which the first that is there wins";
            return Err(document.problem(at, what));
        }
    };
    let below = |key: &'static str| [at, &[key]].concat();
    let path = keys.path.keys().map_err(|what| document.problem(at, what))?;
    let formats = match (keys.format, keys.formats) {
        (Some(_), Some(_)) => {
            return Err(
                document.problem(&below("formats"), "say either `format` or `formats`, which is a list of them")
            );
        }
        (Some(format), None) => vec![format],
        (None, Some(formats)) if formats.is_empty() => {
            return Err(document.problem(&below("formats"), "name at least one format, or leave this out"));
        }
        (None, Some(formats)) => formats,
        // Who says in which zone text is says that it names none.
        (None, None) if keys.zone.is_some() => vec![TimeFormat::Iso],
        (None, None) => vec![TimeFormat::Rfc3339],
    };
    let takes_zone = |format: &TimeFormat| matches!(format, TimeFormat::Iso | TimeFormat::Auto);
    if keys.zone.is_some() && !formats.iter().any(takes_zone) {
        let what = "a zone is for text that names none: with format = \"iso\" or \"auto\"";
        return Err(document.problem(&below("zone"), what));
    }
    let rule = |format: TimeFormat| {
        let zone = keys.zone.clone().filter(|_| takes_zone(&format));
        let rule = EventTimeRule { path: path.clone(), format, zone };
        TimeReader::new(&rule).map(|_| rule).map_err(|what| document.problem(&below("zone"), what))
    };
    formats.into_iter().map(rule).collect()
}
