//! `cargo xtask torture`: the real binary under a simulated upstream, killed again and again, then held against an oracle.
//!
//! ```text
//! lakehead simulate ──SSE with cuts──▶ lakehead run ──▶ segments, views        (one data directory a round)
//! pusher ──POST, with and without keys──▶    ▲  SIGKILL at random moments and at named points, SIGSTOP, SIGHUP
//!                                            └─ started again on what is left, now and then with other views
//! ```
//! What counts as right is in `oracle.rs`; at the end bugs are planted into copies, and the oracle must find each. It
//! knows Lakehead's command line, its HTTP answers and its files, and no line of its code.

mod changed;
pub(crate) mod files;
mod options;
mod oracle;
mod pipeline;
mod plant;
mod points;
mod pushes;
pub(crate) mod random;
mod recount;
pub(crate) mod reference;
mod report;
mod round;
pub(crate) mod sources;
pub(crate) mod upstream;

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use self::{
    options::{Options, options},
    points::Points,
    random::Random,
    round::{Round, Tally},
};
use crate::{
    command::{self, on_path, target},
    full::cargo_full,
    setup,
};

/// Kills in one round: enough that a data directory grows old, few enough that checking it stays a matter of seconds.
const ROUND_KILLS: u64 = 25;

/// Kills as often as asked, prints the report, and fails when anything was found that should not be.
pub(crate) fn run(words: &[String]) -> Result<()> {
    if let Some((first, rest)) = words.split_first()
        && first == "sources"
    {
        return sources::run(rest).context("torture sources");
    }
    let options = options(words)?;
    setup::all();
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            command::run(&mut cargo_full(&["build", "--release"])?)?;
            target().join("release/lakehead")
        }
    };
    torture(&options, &binary)
}

/// The short run of the gate: about every point that can be met, in well under a minute.
pub(crate) fn short() -> Result<()> {
    let options = Options { kills: 36, seed: 1, minutes: None, points: None, binary: None, report: false };
    torture(&options, &target().join("release/lakehead"))
}

fn torture(options: &Options, binary: &std::path::Path) -> Result<()> {
    if let Some(missing) = ["zstd", "zstdcat"].into_iter().find(|program| !on_path(program)) {
        bail!("{missing} is missing, without which nothing can be checked (Debian: apt-get install zstd)");
    }
    if !files::duckdb_is_here() {
        println!("SKIPPED torture: the views' Parquet files are not recounted, since DuckDB is missing");
    }
    let begun = Instant::now();
    let over = |begun: Instant| options.minutes.is_some_and(|m| begun.elapsed() >= Duration::from_secs(60 * m));
    let scratch = target().join("torture");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("clearing {}", scratch.display()))?;
    }
    // A young store has nothing to seal or to remove yet.
    let attempts_max = 4 + options.kills / 100;
    let mut points = Points::new(binary, options.points.as_deref(), attempts_max, &mut Random::new(options.seed))?;
    let mut tally = Tally::default();
    let mut last = None;
    while tally.kills() < options.kills && tally.findings.is_empty() && !over(begun) {
        let seed = options.seed + tally.rounds;
        let folder = scratch.join(format!("seed-{seed}"));
        let kills = ROUND_KILLS.min(options.kills - tally.kills());
        let finished = Round::new(binary, folder, seed)?.run(kills, &mut points, &mut tally);
        let finished =
            finished.with_context(|| format!("in the round of seed {seed}; its files are in {}", scratch.display()))?;
        println!(
            "seed {seed}: {} of {} kills, {} events, {:.0} s",
            tally.kills(),
            options.kills,
            tally.events,
            begun.elapsed().as_secs_f64()
        );
        if let Some((folder, _)) = last.replace((scratch.join(format!("seed-{seed}")), finished)) {
            fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        }
    }
    let planted = match &last {
        Some((_, finished)) if tally.findings.is_empty() => plant::all(binary, finished, &scratch)?,
        _ => Vec::new(),
    };
    let version = Command::new(binary).arg("--version").output().context("asking for the version")?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let text = report::text(options, &version, &points, &tally, &planted, begun.elapsed());
    println!("\n{text}");
    if options.report {
        let file = command::root().join("docs/evidence/torture.md");
        fs::create_dir_all(file.parent().context("a folder")?)?;
        fs::write(&file, &text).with_context(|| format!("writing {}", file.display()))?;
    }
    judge(&points, &tally, &planted, &scratch)
}

fn judge(points: &Points, tally: &Tally, planted: &[plant::Planted], scratch: &std::path::Path) -> Result<()> {
    if !tally.findings.is_empty() {
        bail!("torture found something; the files of the last round are in {}\n{}", scratch.display(), tally.findings);
    }
    if let Some(planted) = planted.iter().find(|planted| planted.outcome.is_err()) {
        bail!("the oracle cannot be trusted: it did not find this planted bug: {}", planted.name);
    }
    let never = points.never_met();
    if !never.is_empty() {
        println!("NEVER MET: {}", never.join(", "));
    }
    if let Some(point) = never.iter().find(|point| points.demanded.iter().any(|demanded| demanded == *point)) {
        bail!("the point {point} was asked for and never met");
    }
    fs::remove_dir_all(scratch).with_context(|| format!("clearing {}", scratch.display()))
}
