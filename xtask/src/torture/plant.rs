//! Planted bugs: copies of a data directory that passed, each with one thing wrong, which the oracle must find.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{
    files,
    oracle::{Findings, What},
    pipeline::{CHANGES, PUSHED},
    round::Finished,
};

/// Events cut from the log's end: about a block.
const CUT_EVENTS: usize = 64;

/// One way to spoil a data directory, and what the oracle must say then.
struct Plant {
    name: &'static str,
    spoil: fn(&Path) -> Result<()>,
    finding: What,
}

const PLANTS: &[Plant] = &[
    Plant { name: "the log's last events cut off", spoil: cut, finding: What::Lost },
    Plant { name: "one byte of an event changed", spoil: change, finding: What::Strange },
    Plant { name: "one event doubled", spoil: double, finding: What::Doubled },
    Plant { name: "one pushed event taken out", spoil: take_out, finding: What::Lost },
    Plant { name: "one count of a view's Parquet file changed", spoil: spoil_view, finding: What::Row },
];

/// What became of one planted bug.
pub(crate) struct Planted {
    pub(crate) name: &'static str,
    /// `Ok` when the oracle found it; otherwise what it said instead.
    pub(crate) outcome: Result<()>,
}

/// Plants every bug into a copy of its own and asks the oracle.
pub(crate) fn all(binary: &Path, finished: &Finished, scratch: &Path) -> Result<Vec<Planted>> {
    let mut planted = Vec::new();
    for plant in PLANTS {
        let copy = scratch.join("planted");
        // As cp does it: hard links between the copied files stay.
        let copied = Command::new("cp").arg("-a").arg(&finished.data).arg(&copy).status().context("starting cp")?;
        if !copied.success() {
            bail!("cp -a {} {} failed", finished.data.display(), copy.display());
        }
        (plant.spoil)(&copy).with_context(|| format!("planting: {}", plant.name))?;
        let findings = finished.oracle(binary).look(&copy).findings;
        planted.push(Planted { name: plant.name, outcome: found(&findings, plant.finding) });
        fs::remove_dir_all(&copy).with_context(|| format!("removing {}", copy.display()))?;
    }
    Ok(planted)
}

fn found(findings: &Findings, what: What) -> Result<()> {
    if findings.count(what) == 0 {
        bail!("the oracle did not find it; it said:\n{findings}");
    }
    Ok(())
}

/// The last segment of a stream that holds at least `least` events, and its events.
fn last_with(data: &Path, stream: &str, least: usize) -> Result<(std::path::PathBuf, Vec<Vec<u8>>)> {
    for file in files::segments(data, stream)?.into_iter().rev() {
        let events = files::events(std::slice::from_ref(&file))?;
        if events.len() >= least {
            return Ok((file, events));
        }
    }
    bail!("no segment of {stream} holds {least} events")
}

fn cut(data: &Path) -> Result<()> {
    // What lies after it goes too, or the cut would be in the middle.
    let (file, mut events) = last_with(data, CHANGES, CUT_EVENTS)?;
    for later in files::segments(data, CHANGES)?.into_iter().filter(|later| *later > file) {
        fs::remove_file(&later).with_context(|| format!("removing {}", later.display()))?;
    }
    events.truncate(events.len() - CUT_EVENTS);
    files::rewrite(&file, &events)
}

fn change(data: &Path) -> Result<()> {
    let (file, mut events) = last_with(data, CHANGES, CUT_EVENTS)?;
    let event = events.get_mut(CUT_EVENTS / 2).context("an event in the middle")?;
    // A digit for another: it is JSON as before.
    let digit = event.iter_mut().rev().find(|byte| byte.is_ascii_digit()).context("an event without a digit")?;
    *digit = if *digit == b'7' { b'3' } else { b'7' };
    files::rewrite(&file, &events)
}

fn double(data: &Path) -> Result<()> {
    let (file, mut events) = last_with(data, CHANGES, CUT_EVENTS)?;
    let again = events.get(CUT_EVENTS / 2).context("an event in the middle")?.clone();
    events.push(again);
    files::rewrite(&file, &events)
}

fn take_out(data: &Path) -> Result<()> {
    let (file, mut events) = last_with(data, PUSHED, 1)?;
    events.pop();
    files::rewrite(&file, &events)
}

fn spoil_view(data: &Path) -> Result<()> {
    files::spoil_parquet(data, "edits")
}
