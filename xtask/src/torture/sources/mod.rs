//! `cargo xtask torture sources`: the light sources side by side under hostile upstreams, killed again and again, then held against
//! what these issued.
//!
//! ```text
//! feed ─SSE: cuts, silence, 429, 503, HTML, repeats──┐
//! API ─JSON: the same, cut bodies, a bomb────────────┤
//! folder ◀─files: slow, taken back, names again──────┼──▶ lakehead run ──▶ a stream of each    SIGKILL, SIGSTOP, SIGTERM
//! lines ◀─one great file─────────────────────────────┤
//! fake, of which a second process makes the same─────┘
//! ```
//! The eventstreams source and pushes have `cargo xtask torture` itself.

mod api;
mod events;
mod expected;
mod feed;
mod found;
mod hostility;
mod options;
mod plant;
mod report;
mod server;
mod spooling;

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::{
    events::{FAKES, LINES, PACE},
    expected::Expected,
    found::{Found, STREAMS},
    options::{Done, Options, options},
    server::Server,
    spooling::Spooling,
};
use super::{
    oracle::{Findings, What},
    random::Random,
};
use crate::{
    command::{self, target},
    full::cargo_full,
    http,
    process::Process,
    setup,
};

/// How long everything may take to come in once the upstreams behave.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);

/// Runs the campaign, prints the report, and fails when anything was found that should not be.
pub(super) fn run(words: &[String]) -> Result<()> {
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

/// The short run of the gate.
pub(crate) fn short() -> Result<()> {
    let options = Options { seed: 1, time: Duration::from_secs(20), binary: None, report: false };
    torture(&options, &target().join("release/lakehead"))
}

fn torture(options: &Options, binary: &Path) -> Result<()> {
    let scratch = target().join("torture-sources");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("clearing {}", scratch.display()))?;
    }
    let inbox = scratch.join("inbox");
    fs::create_dir_all(&inbox).with_context(|| format!("making {}", inbox.display()))?;
    fs::write(scratch.join("lines.jsonl"), events::lines())?;
    let server = Server::start(options.seed)?;
    let pipeline = scratch.join("torture.toml");
    fs::write(&pipeline, pipeline_text(&scratch, &server.address, "data", true))?;
    let reference = scratch.join("reference.toml");
    fs::write(&reference, pipeline_text(&scratch, &server.address, "reference", false))?;

    let begun = Instant::now();
    let whole = Process::start(binary, &["run", &reference.to_string_lossy()])?;
    let spooling = Spooling::start(&inbox, options.seed);
    let mut done = Done::default();
    let mut random = Random::new(options.seed ^ 0x5eed);
    let mut process = Process::start(binary, &["run", &pipeline.to_string_lossy()])?;
    while begun.elapsed() < options.time {
        sleep(Duration::from_millis(random.between(200, 3_000)));
        done.memory_peak = done.memory_peak.max(process.memory_peak()?);
        match random.between(0, 6) {
            0 => {
                process.signal("STOP")?;
                sleep(Duration::from_millis(random.between(100, 1_500)));
                process.signal("CONT")?;
                done.stops += 1;
                continue;
            }
            1 => {
                process.signal("TERM")?;
                if process.wait(Duration::from_secs(30))?.is_none() {
                    bail!("it did not stop within 30 s of SIGTERM; it said:\n{}", process.said());
                }
                done.ends += 1;
            }
            _ => {
                process.signal("KILL")?;
                process.wait(Duration::from_secs(30))?;
                done.kills += 1;
            }
        }
        process = Process::start(binary, &["run", &pipeline.to_string_lossy()])
            .with_context(|| format!("starting again; the files are in {}", scratch.display()))?;
    }
    let spooled = spooling.finish();
    let issued = server.calm();
    let expected = Expected { ticks: issued.ticks, cities: issued.cities, spooled };
    settle(&process, &whole, &server, &expected)?;
    done.memory_peak = done.memory_peak.max(process.memory_peak()?);
    end(process)?;
    end(whole)?;

    let found = Found::read(&scratch)?;
    let mut findings = Findings::default();
    found.check(&expected, &inbox, &mut findings)?;
    verify(binary, &scratch.join("data"), &mut findings)?;
    let planted = plant::all(&found, &expected, &inbox)?;
    let text = report::text(options, &done, &server.faults(), &found, &expected, &findings, &planted, begun.elapsed());
    println!("{text}");
    if options.report {
        let file = command::root().join("docs/evidence/torture-sources.md");
        fs::write(&file, &text).with_context(|| format!("writing {}", file.display()))?;
    }
    if !findings.is_empty() {
        bail!("something was lost, doubled or changed; the files are in {}:\n{findings}", scratch.display());
    }
    if let Some(missed) = planted.iter().find(|planted| !planted.is_found) {
        bail!("the oracle did not find what was planted: {}", missed.name);
    }
    fs::remove_dir_all(&scratch).with_context(|| format!("clearing {}", scratch.display()))
}

/// Waits until everything has come in.
fn settle(process: &Process, whole: &Process, server: &Server, expected: &Expected) -> Result<()> {
    let begun = Instant::now();
    loop {
        let status = status(process)?;
        let stored = |stream: &str| status["streams"][stream]["events"].as_u64().unwrap_or(0);
        let fakes = status_of(whole, "fakes")?;
        let is_there = stored("ticks") >= expected.ticks
            && stored("lines") >= LINES
            && stored("spooled") >= expected.spooled.events()
            && stored("fakes") >= FAKES
            && fakes >= FAKES
            && expected.spooled.is_put_away()
            && server.is_all_answered();
        if is_there {
            // What was answered last is handed over, and what would come too often comes.
            sleep(Duration::from_secs(5));
            return Ok(());
        }
        if begun.elapsed() > SETTLED_WITHIN {
            bail!(
                "not all came in within {SETTLED_WITHIN:?}: the API's last states asked for: {}, ticks {} of {}, lines {} of {LINES}, spooled {} of {}, fakes {} and {fakes} of \
                 {FAKES}; sources: {}",
                server.is_all_answered(),
                stored("ticks"),
                expected.ticks,
                stored("lines"),
                stored("spooled"),
                expected.spooled.events(),
                stored("fakes"),
                status["sources"]
            );
        }
        sleep(Duration::from_millis(200));
    }
}

fn status(process: &Process) -> Result<Value> {
    let answer = http::get(&process.address, "/v1/status")?;
    serde_json::from_str(&answer.body).context("the status is not JSON")
}

fn status_of(process: &Process, stream: &str) -> Result<u64> {
    Ok(status(process)?["streams"][stream]["events"].as_u64().unwrap_or(0))
}

fn end(mut process: Process) -> Result<()> {
    process.signal("INT")?;
    match process.wait(Duration::from_secs(30))? {
        Some(status) if status.success() => Ok(()),
        ended => bail!("it did not end well when it was told to ({ended:?}); it said:\n{}", process.said()),
    }
}

/// `lakehead verify` has nothing to say.
fn verify(binary: &Path, data: &Path, findings: &mut Findings) -> Result<()> {
    let said = std::process::Command::new(binary).args(["verify", "--data"]).arg(data).output()?;
    if !said.status.success() {
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        findings.add(What::Broken, 1, || format!("lakehead verify: {text}"));
    }
    Ok(())
}

/// The pipeline; the one beside it has only the source that makes its events up.
fn pipeline_text(scratch: &Path, address: &str, data: &str, is_tortured: bool) -> String {
    let folder = scratch.display();
    let mut text = format!(
        "data = \"{folder}/{data}\"\nlisten = \"127.0.0.1:0\"\n\n\
         [stream.fakes]\nevent_time = \"dt\"\n\n\
         [source.fakes]\nkind = \"fake\"\nstream = \"fakes\"\nseed = 5\nrate = {PACE}\ncount = {FAKES}\n\
         start = \"2026-11-01T00:00:00Z\"\nfields = {{ face = {{ int = [1, 6] }}, throw = {{ sequence = 1 }} }}\n"
    );
    if !is_tortured {
        return text;
    }
    for stream in &STREAMS[..4] {
        text.push_str(&format!(
            "\n[stream.{stream}]\nevent_time = \"dt\"\ncolumns = {{ n = {{ path = \"n\", type = \"int64\" }} }}\n"
        ));
    }
    text.push_str(&format!(
        "\n[source.ticks]\nkind = \"sse\"\nstream = \"ticks\"\nurl = \"http://{address}/feed\"\nstart_after = \"begin\"\n\
         identity = \"n\"\nsilence_max = \"1s\"\n\
         \n[source.answers]\nkind = \"poll\"\nstream = \"answers\"\nurl = \"http://{address}/weather?q={{city}}\"\nevery = \"1s\"\n\
         each = {{ city = {:?} }}\nchanged = true\nrequests_per_minute = 60000\ntimeout = \"2s\"\nbody_bytes_max = \"64 KiB\"\n\
         \n[source.spooled]\nkind = \"spool\"\nstream = \"spooled\"\npath = \"{folder}/inbox\"\nrest = \"300ms\"\npoll = \"100ms\"\n\
         \n[source.lines]\nkind = \"file\"\nstream = \"lines\"\npaths = [\"{folder}/lines.jsonl\"]\n\
         \n[view.faces]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS n FROM ticks GROUP BY 1\"\n",
        events::CITIES
    ));
    text
}
