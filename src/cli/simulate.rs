//! `lakehead simulate`: an EventStreams upstream, well-behaved or with faults, for tests and demos.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use clap::Args;
use lakehead_model::{Span, Timestamp};
use lakehead_simulator::{Faults, Options, Simulator};

use super::values::{address, moment};
use crate::{
    clock::SystemClock,
    numbers::counted,
    outcome::{Failure, Outcome},
    output::{note, say},
    signals::Signals,
    socket::bind,
};

#[derive(Debug, Args)]
#[command(after_help = Faults::help())]
pub(crate) struct Arguments {
    /// Events a second; 0 is as fast as they are read. Default: 36.1, Wikimedia's mean of August and September 2026.
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// How many events there are; after them the stream stays open and silent. Default: no end.
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// What the events follow from: event N is a function of the seed, the start, the rate and N. Default: 7.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// When event 0 happens, RFC 3339. Default: now; at rate 0, 2026-09-01T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    start: Option<Timestamp>,
    /// Recordings to serve in place of generated events: JSON lines or SSE, plain or gzip.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    from: Vec<PathBuf>,
    /// Serves a second stream beside recentchange: one event in sixteen is of page-create.
    #[arg(long)]
    page_creates: bool,
    /// After how long a connection is cut. Default: 15m, as Wikimedia does.
    #[arg(long, value_name = "SPAN")]
    cut_after: Option<Span>,
    /// How many streams a client may have open, by its X-Client-IP. Default: no limit.
    #[arg(long, value_name = "N")]
    connections_per_client: Option<u32>,
    /// Something to do wrong, as in cut-inside-frame=every-1000; may be given several times.
    #[arg(long = "fault", value_name = "NAME=WHERE")]
    faults: Vec<String>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090", value_parser = address)]
    listen: SocketAddr,
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "write a number of events a second, as in 36.1; 0 is as fast as they are read".to_owned())
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let listen = arguments.listen;
    let simulator = Simulator::new(options(arguments)?, Arc::new(SystemClock))
        .map(Arc::new)
        .map_err(|error| Failure::Usage(format!("{:#}", anyhow::Error::from(error))))?;
    let listener = bind(listen)?;
    let address = listener.local_addr().context("asking for the address that was bound")?;
    let mut stop = Signals::listen()?;
    // That nobody reads it is no reason not to serve.
    let _ = say(format_args!(
        "listening on http://{address}\nfor example: curl -N http://{address}/v2/stream/recentchange\n"
    ));
    Arc::clone(&simulator).serve(listener, async move { stop.finish().await }).await?;
    note(format_args!("stopped: {} sent", counted(simulator.stats().events, "event")));
    Ok(())
}

fn options(arguments: Arguments) -> Result<Options, Failure> {
    let mut options = Options::default();
    for fault in &arguments.faults {
        options.faults.set(fault).map_err(|error| Failure::Usage(format!("--fault: {error}")))?;
    }
    Ok(Options {
        seed: arguments.seed.unwrap_or(options.seed),
        rate: arguments.rate.unwrap_or(options.rate),
        events: arguments.events,
        from: arguments.from,
        page_creates: arguments.page_creates,
        start: arguments.start,
        cut_after: arguments.cut_after.map_or(options.cut_after, |span| span.0),
        connections_per_client: arguments.connections_per_client,
        faults: options.faults,
    })
}
