//! `lakehead query`: SQL in, rows out.

use std::{io, path::PathBuf};

use clap::Args;
use lakehead_query::format::{self, Format};

use crate::{
    ask::{Source, directory},
    outcome::Outcome,
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
    format::write(&answer, arguments.format, &mut Quiet(io::stdout()))?;
    if answer.truncated {
        eprintln!("there are more rows than the limit of {}; these are the first", answer.rows());
    }
    Ok(())
}

/// Standard output, for whom a reader that has seen enough (`| head`) is no error.
struct Quiet(io::Stdout);

impl io::Write for Quiet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        quiet(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        quiet(self.0.flush(), ())
    }
}

fn quiet<T>(outcome: io::Result<T>, instead: T) -> io::Result<T> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(instead),
        outcome => outcome,
    }
}
