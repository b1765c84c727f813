//! Fills a log with the simulator's events as fast as they are taken, through a source, as a user's log is filled.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::pipelines::{self, NamedView};
use crate::{
    bench::{
        report::thousands,
        scratch::text,
        status::{self, Progress, STREAM},
    },
    process::Process,
};

/// What the events follow from.
const SEED: &str = "7";
/// Between two lines that say how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Keeps `events` events in `data` and counts them by `view`; the results are committed when it returns.
///
/// The events happen at Wikimedia's mean rate of 36.1 a second from 2026-09-01T00:00:00Z on, however fast they come.
pub(super) fn fill(binary: &Path, scratch: &Path, data: &Path, view: NamedView, events: u64) -> Result<Progress> {
    let count = events.to_string();
    let words = ["simulate", "--rate", "0", "--events", &count, "--seed", SEED, "--listen", "127.0.0.1:0"];
    let upstream = Process::start(binary, &words)?;
    let url = format!("http://{}/v2/stream/{STREAM}", upstream.address);
    let pipeline = pipelines::write(scratch, "fill", Some(&url), &[view])?;
    let words = ["run", &text(&pipeline)?, "--data", &text(data)?, "--listen", "127.0.0.1:0"];
    let mut lakehead = Process::start(binary, &words)?;
    let begun = Instant::now();
    let mut said = begun;
    let progress = status::follow(&mut lakehead, events, |progress| {
        if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            println!("  {} events, {:.0} s", thousands(progress.counted as f64), begun.elapsed().as_secs_f64());
        }
    })?;
    lakehead.finish()?;
    Ok(progress)
}
