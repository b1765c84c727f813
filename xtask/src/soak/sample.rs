//! One look at the running process and its files, and what many of them say about memory.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{http, process::Process};

/// One look.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// Seconds since the start.
    pub(super) seconds: f64,
    /// Resident, pages of the program's file among them.
    pub(super) memory_bytes: u64,
    /// What of it is the process's own.
    pub(super) own_bytes: u64,
    pub(super) open_files: usize,
    pub(super) threads: usize,
    /// Files in the data directory, and their bytes.
    pub(super) files: u64,
    pub(super) data_bytes: u64,
    /// Events committed since the stream began, and those that retention has taken.
    pub(super) end: u64,
    pub(super) start: u64,
    /// Events that the slowest view has not counted yet.
    pub(super) behind: u64,
}

/// Looks now.
pub(super) fn take(process: &Process, data: &Path, stream: &str, since: Duration) -> Result<Sample> {
    let answer = http::get(&process.address, "/v1/status")?;
    let status: Value = serde_json::from_str(&answer.body).context("the status is not JSON")?;
    let number = |key: &str| status["streams"][stream][key].as_u64().unwrap_or(0);
    let views = status["views"].as_object().into_iter().flatten();
    let (files, data_bytes) = size(data);
    Ok(Sample {
        seconds: since.as_secs_f64(),
        memory_bytes: process.memory_now()?,
        own_bytes: process.own_memory_now()?,
        open_files: process.open_files()?,
        threads: process.threads()?,
        files,
        data_bytes,
        end: number("end"),
        start: number("start"),
        behind: views.filter_map(|(_, view)| view["behind"].as_u64()).max().unwrap_or(0),
    })
}

/// Files below a folder and their bytes. Files come and go while it looks; what is gone counts nothing.
fn size(folder: &Path) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder).into_iter().flatten().map_while(Result::ok) {
        let Ok(about) = entry.metadata() else { continue };
        let (more_files, more_bytes) = if about.is_dir() { size(&entry.path()) } else { (1, about.len()) };
        files += more_files;
        bytes += more_bytes;
    }
    (files, bytes)
}

/// How memory moves over the last three quarters of the samples: bytes an hour by least squares, and the mean.
pub(super) fn memory_trend(samples: &[Sample]) -> (f64, f64) {
    let late = samples.get(samples.len() / 4..).unwrap_or(&[]);
    let count = late.len() as f64;
    if late.len() < 2 {
        return (0.0, late.first().map_or(0.0, |sample| sample.memory_bytes as f64));
    }
    let mean = |of: &dyn Fn(&Sample) -> f64| late.iter().map(of).sum::<f64>() / count;
    let (time, memory) = (mean(&|s| s.seconds), mean(&|s| s.memory_bytes as f64));
    let both: f64 = late.iter().map(|s| (s.seconds - time) * (s.memory_bytes as f64 - memory)).sum();
    let square: f64 = late.iter().map(|s| (s.seconds - time).powi(2)).sum();
    (both / square * 3600.0, memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trend_is_that_of_the_last_three_quarters() {
        let sample = |n: u32, memory_bytes| Sample { seconds: f64::from(n) * 36.0, memory_bytes, ..Sample::default() };
        let flat: Vec<_> = (0..100).map(|n| sample(n, if n < 25 { n.into() } else { 1000 })).collect();
        assert_eq!(memory_trend(&flat), (0.0, 1000.0));
        let rising: Vec<_> = (0..100).map(|n| sample(n, u64::from(n) * 10)).collect();
        assert!((memory_trend(&rising).0 - 1000.0).abs() < 1e-6, "ten bytes in 36 s are 1000 an hour");
    }
}
