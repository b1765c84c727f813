//! `lakehead streams`: what is kept; with a name, its columns.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use lakehead_engine::{
    catalog::Catalog,
    offline::{TailFit, look_back},
    schemas,
};
use lakehead_model::{ByteSize, ColumnType, EventTimeRule, Name, StreamSchema, TimeFormat};
use lakehead_store::Store;
use serde_json::{Value, json};

use crate::{
    client::{Backend, Process, Target},
    numbers::grouped,
    outcome::{Failure, Outcome},
    output::{note, say},
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A stream whose columns are shown.
    stream: Option<String>,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// As JSON: an array of objects, numbers as they are.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    let backend = target.backend(arguments.data)?;
    let rows = match (&arguments.stream, &backend) {
        (Some(stream), Backend::Process(process)) => match process.data() {
            Some(data) => columns(data, stream)?,
            None => columns_elsewhere(process, &backend, stream).await?,
        },
        (Some(stream), Backend::Files(data)) => columns(data, stream)?,
        (None, Backend::Process(process)) => running(&process.status().await?),
        (None, Backend::Files(data)) => lying(data)?,
    };
    if arguments.json {
        return Ok(say(format_args!("{:#}\n", Value::Array(rows)))?);
    }
    Ok(match arguments.stream {
        Some(_) => say(shown_columns(&rows)),
        None => say(shown_streams(&rows)),
    }?)
}

/// How many of the last events are looked at for those that do not fit the columns.
pub(crate) const LOOK_BACK_EVENTS: u64 = 10_000;

fn running(status: &Value) -> Vec<Value> {
    let streams = status["streams"].as_object().into_iter().flatten();
    let row = |(name, stream): (&String, &Value)| {
        json!({
            "stream": name,
            "events": stream["events"],
            "raw_bytes": stream["raw_bytes"],
            "stored_bytes": stream["stored_bytes"],
            "last_received": stream["last_received"],
            "event_times": stream["event_times"],
        })
    };
    streams.map(row).collect()
}

fn lying(data: &Path) -> anyhow::Result<Vec<Value>> {
    let store = Store::open_read_only(data)?;
    let row = |name: Name| {
        let stream = store.stream(&name)?;
        let (head, stats) = (stream.head(), stream.stats());
        Ok(json!({
            "stream": name,
            "events": head.end.since(head.start),
            "raw_bytes": stats.raw_bytes,
            "stored_bytes": stats.stored_bytes,
            "last_received": head.received_time.map(|time| time.to_string()),
        }))
    };
    store.names()?.into_iter().map(row).collect()
}

fn shown_streams(rows: &[Value]) -> Table {
    let mut table = Table::new(["stream", "events", "raw bytes", "on disk", "last received", "no event time"]);
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let bytes = |key: &str| ByteSize(row[key].as_u64().unwrap_or(0)).rounded();
        let events = grouped(row["events"].as_u64().unwrap_or(0));
        let times = &row["event_times"];
        let count = |key: &str| grouped(times[key].as_u64().unwrap_or(0));
        let untimed = match times["without"].as_u64().unwrap_or(0) {
            0 => "-".to_owned(),
            _ => format!("{} of {} since the start", count("without"), count("events")),
        };
        table.row([text("stream"), events, bytes("raw_bytes"), bytes("stored_bytes"), text("last_received"), untimed]);
    }
    table
}

/// A column: its name, its type, and where it comes from.
fn column(name: &str, column_type: &str, from: impl Into<String>) -> Value {
    json!({ "column": name, "type": column_type, "from": from.into() })
}

fn columns(data: &Path, stream: &str) -> Result<Vec<Value>, Failure> {
    let schemas = schemas(&Catalog::load(data)?.stream_configs());
    let schema = schemas.get(stream).ok_or_else(|| Failure::unknown("stream", stream, schemas.keys()))?;
    let looked = look_at(data, stream, schema)?;
    let rules: Vec<_> = schema.event_time.iter().map(rule).collect();
    let mut rows = vec![
        column("event_offset", "int64", "its position in the stream"),
        column("event_time", "timestamp", if rules.is_empty() { "-".into() } else { rules.join(", else ") }),
        column("received_time", "timestamp", "when Lakehead first saw it"),
    ];
    for one in &schema.columns {
        let path = one.path.join(".");
        let from = one.equals.as_ref().map_or(path.clone(), |text| format!("{path} is {text:?}"));
        rows.push(column(&one.name, type_name(one.column_type), from));
    }
    rows.push(column("data", "text", "the event itself"));
    for row in &mut rows {
        let count = match row["column"].as_str().unwrap_or_default() {
            "event_time" => looked.without_event_time,
            name => looked.mistyped.get(name).copied().unwrap_or(0),
        };
        row["do_not_fit"] = count.into();
        row["of_the_last"] = looked.events.into();
    }
    if let Some(why) = &looked.why {
        let (without, events) = (grouped(looked.without_event_time), grouped(looked.events));
        note(format_args!("no event time in {without} of the last {events}: {why}"));
    }
    Ok(rows)
}

/// The columns of a stream of a process elsewhere: what SQL sees of them.
async fn columns_elsewhere(process: &Process, backend: &Backend, stream: &str) -> Result<Vec<Value>, Failure> {
    let status = process.status().await?;
    let known = names(&status["streams"]);
    if !known.iter().any(|name| name.as_str() == stream) {
        return Err(Failure::unknown("stream", stream, &known));
    }
    let answer = backend.query(&format!("SELECT * FROM \"{stream}\" LIMIT 0"), &ProgressBar::hidden()).await?;
    let row =
        |field: &arrow::datatypes::FieldRef| column(field.name(), &lakehead_query::type_name(field.data_type()), "-");
    Ok(answer.schema.fields().iter().map(row).collect())
}

/// The names of what a status tells of.
pub(super) fn names(told: &Value) -> Vec<Name> {
    told.as_object().into_iter().flatten().filter_map(|(name, _)| Name::new(name).ok()).collect()
}

fn shown_columns(rows: &[Value]) -> Table {
    let mut table = Table::new(["column", "type", "from", "do not fit"]);
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let misfits = match row["do_not_fit"].as_u64() {
            None | Some(0) => "-".to_owned(),
            Some(count) => {
                format!("{} of the last {}", grouped(count), grouped(row["of_the_last"].as_u64().unwrap_or(0)))
            }
        };
        table.row([text("column"), text("type"), text("from"), misfits]);
    }
    table
}

/// How the last events fit the columns; nothing where there are none yet.
fn look_at(data: &Path, stream: &str, schema: &StreamSchema) -> anyhow::Result<TailFit> {
    let store = Store::open_read_only(data)?;
    if !store.names()?.iter().any(|name| name.as_str() == stream) {
        return Ok(TailFit::default());
    }
    Ok(look_back(&store.stream(&Name::new(stream)?)?, schema, LOOK_BACK_EVENTS)?)
}

/// Where an event time stands, and how it is written there.
fn rule(rule: &EventTimeRule) -> String {
    let path = rule.path.join(".");
    match (rule.format, &rule.zone) {
        (TimeFormat::Rfc3339, _) => path,
        (format, None) => format!("{path} ({})", format.name()),
        (format, Some(zone)) => format!("{path} ({}, {zone})", format.name()),
    }
}

fn type_name(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Text => "text",
        ColumnType::Int64 => "int64",
        ColumnType::Float64 => "float64",
        ColumnType::Bool => "bool",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Json => "json",
    }
}
