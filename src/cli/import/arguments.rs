//! The words of `lakehead import`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The stream.
    pub(super) stream: String,
    /// Files, and folders with files that end in .json, .jsonl or .ndjson, also with .gz, .zst or .bz2 behind it; `-` or
    /// none is standard input. What a file holds tells how it is compressed.
    pub(super) paths: Vec<PathBuf>,
    /// The data directory; without it the pipeline's, else ./data, or the demo's.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// A pipeline file that names the stream, for a data directory that does not know it yet.
    #[arg(long, value_name = "FILE")]
    pub(super) pipeline: Option<PathBuf>,
    /// Where the event time stands; refused unless it is where the stream's pipeline says, which goes for all that brings
    /// events. To change it, set event_time under [stream.NAME] in the pipeline.
    #[arg(long, value_name = "FIELD")]
    pub(super) event_time: Option<String>,
    /// The import's name, under which the stream remembers how far it has got. Default: made from the paths. With
    /// standard input it is what lets a broken import go on: pipe in the same lines again, and as many as were kept are
    /// passed over, after a look whether the last of them is still the same.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Imports once more what was imported already.
    #[arg(long)]
    pub(super) again: bool,
}
