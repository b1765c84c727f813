//! `lakehead check`: a pipeline file, read and judged; nothing is opened, nothing is connected to.

use std::path::PathBuf;

use clap::Args;

use super::run::load;
use crate::{config, outcome::Outcome, output::say};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The pipeline file; without one, the default pipeline.
    pipeline: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let name = arguments.pipeline.as_ref().map_or(config::DEFAULT_NAME.to_owned(), |file| file.display().to_string());
    let pipeline = load(arguments.pipeline, None, config::Overrides::default()).await?;
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    Ok(say(format_args!(
        "{name} is good: {}, {}, {}; data in {}, listening on {}\n",
        count(pipeline.streams.len(), "stream"),
        count(pipeline.sources.len(), "source"),
        count(pipeline.views.len(), "view"),
        pipeline.data.display(),
        pipeline.listen,
    ))?)
}
