//! `cargo xtask siege`: hostile HTTP and SQL against the real binary while it ingests, and what it must hold meanwhile.
//!
//! ```text
//! lakehead simulate ──events at a steady rate──▶ lakehead run ◀── slow heads and bodies, idle connections, clients that
//! honest pushes, small SQL, health ───────────▶       ▲            never read, bad bodies, bombs; SQL that explodes
//!                                                     └─ watched: same process, health, ingest, memory, what is acknowledged
//! ```
//! First it is quiet, and the rate of ingest is measured; then the siege begins. All load is bounded in count and time, and
//! ends by itself. What must hold stands in `bounds.rs`; it knows Lakehead's command line, HTTP answers and files, and no
//! line of its code.

mod bounds;
mod client;
mod honest;
mod hostile;
mod options;
mod pipeline;
mod report;
mod sql;
mod threads;
mod watch;

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::{
    options::{Options, options},
    pipeline::{PIPELINE, RATE},
    report::Seen,
    threads::joined,
};
use crate::{
    command::{self, target},
    full::cargo_full,
    http,
    process::Process,
    torture::upstream::Upstream,
};

/// The part of the time in which nothing hostile happens, so that there is something to compare with.
const QUIET_PART: u32 = 4;

/// How long it may take after the siege until health is well and everything is counted.
const RECOVER_WITHIN: Duration = Duration::from_secs(60);

/// Besieges it, prints the report, and fails when something did not hold.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let options = options(words)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            command::run(&mut cargo_full(&["build", "--release"])?)?;
            target().join("release/lakehead")
        }
    };
    siege(&options, &binary)
}

/// The short run of the gate. It tells times and rates, and is judged by the others: another machine, or another process
/// beside it, changes those.
pub(crate) fn short() -> Result<()> {
    let time = Duration::from_secs(28);
    let options = Options { time, seed: 1, sql: true, binary: None, report: false, measures: false };
    siege(&options, &target().join("release/lakehead"))
}

fn siege(options: &Options, binary: &Path) -> Result<()> {
    let scratch = target().join("siege");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("clearing {}", scratch.display()))?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
    let seen = besiege(options, binary, &scratch)?;
    let version = Command::new(binary).arg("--version").output().context("asking for the version")?;
    let text = report::text(options, String::from_utf8_lossy(&version.stdout).trim(), &seen);
    println!("\n{text}");
    if options.report {
        let file = command::root().join("docs/evidence/siege.md");
        fs::create_dir_all(file.parent().context("a folder")?)?;
        fs::write(&file, &text).with_context(|| format!("writing {}", file.display()))?;
    }
    let judged = seen.checks.iter().filter(|check| options.measures || !check.is_measured);
    let broken: Vec<&str> = judged.filter(|check| !check.holds).map(|check| check.what).collect();
    if !broken.is_empty() {
        bail!("the siege broke: {}; its files are in {}", broken.join("; "), scratch.display());
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("clearing {}", scratch.display()))
}

fn besiege(options: &Options, binary: &Path, scratch: &Path) -> Result<Seen> {
    let now = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().context("asking for the time")?;
    let start = String::from_utf8_lossy(&now.stdout).trim().to_owned();
    let upstream = Upstream { seed: options.seed, rate: RATE, start: start.clone() }.without_faults(binary)?;
    let (pipeline, data) = (scratch.join("pipeline.toml"), scratch.join("data"));
    let url = format!("http://{}/v2/stream/recentchange", upstream.address);
    fs::write(&pipeline, PIPELINE.replace("{url}", &url).replace("{since}", &start)).context("writing the pipeline")?;
    let words = [
        "run",
        pipeline.to_str().context("the path is not UTF-8")?,
        "--data",
        data.to_str().context("the path is not UTF-8")?,
        "--listen",
        "127.0.0.1:0",
    ];
    let mut process = Process::start(binary, &words)?;
    let address = process.address.clone();

    let stop = Arc::new(AtomicBool::new(false));
    let watch = watch::begin(address.clone(), process.pid(), Arc::clone(&stop));
    let honest = honest::begin(&address, options.seed, &stop);
    let ended = AtomicBool::new(false);
    let mut live = |time: Duration| -> Result<f64> {
        let (begun, before) = (Instant::now(), events(&address)?);
        while begun.elapsed() < time {
            sleep(Duration::from_millis(100));
            if !process.is_running() {
                ended.store(true, Relaxed);
                bail!("the process ended; it said:\n{}", process.said());
            }
        }
        Ok((events(&address)? - before) as f64 / begun.elapsed().as_secs_f64())
    };
    // What the upstream had before is caught up with first.
    live(Duration::from_secs(2))?;
    let quiet = (options.time / QUIET_PART).max(Duration::from_secs(5));
    let quiet_rate = live(quiet)?;
    let besieged = options.time.saturating_sub(quiet).max(Duration::from_secs(10));
    println!("quiet: {quiet_rate:.0} events a second; the siege begins and lasts {} s", besieged.as_secs());
    let siege = hostile::begin(&address, options.seed, options.sql);
    let besieged_rate = live(besieged)?;
    let thrown = siege.end();
    let recovered = recovers(&address);
    stop.store(true, Relaxed);
    let (watched, honest) = (joined(watch)?, honest.end()?);
    let kept = bounds::kept(&address, &honest);
    let same = process.is_running();
    let finished = process.finish()?;
    drop(upstream);
    let checks = bounds::all(&bounds::Facts {
        same_process: same && finished.success(),
        quiet_rate,
        besieged_rate,
        watched: &watched,
        honest: &honest,
        kept,
        recovered,
        verified: bounds::verified(binary, &data),
    });
    Ok(Seen { quiet, besieged, quiet_rate, besieged_rate, watched, honest, thrown, checks })
}

/// The events that came from the upstream so far.
fn events(address: &str) -> Result<u64> {
    let status: Value = serde_json::from_str(&http::get(address, "/v1/status")?.body).context("reading the status")?;
    status["streams"]["recentchange"]["end"].as_u64().context("no end of the stream in the status")
}

/// How long it took until everything that is kept is counted; an error when it never was.
fn recovers(address: &str) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let status: Value =
            serde_json::from_str(&http::get(address, "/v1/status")?.body).context("reading the status")?;
        let views = status["views"].as_object().context("no views in the status")?;
        let behind: u64 = views.values().map(|view| view["behind"].as_u64().unwrap_or(u64::MAX)).max().unwrap_or(0);
        if behind < 2 * RATE && http::get(address, "/healthz")?.status == 200 {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > RECOVER_WITHIN {
            bail!("{behind} events were not counted after {} s", RECOVER_WITHIN.as_secs());
        }
        sleep(Duration::from_millis(100));
    }
}
