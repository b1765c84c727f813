//! `lakehead streams`: what is kept; with a name, its columns.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use lakehead_engine::{catalog::Catalog, schemas};
use lakehead_model::ColumnType;
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

const HEADS: [&str; 5] = ["stream", "events", "raw bytes", "on disk", "last received"];

fn running(status: &Value) -> Table {
    let mut table = Table::new(HEADS);
    for (name, stream) in status["streams"].as_object().into_iter().flatten() {
        let number = |key: &str| grouped(stream[key].as_u64().unwrap_or(0));
        let received = stream["last_received"].as_str().unwrap_or("-").to_owned();
        table.row([name.clone(), number("events"), number("raw_bytes"), number("stored_bytes"), received]);
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
        table.row([name.to_string(), events, grouped(stats.raw_bytes), grouped(stats.stored_bytes), received]);
    }
    Ok(table)
}

fn columns(data: &Path, stream: &str) -> anyhow::Result<Table> {
    let schemas = schemas(&Catalog::load(data)?.stream_configs());
    let schema = schemas.get(stream).ok_or_else(|| {
        let known: Vec<_> = schemas.keys().map(ToString::to_string).collect();
        anyhow!("there is no stream {stream:?}; there are: {}", known.join(", "))
    })?;
    let mut table = Table::new(["column", "type", "from"]);
    let mut row = |name: &str, kind: &str, from: String| table.row([name.to_owned(), kind.to_owned(), from]);
    row("event_offset", "int64", "its position in the stream".into());
    let rules: Vec<_> = schema.event_time.iter().map(|rule| rule.path.join(".")).collect();
    row("event_time", "timestamp", if rules.is_empty() { "-".into() } else { rules.join(", else ") });
    row("received_time", "timestamp", "when Lakehead first saw it".into());
    for column in &schema.columns {
        let path = column.path.join(".");
        let from = column.equals.as_ref().map_or(path.clone(), |text| format!("{path} is {text:?}"));
        row(&column.name, type_name(column.column_type), from);
    }
    row("data", "text", "the event itself".into());
    Ok(table)
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
