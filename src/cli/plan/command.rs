//! What is looked at, and how the report is written.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::anyhow;
use clap::Args;
use lakehead_engine::{
    Parts,
    preview::{PreviewLimits, preview},
};
use lakehead_model::Span;
use serde_json::json;

use super::{
    report::{sentence, told},
    secrets::Secrets,
};
use crate::{
    cli::values::address,
    clock::SystemClock,
    config,
    kinds::Kinds,
    outcome::{Failure, Outcome},
    output::say,
    pipeline_file::{load, text},
    progress::with_progress,
    socket::bind,
    version::VERSION,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The pipeline file; without one, the default pipeline.
    pipeline: Option<PathBuf>,
    /// The data directory, in place of the pipeline's `data`: sources go on from their cursors in it, which are only read.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where it would listen, in place of the pipeline's `listen`.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
    /// An EventStreams address to read in place of Wikimedia's; for the default pipeline only.
    #[arg(long, value_name = "URL", conflicts_with = "pipeline")]
    upstream: Option<String>,
    /// The longest wait for each source and each sink, all at the same time: from 100ms to 10m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = wait)]
    wait: Span,
    /// The most events of a source that are looked at, from 1 to 10,000.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    events: u32,
    /// Everything, as JSON.
    #[arg(long)]
    json: bool,
}

fn wait(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    match span {
        Span(time) if time > PreviewLimits::WAIT_MAX || span < Span::millis(100) => {
            Err(format!("expected from 100ms to 10m, found {span}"))
        }
        span => Ok(span),
    }
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let Arguments { pipeline: file, data, listen, upstream, wait, events, json } = arguments;
    let name = file.as_ref().map_or(config::DEFAULT_NAME.to_owned(), |file| file.display().to_string());
    let secrets = match &file {
        Some(file) => Secrets::named_in(&text(file).unwrap_or_default(), &config::environment),
        None => Secrets::default(),
    };
    let overrides = config::Overrides { data, listen, ..config::Overrides::default() };
    let pipeline = load(file, upstream, overrides).await?;
    let kinds = Kinds::BUILT;
    let parts = Parts { clock: Arc::new(SystemClock), sources: kinds.sources, sinks: kinds.sinks, version: VERSION };
    let limits = PreviewLimits { wait: wait.0, events: events as usize };
    let address = pipeline.listen;
    // Taken and given back at once, so that a port in use is found.
    let free = bind(address).map(drop);
    let found = with_progress("looking", async |_| preview(pipeline, &parts, limits).await).await?;
    let taken = match (free, found.data.held_by) {
        (Err(error), None) => Some(format!("{error:#}")),
        // It is most likely that process itself.
        _ => None,
    };
    let failures: Vec<String> =
        found.failures().into_iter().chain(taken.iter().map(|why| format!("listen: {why}"))).collect();
    let text = if json {
        let mut whole = serde_json::to_value(&found)?;
        whole["pipeline"] = name.into();
        whole["listen"] = json!({ "address": address.to_string(), "fails": taken });
        whole["failures"] = json!(failures);
        format!("{whole:#}\n")
    } else {
        told(&name, &found, address, &failures)
    };
    say(secrets.hidden(text))?;
    match failures.len() {
        0 => Ok(()),
        count => Err(Failure::Failed(anyhow!(sentence(count)))),
    }
}
