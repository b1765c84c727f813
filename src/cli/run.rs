//! `lakehead run`: a pipeline, until Ctrl-C.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::values::address;
use crate::{
    config, outcome::Outcome, output::note, pipeline_file::load, reload::Origin, service::Service, signals::Signals,
    socket::bind, version::VERSION,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The pipeline file; without one, Wikimedia's recentchange with the default views.
    pipeline: Option<PathBuf>,
    /// Where everything is kept, in place of the pipeline's `data`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen, in place of the pipeline's `listen`.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
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
    // Standard output may be a sink's.
    note(format_args!("Lakehead {VERSION} keeps everything in {data}; open {}", service.url()));
    Ok(service.until(signals).await?)
}
