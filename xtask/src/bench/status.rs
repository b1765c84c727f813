//! `/v1/status` over a plain socket, and waiting for it to say something.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{http, process::Process};

/// How often the status is asked for: often enough for the figures, seldom enough not to be one of them.
const POLL: Duration = Duration::from_millis(50);
/// Longest wait without any progress before a measurement is given up.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// The stream that is measured.
pub(super) const STREAM: &str = "recentchange";

/// How far a process is.
pub(super) struct Progress {
    /// Events committed.
    pub(super) stored: u64,
    /// The least offset over its views: every view counts at least so many.
    pub(super) counted: u64,
    /// The events' own size.
    pub(super) raw_bytes: u64,
    /// Their size on disk.
    pub(super) stored_bytes: u64,
}

/// Asks once.
pub(super) fn ask(address: &str) -> Result<Progress> {
    let answer = http::get(address, "/v1/status")?;
    if answer.status != 200 {
        bail!("the status was answered with {}: {}", answer.status, answer.body);
    }
    let status: Value = serde_json::from_str(&answer.body).context("the status is not JSON")?;
    let stream = &status["streams"][STREAM];
    let views = status["views"].as_object().context("the status names no views")?;
    Ok(Progress {
        stored: stream["events"].as_u64().unwrap_or(0),
        counted: views.values().filter_map(|view| view["offset"].as_u64()).min().unwrap_or(0),
        raw_bytes: stream["raw_bytes"].as_u64().unwrap_or(0),
        stored_bytes: stream["stored_bytes"].as_u64().unwrap_or(0),
    })
}

/// Waits until `events` are stored and every view counts them.
pub(super) fn wait(process: &mut Process, events: u64) -> Result<Progress> {
    follow(process, events, |_| ())
}

/// As [`wait`], and hands on what it sees meanwhile.
pub(super) fn follow(process: &mut Process, events: u64, mut seen: impl FnMut(&Progress)) -> Result<Progress> {
    let mut last = (0, 0);
    let mut moved = Instant::now();
    loop {
        let progress = ask(&process.address)?;
        if progress.stored >= events && progress.counted >= events {
            return Ok(progress);
        }
        seen(&progress);
        if (progress.stored, progress.counted) != last {
            last = (progress.stored, progress.counted);
            moved = Instant::now();
        }
        if moved.elapsed() > STUCK_AFTER || !process.is_running() {
            bail!("stuck at {} stored, {} counted of {events}", progress.stored, progress.counted);
        }
        sleep(POLL);
    }
}
