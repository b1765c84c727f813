//! `/v1/status` over a plain socket, and waiting for it to say something.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::process::Process;

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

/// Asks once. HTTP/1.0, so that the answer ends where the connection does.
pub(super) fn ask(address: &str) -> Result<Progress> {
    let mut socket = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    socket.set_read_timeout(Some(STUCK_AFTER))?;
    write!(socket, "GET /v1/status HTTP/1.0\r\nHost: {address}\r\n\r\n").context("asking for the status")?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).context("reading the status")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no head in the answer")?;
    if !head.contains(" 200 ") {
        bail!("the status was answered with {}", head.lines().next().unwrap_or_default());
    }
    let status: Value = serde_json::from_str(body).context("the status is not JSON")?;
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
    let mut last = (0, 0);
    let mut moved = Instant::now();
    loop {
        let progress = ask(&process.address)?;
        if progress.stored >= events && progress.counted >= events {
            return Ok(progress);
        }
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
