//! The oracle: what has to be in each log, by what the upstreams issued.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    events::{CITIES, answer, spooled as spooled_event},
    spooling::Spooled,
};
use crate::torture::oracle::{Findings, What};

/// What the upstreams issued.
pub(super) struct Expected {
    pub(super) ticks: u64,
    /// The last state of each city.
    pub(super) cities: Vec<u64>,
    pub(super) spooled: Spooled,
}

/// Events 0 to `count` in this order, each once, byte for byte.
pub(super) fn in_order(stream: &str, log: &[Vec<u8>], count: u64, event: fn(u64) -> Vec<u8>, findings: &mut Findings) {
    let mut next = 0;
    for found in log {
        if *found == event(next) {
            next += 1;
            continue;
        }
        match number(found).filter(|n| event(*n) == *found) {
            None => findings.add(What::Strange, 1, || format!("{stream}: {}", lossy(found))),
            Some(n) if n < next => findings.add(What::Doubled, 1, || format!("{stream}: event {n} after event {next}")),
            Some(n) => {
                findings.add(What::Lost, n - next, || format!("{stream}: events {next} to {}", n - 1));
                next = n + 1;
            }
        }
    }
    if next < count {
        findings.add(What::Lost, count - next, || format!("{stream}: events {next} to {} at the end", count - 1));
    }
}

/// Of each city states that go up, none twice in a row, and the last one.
pub(super) fn answers(log: &[Vec<u8>], last: &[u64], findings: &mut Findings) {
    let mut reached: BTreeMap<usize, u64> = BTreeMap::new();
    for found in log {
        let city = CITIES.iter().position(|city| lossy(found).contains(*city));
        let state = number(found).zip(city).filter(|(n, city)| answer(*city, *n) == *found);
        let Some((state, city)) = state else {
            findings.add(What::Strange, 1, || format!("answers: {}", lossy(found)));
            continue;
        };
        match reached.insert(city, state) {
            Some(before) if before >= state => {
                findings.add(What::Doubled, 1, || format!("answers: {} in state {state} after {before}", CITIES[city]));
            }
            _ => {}
        }
    }
    for (city, last) in last.iter().enumerate() {
        if reached.get(&city) != Some(last) {
            findings.add(What::Lost, 1, || {
                format!("answers: the last state {last} of {}; it ends with {:?}", CITIES[city], reached.get(&city))
            });
        }
    }
}

/// Every event of a file that was to be taken, once; none of one that was to be refused; and each of these was refused.
pub(super) fn spooled(log: &[Vec<u8>], expected: &Spooled, inbox: &Path, findings: &mut Findings) -> Result<()> {
    let refused: BTreeSet<u64> = expected.refused.iter().copied().collect();
    let mut found: BTreeSet<u64> = BTreeSet::new();
    for event in log {
        match number(event).filter(|n| *n < expected.next && spooled_event(*n) == *event) {
            None => findings.add(What::Strange, 1, || format!("spooled: {}", lossy(event))),
            Some(n) if refused.contains(&n) => {
                findings.add(What::Strange, 1, || format!("spooled: event {n}, whose file had the name of another"));
            }
            Some(n) if !found.insert(n) => findings.add(What::Doubled, 1, || format!("spooled: event {n}")),
            Some(_) => {}
        }
    }
    for n in (0..expected.next).filter(|n| !refused.contains(n) && !found.contains(n)) {
        findings.add(What::Lost, 1, || format!("spooled: event {n}"));
    }
    let names = std::fs::read_dir(inbox).with_context(|| format!("listing {}", inbox.display()))?;
    let set_aside = names.flatten().filter(|entry| entry.file_name().to_string_lossy().contains(".REFUSED")).count();
    if set_aside != refused.len() {
        findings.add(What::Broken, 1, || format!("spooled: {set_aside} files set aside, {} were to be", refused.len()));
    }
    Ok(())
}

/// The same events as in `whole`, `count` of them.
pub(super) fn same(stream: &str, log: &[Vec<u8>], whole: &[Vec<u8>], count: u64, findings: &mut Findings) {
    if whole.len() as u64 != count {
        findings
            .add(What::Broken, 1, || format!("{stream}: {} events where nothing was killed, not {count}", whole.len()));
    }
    let differs = log.iter().zip(whole).position(|(found, wanted)| found != wanted);
    if let Some(at) = differs {
        let what = if at > 0 && log[at] == log[at - 1] { What::Doubled } else { What::Strange };
        findings.add(what, 1, || format!("{stream}: event {at} is {}, not {}", lossy(&log[at]), lossy(&whole[at])));
    }
    if log.len() < whole.len() {
        findings.add(What::Lost, (whole.len() - log.len()) as u64, || format!("{stream} has {} events", log.len()));
    }
    if log.len() > whole.len() {
        findings.add(What::Doubled, (log.len() - whole.len()) as u64, || format!("{stream} has {} events", log.len()));
    }
}

/// The `n` of an event.
fn number(event: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(event).ok()?["n"].as_u64()
}

fn lossy(event: &[u8]) -> String {
    String::from_utf8_lossy(event).chars().take(200).collect()
}
