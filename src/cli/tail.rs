//! `lakehead tail`: a stream's last events, then those that come, one a line, each as it was received.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use lakehead_model::{Name, Offset};
use lakehead_query::format::{self, Format};
use lakehead_store::Store;
use serde::Deserialize;

use super::streams::names;
use crate::{
    client::{Backend, Process, Target},
    outcome::{Failure, Outcome},
    output::note,
};

/// How often a running process is asked for more: four times a second is live to a person.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Events asked for at once, so that an answer stays small.
const EVENTS_AT_ONCE: u64 = 1_000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The stream.
    stream: String,
    /// How many of the events that are there already are printed first.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    last: u64,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Row {
    event_offset: u64,
    data: String,
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    let stream = Name::new(&arguments.stream).map_err(|error| Failure::Usage(error.to_string()))?;
    let outcome = match target.backend(arguments.data)? {
        Backend::Files(data) => {
            let outcome = from_files(&data, &stream, arguments.last);
            note(format_args!("no process runs on {}, so nothing more will come", data.display()));
            outcome
        }
        Backend::Process(process) => follow(process, &stream, arguments.last).await,
    };
    match outcome {
        Err(Failure::Failed(error)) if seen_enough(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Whether whoever reads our output has closed it.
fn seen_enough(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn follow(process: Process, stream: &Name, last: u64) -> Outcome {
    let status = process.status().await?;
    let streams = &status["streams"];
    let end = streams[stream.as_str()]["end"]
        .as_u64()
        .ok_or_else(|| Failure::unknown("stream", stream.as_str(), &names(streams)))?;
    let backend = Backend::Process(process);
    let mut next = end.saturating_sub(last);
    loop {
        let sql = format!(
            "SELECT event_offset, data FROM {stream} WHERE event_offset >= {next} AND event_offset < {} ORDER BY event_offset",
            next + EVENTS_AT_ONCE
        );
        let answer = backend.query(&sql, &ProgressBar::hidden()).await?;
        let mut lines = Vec::new();
        format::write(&answer, Format::Ndjson, &mut lines)?;
        let mut out = io::stdout().lock();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let row: Row = serde_json::from_slice(line).context("reading the answer")?;
            writeln!(out, "{}", row.data)?;
            next = row.event_offset + 1;
        }
        out.flush()?;
        drop(out);
        if answer.rows() == 0 {
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

fn from_files(data: &Path, name: &Name, last: u64) -> Outcome {
    let store = Store::open_read_only(data)?;
    let known = store.names()?;
    if !known.contains(name) {
        return Err(Failure::unknown("stream", name.as_str(), &known));
    }
    let stream = store.stream(name)?;
    let from = Offset(stream.head().end.0.saturating_sub(last));
    let mut reader = stream.reader(from);
    let mut out = io::stdout().lock();
    while let Some(block) = reader.next()? {
        for (index, event) in block.events().enumerate() {
            if block.first_offset.plus(index as u64) >= from {
                out.write_all(event)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(out.flush()?)
}
