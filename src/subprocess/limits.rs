//! Limits that a process sets on itself.

use std::io;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};

/// Steps back by `niceness` behind what keeps the stream, and lowers each limit.
///
/// # Errors
/// When the system refuses a limit.
pub(super) fn limit(niceness: i32, limits: &[(Resource, u64)]) -> anyhow::Result<()> {
    // A higher place in the queue is no reason to refuse the work.
    let _ = nice(niceness);
    for (resource, most) in limits {
        lower(*resource, *most).with_context(|| format!("limiting {resource:?}"))?;
    }
    Ok(())
}

/// Lowers a limit to `most`; one that is lower already stays.
fn lower(resource: Resource, most: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let most = now.maximum.map_or(most, |maximum| maximum.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}
