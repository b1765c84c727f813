//! The live path: events come in over SSE, are stored and synced, parsed, and counted by every default view.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result};

use super::{options::Options, status};
use crate::process::{Cpu, Process};

/// What was measured.
pub(super) struct Live {
    pub(super) wall_seconds: f64,
    /// CPU time of Lakehead alone.
    pub(super) cpu: Cpu,
    /// CPU time of the process that made the events.
    pub(super) generator: Cpu,
    pub(super) memory_peak: u64,
    pub(super) raw_bytes: u64,
    pub(super) stored_bytes: u64,
}

/// Runs the default pipeline on a simulated upstream until everything is stored and counted.
pub(super) fn measure(binary: &Path, data: &Path, options: &Options) -> Result<Live> {
    let (events, seed) = (options.events.to_string(), options.seed.to_string());
    let upstream = ["simulate", "--rate", "0", "--events", &events, "--seed", &seed, "--listen", "127.0.0.1:0"];
    let upstream = Process::start(binary, &upstream)?;
    let url = format!("http://{}/v2/stream/{}", upstream.address, status::STREAM);
    let data = data.to_str().context("the path of the checkout is not UTF-8")?;
    let mut lakehead = Process::start(binary, &["run", "--upstream", &url, "--data", data, "--listen", "127.0.0.1:0"])?;
    let begun = Instant::now();
    let progress = status::wait(&mut lakehead, options.events)?;
    let live = Live {
        wall_seconds: begun.elapsed().as_secs_f64(),
        cpu: lakehead.cpu()?,
        generator: upstream.cpu()?,
        memory_peak: lakehead.memory_peak()?,
        raw_bytes: progress.raw_bytes,
        stored_bytes: progress.stored_bytes,
    };
    lakehead.finish()?;
    Ok(live)
}
