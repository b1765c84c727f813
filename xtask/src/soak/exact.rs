//! Exactness after a soak: the log against the reference, both as streams, so that an hour of events fits any memory.
//!
//! The two topics of the upstream may come in another order than they were issued, but not far from it: what the log
//! passes over is remembered until it comes, and what never comes is lost.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::torture::reference::Reference;

/// How far the log may pass over an event and still bring it.
const PASSED_MAX: usize = 50_000;

/// How a generated event begins that is no canary.
const NO_CANARY: &[u8] = br#"{"$schema":"/mediawiki/recentchange/1.0.0","meta":{"uri":"#;

/// What was compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exact {
    /// Events in the log, all of them as they were issued.
    pub(super) events: u64,
    /// Events that were issued up to the last in the log, and were not canaries.
    pub(super) not_canaries: u64,
}

/// Compares the segments, the first event of which has offset `start`, with what was issued.
pub(super) fn compare(segments: &[PathBuf], start: u64, reference: &mut Reference) -> Result<Exact> {
    let mut child =
        Command::new("zstdcat").args(segments).stdout(Stdio::piped()).spawn().context("starting zstdcat")?;
    let output = child.stdout.take().context("its output was asked for")?;
    let mut log = BufReader::with_capacity(1 << 20, output);
    let next_line = move || {
        let mut line = Vec::new();
        log.read_until(b'\n', &mut line).context("reading what zstdcat prints")?;
        Ok(if line.pop().is_some() { Some(line) } else { None })
    };
    let exact = streams(next_line, start, || reference.next())?;
    if !child.wait().context("waiting for zstdcat")?.success() {
        bail!("zstdcat found something wrong with a segment");
    }
    Ok(exact)
}

fn streams(
    mut log: impl FnMut() -> Result<Option<Vec<u8>>>,
    start: u64,
    mut issued: impl FnMut() -> Result<Vec<u8>>,
) -> Result<Exact> {
    let mut exact = Exact::default();
    let mut passed: VecDeque<Vec<u8>> = VecDeque::new();
    let mut ahead = 0;
    let mut next_issued = |exact: &mut Exact| -> Result<Vec<u8>> {
        let event = issued()?;
        exact.not_canaries += u64::from(event.starts_with(NO_CANARY));
        Ok(event)
    };
    // What retention took, in the order of the log, which differs from that of the reference by little.
    for _ in 0..start.saturating_sub(PASSED_MAX as u64) {
        next_issued(&mut exact)?;
    }
    let removed_at_most = start.min(PASSED_MAX as u64);
    while let Some(event) = log()? {
        if let Some(place) = passed.iter().position(|passed| *passed == event) {
            passed.remove(place);
        } else {
            loop {
                let candidate = next_issued(&mut exact)?;
                if candidate == event {
                    break;
                }
                passed.push_back(candidate);
                if passed.len() > 2 * PASSED_MAX {
                    bail!(
                        "offset {}: this was never issued, is doubled, or much is missing before it: {}",
                        start + exact.events,
                        String::from_utf8_lossy(&event).chars().take(400).collect::<String>()
                    );
                }
            }
        }
        exact.events += 1;
        if exact.events == 1 {
            ahead = passed.len();
        }
    }
    // Of the events before the first that is left, exactly those that retention took are missing.
    if passed.len() as u64 != removed_at_most {
        bail!(
            "{} events up to the last are missing, {removed_at_most} of them by retention ({ahead} before the first)",
            passed.len()
        );
    }
    Ok(exact)
}

/// The sum of a view's counts, by `lakehead query`.
pub(super) fn counted(binary: &Path, data: &Path, view: &str) -> Result<u64> {
    let sql = format!("SELECT sum(events) AS events FROM {view}");
    let said = Command::new(binary).args(["query", &sql, "--format", "csv", "--data"]).arg(data).output()?;
    if !said.status.success() {
        bail!("{sql}: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    let text = String::from_utf8_lossy(&said.stdout);
    text.lines().last().and_then(|line| line.trim().parse().ok()).with_context(|| format!("not a number: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(log: &[u32], start: u64) -> Result<Exact> {
        let mut log = log.iter();
        let mut issued = 0..;
        streams(
            || Ok(log.next().map(|n| n.to_string().into_bytes())),
            start,
            || Ok(issued.next().map(|n: u32| n.to_string().into_bytes()).unwrap_or_default()),
        )
    }

    #[test]
    fn every_event_once_in_nearly_its_order_is_exact() {
        assert_eq!(look(&[0, 1, 2, 3], 0).expect("exact").events, 4);
        assert_eq!(look(&[0, 2, 1, 3], 0).expect("exact").events, 4);
        assert_eq!(look(&[2, 3, 4], 2).expect("exact").events, 3);
    }

    #[test]
    fn a_missing_a_doubled_and_a_strange_event_are_found() {
        assert!(look(&[0, 2, 3], 0).is_err());
        assert!(look(&[0, 1, 1], 0).is_err());
        assert!(look(&[0, 1, 4_000_000], 0).is_err());
        assert!(look(&[3, 4], 2).is_err());
        assert!(look(&[1, 2], 2).is_err());
    }
}
