//! `lakehead streams`: what is kept; with a name, its columns.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use lakehead_engine::{
    catalog::Catalog,
    offline::{Looked, look_back},
    schemas,
};
use lakehead_model::{ColumnType, EventTimeRule, Name, StreamSchema, TimeFormat};
use lakehead_store::Store;
use serde_json::Value;

use super::table::Table;
use crate::{
    ask::{Source, directory},
    outcome::Outcome,
    output::say,
    service::grouped,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A stream whose columns are shown.
    stream: Option<String>,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let data = directory(arguments.data)?;
    let table = match (arguments.stream, Source::find(&data)?) {
        (Some(stream), _) => columns(&data, &stream)?,
        (None, Source::Process(process)) => running(&process.status().await?),
        (None, Source::Files(data)) => lying(&data)?,
    };
    Ok(say(table)?)
}

/// How many of the last events are looked at for those that do not fit the columns.
pub(crate) const LOOK_BACK_EVENTS: u64 = 10_000;

const HEADS: [&str; 6] = ["stream", "events", "raw bytes", "on disk", "last received", "no event time"];

fn running(status: &Value) -> Table {
    let mut table = Table::new(HEADS);
    for (name, stream) in status["streams"].as_object().into_iter().flatten() {
        let number = |key: &str| grouped(stream[key].as_u64().unwrap_or(0));
        let received = stream["last_received"].as_str().unwrap_or("-").to_owned();
        let times = &stream["event_times"];
        let count = |key: &str| grouped(times[key].as_u64().unwrap_or(0));
        let untimed = match times["without"].as_u64().unwrap_or(0) {
            0 => "-".to_owned(),
            _ => format!("{} of {} since the start", count("without"), count("events")),
        };
        table.row([name.clone(), number("events"), number("raw_bytes"), number("stored_bytes"), received, untimed]);
    }
    table
}

fn lying(data: &Path) -> anyhow::Result<Table> {
    let store = Store::open_read_only(data)?;
    let mut table = Table::new(HEADS);
    for name in store.names()? {
        let stream = store.stream(&name)?;
        let (head, stats) = (stream.head(), stream.stats());
        let received = head.received_time.map_or("-".to_owned(), |time| time.to_string());
        let events = grouped(head.end.since(head.start));
        let (raw, stored) = (grouped(stats.raw_bytes), grouped(stats.stored_bytes));
        table.row([name.to_string(), events, raw, stored, received, "-".to_owned()]);
    }
    Ok(table)
}

fn columns(data: &Path, stream: &str) -> anyhow::Result<Table> {
    let schemas = schemas(&Catalog::load(data)?.stream_configs());
    let schema = schemas.get(stream).ok_or_else(|| {
        let known: Vec<_> = schemas.keys().map(ToString::to_string).collect();
        anyhow!("there is no stream {stream:?}; there are: {}", known.join(", "))
    })?;
    let looked = look_at(data, stream, schema)?;
    let mut table = Table::new(["column", "type", "from", "do not fit"]);
    let misfits = |count: u64| match count {
        0 => "-".to_owned(),
        count => format!("{} of the last {}", grouped(count), grouped(looked.events)),
    };
    let mut row = |name: &str, kind: &str, from: String| {
        let count = match name {
            "event_time" => looked.without_event_time,
            name => looked.mistyped.get(name).copied().unwrap_or(0),
        };
        table.row([name.to_owned(), kind.to_owned(), from, misfits(count)]);
    };
    row("event_offset", "int64", "its position in the stream".into());
    let rules: Vec<_> = schema.event_time.iter().map(rule).collect();
    row("event_time", "timestamp", if rules.is_empty() { "-".into() } else { rules.join(", else ") });
    row("received_time", "timestamp", "when Lakehead first saw it".into());
    for column in &schema.columns {
        let path = column.path.join(".");
        let from = column.equals.as_ref().map_or(path.clone(), |text| format!("{path} is {text:?}"));
        row(&column.name, type_name(column.column_type), from);
    }
    row("data", "text", "the event itself".into());
    if let Some(why) = &looked.why {
        eprintln!("{} have no event time: {why}", misfits(looked.without_event_time));
    }
    Ok(table)
}

/// How the last events fit the columns; nothing where there are none yet.
fn look_at(data: &Path, stream: &str, schema: &StreamSchema) -> anyhow::Result<Looked> {
    let store = Store::open_read_only(data)?;
    if !store.names()?.iter().any(|name| name.as_str() == stream) {
        return Ok(Looked::default());
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
