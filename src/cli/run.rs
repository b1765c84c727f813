//! `lakehead run`: a pipeline, until Ctrl-C.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use lakehead_engine::Pipeline;

use crate::{
    VERSION, config,
    outcome::{Failure, Outcome},
    output::say,
    reload::{Origin, environment, text},
    service::{Service, Signals, bind},
};

/// The source of the default pipeline.
const DEFAULT_SOURCE: &str = "wikimedia";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The pipeline file; without one, Wikimedia's recentchange with the default views.
    pipeline: Option<PathBuf>,
    /// Where everything is kept, in place of the pipeline's `data`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen, in place of the pipeline's `listen`.
    #[arg(long, value_name = "ADDRESS", value_parser = super::address)]
    listen: Option<SocketAddr>,
    /// Allows an address that other machines can reach without a token: everyone who reaches it may read and push.
    #[arg(long)]
    listen_anyone: bool,
    /// An EventStreams address to read in place of Wikimedia's; for the default pipeline only.
    #[arg(long, value_name = "URL", conflicts_with = "pipeline")]
    upstream: Option<String>,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let overrides =
        config::Overrides { data: arguments.data, listen: arguments.listen, listen_anyone: arguments.listen_anyone };
    let origin = match &arguments.pipeline {
        Some(file) => Origin::File(file.clone(), overrides.clone()),
        None => Origin::BuiltIn(config::DEFAULT_NAME),
    };
    let pipeline = load(arguments.pipeline, arguments.upstream, overrides).await?;
    let listener = bind(pipeline.listen)?;
    let signals = Signals::listen()?;
    let data = pipeline.data.display().to_string();
    let service = Service::start(pipeline, origin, listener).await?;
    // That nobody reads it is no reason not to run.
    let _ = say(format_args!("Lakehead {VERSION} keeps everything in {data}; open {}\n", service.url()));
    Ok(service.until(signals).await?)
}

/// Reads the pipeline file, or the default pipeline, with what the command line says over it.
pub(crate) async fn load(
    file: Option<PathBuf>,
    upstream: Option<String>,
    overrides: config::Overrides,
) -> Result<Pipeline, Failure> {
    let (name, text) = match file {
        None => (config::DEFAULT_NAME.to_owned(), config::DEFAULT.to_owned()),
        Some(file) => (file.display().to_string(), text(&file).map_err(|error| Failure::Usage(format!("{error:#}")))?),
    };
    let sources = lakehead_connectors::SOURCES;
    let mut pipeline = config::read(&name, &text, sources, &environment, overrides).await?;
    if let Some(url) = upstream
        && let Some(source) = pipeline.sources.get_mut(DEFAULT_SOURCE)
    {
        source.settings["url"] = url.into();
        let spec = sources.iter().find(|spec| spec.name == source.kind);
        if let Some(Err(what)) = spec.map(|spec| (spec.check)(&source.settings)) {
            return Err(Failure::Usage(format!("--upstream: {what}")));
        }
    }
    Ok(pipeline)
}
