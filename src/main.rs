//! `lakehead`: where a stream becomes a lake.
//!
//! The binary joins what knows nothing of each other: the pipeline file, the kinds of source, the engine, the HTTP
//! server, the simulator. Each subcommand is one file or folder under `cli/`.

// Both panic where the channel is closed, and whoever closes it means no harm: `say` and `note` are for people.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

mod cli;
mod client;
mod clock;
mod config;
mod connector_pages;
mod file_set;
mod kinds;
mod numbers;
mod outcome;
mod output;
mod pipeline_file;
mod progress;
mod regular_file;
mod reload;
mod schema_words;
mod service;
mod settings_table;
mod signals;
mod socket;
mod subprocess;
mod table;
mod version;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use lakehead_query::STACK_BYTES;
use tracing_subscriber::EnvFilter;

use crate::{cli::Cli, clock::SystemClock, outcome::report};

/// Gives memory back after a peak; how soon stands in `.cargo/config.toml`, and why this one in decision 0019.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long threads that are still at work may take when all is done.
const END_WITHIN: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = Cli::parse();
    log();
    lakehead_query::write_unexpected_panics_only();
    if let Some(outcome) = cli.for_another() {
        return report(outcome);
    }
    if let Err(what) = crash_point() {
        return report(Err(outcome::Failure::Usage(what)));
    }
    // Only ring is compiled in; saying so here means that no client has to.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    // The first thread's stack is what the shell's limits say; SQL is compiled on this one.
    let working = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || work(cli));
    match working {
        Ok(working) => working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        Err(error) => report(Err(anyhow::Error::from(error).context("starting a thread").into())),
    }
}

fn work(cli: Cli) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build() {
        Ok(runtime) => {
            let code = report(runtime.block_on(cli.run()));
            // Whatever was to be finished is. A thread that still waits for a file must not hold up the end.
            runtime.shutdown_timeout(END_WITHIN);
            code
        }
        Err(error) => report(Err(anyhow::Error::from(error).context("starting the runtime").into())),
    }
}

/// For tests of what a crash leaves behind: `LAKEHEAD_CRASH_AT=POINT:NTH` ends the process at a named point.
fn crash_point() -> Result<(), String> {
    let Ok(text) = std::env::var("LAKEHEAD_CRASH_AT") else { return Ok(()) };
    let (point, nth) = text.split_once(':').unwrap_or((&text, "1"));
    let nth = nth.parse().map_err(|_| format!("LAKEHEAD_CRASH_AT is {text:?}: write POINT:NTH, as in write.torn:3"))?;
    lakehead_store::crash::arm(point, nth)
}

/// The log goes to standard error: ours from `info` on, others' from `warn` on. `LAKEHEAD_LOG` changes that, in the
/// words of tracing's `EnvFilter`.
fn log() {
    let filter = EnvFilter::try_from_env("LAKEHEAD_LOG").unwrap_or_else(|_| EnvFilter::new("warn,lakehead=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty()) && io::stderr().is_terminal())
        .with_timer(SystemClock)
        // It would say so on the very channel that failed, and end the thread that logs.
        .log_internal_errors(false)
        .with_target(false)
        .compact()
        .init();
}
