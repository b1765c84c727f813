//! What must hold under siege, each bound with its reason.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    honest::Honest,
    pipeline::PUSHED,
    watch::{HEALTH_WITHIN, Watched},
};
use crate::http;

/// The part of the quiet rate of ingest that must be left.
const INGEST_LEFT: f64 = 0.8;

/// The memory of the process and its children, without the pages of the program's file, which all of them share. The workers
/// have 1 GiB together; the process has what it takes when it is quiet, 48 MiB of bodies and one more of the largest, each
/// three times while it is taken apart, and 64 MiB of answers.
const MEMORY_BYTES_MAX: u64 = (1_024 + 512) << 20;

/// An honest push, and a small question, are answered within five seconds, the times that they were told to come again
/// included; half of them within a second.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
const HALF_SERVED_WITHIN: Duration = Duration::from_secs(1);

/// One bound, and what was found.
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) bound: String,
    pub(crate) found: String,
    pub(crate) holds: bool,
    /// It is a time or a rate, which a busy machine changes: the gate tells it and does not judge by it.
    pub(crate) is_measured: bool,
}

/// What is judged.
pub(crate) struct Facts<'a> {
    pub(crate) same_process: bool,
    pub(crate) quiet_rate: f64,
    pub(crate) besieged_rate: f64,
    pub(crate) watched: &'a Watched,
    pub(crate) honest: &'a Honest,
    pub(crate) kept: Result<String>,
    pub(crate) recovered: Result<Duration>,
    pub(crate) verified: Result<String>,
}

/// Judges everything.
pub(crate) fn all(facts: &Facts<'_>) -> Vec<Check> {
    let Facts { watched, honest, .. } = facts;
    let mut checks = vec![Check {
        what: "the process is the same, and ends in order",
        bound: "yes".to_owned(),
        found: if facts.same_process { "yes" } else { "no" }.to_owned(),
        holds: facts.same_process,
        is_measured: false,
    }];
    let slowest = watched.health.iter().max().copied().unwrap_or_default();
    checks.push(Check {
        what: "health is answered",
        bound: format!("{} ms, always 200", HEALTH_WITHIN.as_millis()),
        found: match watched.unwell.first() {
            None => format!("{} ms at most in {} times", slowest.as_millis(), watched.health.len()),
            Some(first) => format!("{} times not; {first}", watched.unwell.len()),
        },
        holds: watched.unwell.is_empty() && !watched.health.is_empty(),
        is_measured: true,
    });
    checks.push(Check {
        what: "ingest goes on",
        bound: format!("{:.0} % of {:.0} events a second", INGEST_LEFT * 100.0, facts.quiet_rate),
        found: format!("{:.0} events a second", facts.besieged_rate),
        holds: facts.besieged_rate >= INGEST_LEFT * facts.quiet_rate && facts.quiet_rate > 0.0,
        is_measured: true,
    });
    checks.push(Check {
        what: "memory is bounded",
        bound: mebibytes(MEMORY_BYTES_MAX),
        found: mebibytes(watched.memory_peak),
        holds: watched.memory_peak <= MEMORY_BYTES_MAX,
        is_measured: false,
    });
    checks.push(served("honest pushes are served", &honest.pushes, &honest.wrong));
    checks.push(served("small questions are served", &honest.questions, &honest.wrong));
    checks.push(said("nothing that was acknowledged is lost or doubled", &facts.kept));
    checks.push(match &facts.recovered {
        Ok(took) => Check {
            what: "it recovers",
            bound: "60 s".to_owned(),
            found: format!("{} ms", took.as_millis()),
            holds: true,
            is_measured: false,
        },
        Err(error) => failed("it recovers", error),
    });
    checks.push(said("`verify` finds no difference", &facts.verified));
    checks
}

fn said(what: &'static str, outcome: &Result<String>) -> Check {
    match outcome {
        Ok(found) => Check { what, bound: "none".to_owned(), found: found.clone(), holds: true, is_measured: false },
        Err(error) => failed(what, error),
    }
}

fn failed(what: &'static str, error: &anyhow::Error) -> Check {
    Check {
        what,
        bound: String::new(),
        found: format!("{error:#}").replace('\n', " "),
        holds: false,
        is_measured: false,
    }
}

fn served(what: &'static str, times: &[Duration], wrong: &[String]) -> Check {
    let mut times = times.to_vec();
    times.sort();
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).or(times.last()).copied().unwrap_or_default();
    let (half, slowest) = (at(0.5), times.last().copied().unwrap_or_default());
    let found = format!(
        "{} times: half within {} ms, 99 % within {} ms, all within {} ms{}",
        times.len(),
        half.as_millis(),
        at(0.99).as_millis(),
        slowest.as_millis(),
        wrong.first().map_or(String::new(), |first| format!("; {} wrong, {first}", wrong.len()))
    );
    let holds = !times.is_empty() && half <= HALF_SERVED_WITHIN && slowest <= SERVED_WITHIN && wrong.is_empty();
    let bound = format!("half {} s, all {} s", HALF_SERVED_WITHIN.as_secs(), SERVED_WITHIN.as_secs());
    Check { what, bound, found, holds, is_measured: true }
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Whether the log has what was acknowledged to the honest, once.
pub(crate) fn kept(address: &str, honest: &Honest) -> Result<String> {
    let sql = format!("SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(id) AS sum FROM {PUSHED}");
    let answer = http::post(address, "/v1/sql", &[], sql.as_bytes())?;
    let rows: Value = serde_json::from_str(&answer.body).with_context(|| format!("reading {}", answer.body))?;
    let value = |name: &str| rows[0][name].as_u64().with_context(|| format!("no {name} in {rows}"));
    let (kept, distinct, sum) = (value("n")?, value("ids")?, value("sum")?);
    let acknowledged = honest.acknowledged.len() as u64;
    let most = acknowledged + honest.open.len() as u64;
    if kept != distinct {
        bail!("{} of {kept} pushed events are there twice", kept - distinct);
    }
    if kept < acknowledged || kept > most {
        bail!("{acknowledged} pushed events were acknowledged, and {kept} are there");
    }
    if honest.open.is_empty() && sum != honest.acknowledged.iter().sum::<u64>() {
        bail!("the pushed events that are there are others than those acknowledged");
    }
    Ok(format!("{acknowledged} acknowledged, {kept} there, {distinct} of them distinct"))
}

/// What `lakehead verify` says of the streams that were not rubbish.
pub(crate) fn verified(binary: &Path, data: &Path) -> Result<String> {
    for stream in ["recentchange", PUSHED] {
        let said = Command::new(binary).arg("verify").args(["--stream", stream]).arg("--data").arg(data).output()?;
        if !said.status.success() {
            bail!("{stream}: {}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        }
    }
    Ok("both streams add up".to_owned())
}
