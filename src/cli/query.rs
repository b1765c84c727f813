//! `lakehead query`: SQL in, rows out.

use std::{io::Write, path::PathBuf};

use clap::Args;
use lakehead_query::format::{self, Format};

use crate::{
    client::Target,
    outcome::Outcome,
    output::{note, output},
    progress::with_progress,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The query: one SELECT over streams and views.
    sql: String,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How the answer is written: table, csv, json, jsonl, parquet or arrow.
    #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with = "json")]
    format: Format,
    /// As --format json.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments, target: &Target) -> Outcome {
    let backend = target.backend(arguments.data)?;
    let answer = with_progress("counting", async |progress| backend.query(&arguments.sql, &progress).await).await?;
    let mut out = output();
    let format = if arguments.json { Format::Json } else { arguments.format };
    format::write(&answer, format, &mut out)?;
    if format == Format::Json {
        writeln!(out)?;
    }
    if answer.truncated {
        note(format_args!("there are more rows than the limit of {}; these are the first", answer.rows()));
    }
    Ok(())
}
