//! What is watched all the time: how fast health is answered, and how much memory the process and its children have.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{JoinHandle, sleep, spawn},
    time::{Duration, Instant},
};

use super::client;

/// Health is answered within a second at all times: supervisors ask with limits of a few.
pub(crate) const HEALTH_WITHIN: Duration = Duration::from_secs(1);

/// Between two looks.
const EVERY: Duration = Duration::from_millis(100);

/// A health that takes longer is given up and counted as such.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) health: Vec<Duration>,
    /// Healths that were not answered, or too late: when, and how.
    pub(crate) unwell: Vec<String>,
    pub(crate) memory_before: u64,
    pub(crate) memory_peak: u64,
    pub(crate) memory_after: u64,
    pub(crate) children_max: usize,
}

/// Watches the process `pid` until `stop`.
pub(crate) fn begin(address: String, pid: u32, stop: Arc<AtomicBool>) -> JoinHandle<Watched> {
    spawn(move || {
        let (begun, mut watched) = (Instant::now(), Watched::default());
        while !stop.load(Relaxed) {
            let at = begun.elapsed().as_secs_f64();
            match client::ask(&address, "GET", "/healthz", "", b"", GIVEN_UP_AFTER) {
                Ok(answer) => {
                    watched.health.push(answer.took);
                    if answer.took > HEALTH_WITHIN {
                        watched.unwell.push(format!("at {at:.1} s it took {} ms", answer.took.as_millis()));
                    }
                    if answer.status != 200 {
                        watched.unwell.push(format!("at {at:.1} s it was {}: {:.200}", answer.status, answer.body));
                    }
                }
                Err(error) => watched.unwell.push(format!("at {at:.1} s there was none: {error:#}")),
            }
            let (memory, children) = memory(pid);
            watched.memory_before = if watched.memory_before == 0 { memory } else { watched.memory_before };
            watched.memory_peak = watched.memory_peak.max(memory);
            watched.memory_after = memory;
            watched.children_max = watched.children_max.max(children);
            sleep(EVERY);
        }
        watched
    })
}

/// The memory of a process and of its children, without the pages of files, and how many children these are.
fn memory(pid: u32) -> (u64, usize) {
    let children = children(pid);
    let all = std::iter::once(pid).chain(children.iter().copied());
    (all.filter_map(anonymous).sum(), children.len())
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().map_while(Result::ok);
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

fn anonymous(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        let held = vec![1_u8; 8 << 20];
        assert!(memory(std::process::id()).0 > 4 << 20);
        drop(std::hint::black_box(held));
    }
}
