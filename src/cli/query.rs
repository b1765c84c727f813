//! `lakehead query`: SQL in, rows out.

use std::{io::Write, path::PathBuf};

use clap::Args;
use lakehead_query::format::{self, Format};

use crate::{
    ask::{Source, directory},
    outcome::Outcome,
    output::output,
    patience::with_progress,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The query: one SELECT over streams and views.
    sql: String,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How the answer is written: table, csv, json, ndjson, parquet or arrow.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let source = Source::find(&directory(arguments.data)?)?;
    let answer = with_progress("counting", async |progress| source.query(&arguments.sql, &progress).await).await?;
    let mut out = output();
    format::write(&answer, arguments.format, &mut out)?;
    if arguments.format == Format::Json {
        writeln!(out)?;
    }
    if answer.truncated {
        eprintln!("there are more rows than the limit of {}; these are the first", answer.rows());
    }
    Ok(())
}
