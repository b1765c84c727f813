//! The words of `lakehead export`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::compressed::Compress;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["stream", "sql"])))]
pub(crate) struct Arguments {
    /// The stream.
    #[arg(long, value_name = "NAME")]
    pub(super) stream: Option<String>,
    /// One SELECT over streams and views, in place of a stream; its rows come in no certain order without ORDER BY.
    #[arg(long, value_name = "SELECT", conflicts_with_all = ["from", "to", "filter"])]
    pub(super) sql: Option<String>,
    /// The first offset, or the first moment (RFC 3339), that is in.
    #[arg(long, value_name = "TIME|OFFSET")]
    pub(super) from: Option<String>,
    /// The first offset, or the first moment, that is not.
    #[arg(long, value_name = "TIME|OFFSET")]
    pub(super) to: Option<String>,
    /// Which time `--from` and `--to` mean.
    #[arg(long, value_enum, default_value = "event")]
    pub(super) time: Time,
    /// A condition in SQL over the stream's columns, as in "wiki = 'enwiki' AND NOT bot".
    #[arg(long = "where", value_name = "SQL")]
    pub(super) filter: Option<String>,
    /// JSON lines (of a stream, every byte as received), or Parquet with the typed columns.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub(super) format: FileFormat,
    /// How JSON lines are compressed; Parquet is compressed in itself.
    #[arg(long, value_enum, default_value = "none")]
    pub(super) compress: Compress,
    /// The file; `-` is standard output.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(super) output: PathBuf,
    /// The data directory; without it ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
}

/// Which time a moment is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Time {
    Event,
    Received,
}

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FileFormat {
    #[value(alias = "ndjson")]
    Jsonl,
    Parquet,
}
