//! `cargo xtask bench store`: the store alone, from memory, by the driver `crates/store/examples/store_bench.rs`.
//!
//! What it measures stands in bench/README.md. The bars are those of the design; the figures are printed beside them and
//! fail nothing, since a machine may be busy.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    report::thousands,
    results,
    scratch::{self, clear, room_for, text},
};
use crate::{
    command::{self, cargo, target},
    machine::{self, Machine},
};

/// Appended events a second on two cores, at least.
const APPEND_BAR: f64 = 400_000.0;
/// Scanned events a second, at least (of sealed segments).
const SCAN_BAR: f64 = 2_000_000.0;
/// How far the CPU time of an event may rise from the first portion to any later one.
const FLAT_BAR: f64 = 0.05;
/// Opening takes less than this many seconds.
const OPEN_BAR: f64 = 1.0;
/// Events in a portion whose cost is told apart.
const PORTION: u64 = 5_000_000;
/// What an event may take on disk at most, in bytes, to know beforehand whether there is room.
const EVENT_BYTES_MAX: u64 = 220;

/// What is measured.
struct Options {
    events: u64,
    /// How many events the cost is followed over.
    flat: u64,
    /// How many segments are opened.
    segments: u64,
    sync: String,
}

/// Builds the driver, measures, prints, and appends to bench/RESULTS.md.
pub(super) fn run(words: &[String]) -> Result<()> {
    let options = options(words)?;
    command::run(&mut cargo(&["build", "--release", "-p", "lakehead-store", "--example", "store_bench"]))?;
    let driver = Driver(target().join("release/examples/store_bench"));
    let scratch = scratch::empty("bench-store")?;
    room_for(&scratch, options.events.max(options.flat) * EVENT_BYTES_MAX, "--flat or --events")?;

    let mut section = head(&options);
    let data = scratch.join("append");
    let events = options.events.to_string();
    println!("append: {events} events");
    let appended = driver.run(&["append", &text(&data)?, &events, &events, &options.sync])?;
    section.push_str(&append_rows(&appended)?);
    for sealed in [false, true] {
        if sealed {
            println!("sealing");
            section.push_str(&seal_rows(&driver.run(&["seal", &text(&data)?])?)?);
        }
        for readers in ["1", "2"] {
            let what = format!("{}sealed, by {readers}", if sealed { "" } else { "un" });
            println!("scan {what}");
            let bar = if sealed { thousands(SCAN_BAR) } else { String::new() };
            section.push_str(&scan_row(&what, &bar, &driver.run(&["scan", &text(&data)?, readers])?)?);
        }
    }
    clear(&data)?;
    if options.segments > 0 {
        let data = scratch.join("segments");
        println!("making {} segments", options.segments);
        driver.run(&["segments", &text(&data)?, &options.segments.to_string()])?;
        for how in ["after a kill, without an inventory", "after a clean stop"] {
            section.push_str(&open_row(how, &driver.run(&["open", &text(&data)?])?)?);
        }
        clear(&data)?;
    }
    if options.flat > 0 {
        let data = scratch.join("flat");
        let (events, every) = (options.flat.to_string(), PORTION.to_string());
        println!("cost per event over {events} events");
        let portions = driver.run(&["append", &text(&data)?, &events, &every, &options.sync])?;
        section.push_str(&flat_table(&portions)?);
    }
    println!("\n{section}");
    results::append(&section)?;
    clear(&scratch)
}

/// The driver's program.
struct Driver(PathBuf);

impl Driver {
    /// Runs it to its end; what it prints, line by line.
    fn run(&self, words: &[&str]) -> Result<Vec<Value>> {
        let said = Command::new(&self.0).args(words).output().with_context(|| format!("{}", self.0.display()))?;
        if !said.status.success() {
            bail!("store_bench {}: {}", words.join(" "), String::from_utf8_lossy(&said.stderr).trim());
        }
        let text = String::from_utf8_lossy(&said.stdout);
        text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))).collect()
    }
}

fn head(options: &Options) -> String {
    let Machine { date, commit, processor, cores, memory, kernel } = machine::describe();
    let load = machine::load();
    format!(
        "## The store, {date}, commit {commit}\n\n{processor}, {cores} cores, {memory}, {kernel}, load {load} before. Synthetic \
         events, sync = {:?}.\n\n| what | figure | bar |\n|---|---:|---:|\n",
        options.sync
    )
}

fn append_rows(lines: &[Value]) -> Result<String> {
    let line = lines.first().context("the driver printed nothing")?;
    let events = number(line, "events")?;
    let rate = events / number(line, "wall_seconds")?;
    Ok(format!(
        "| append, events/s | {} | {} |\n| append, events for each CPU second | {} | |\n\
         | bytes an event, raw and stored | {:.0}, {:.1} | |\n",
        thousands(rate),
        thousands(APPEND_BAR),
        thousands(events / number(line, "cpu_seconds")?),
        number(line, "raw_bytes")? / events,
        number(line, "stored_bytes")? / events,
    ))
}

fn seal_rows(lines: &[Value]) -> Result<String> {
    let line = lines.first().context("the driver printed nothing")?;
    let (events, raw, stored) = (number(line, "events")?, number(line, "raw_bytes")?, number(line, "stored_bytes")?);
    Ok(format!(
        "| sealing on one thread, events/s (MB/s raw) | {} ({:.0}) | |\n| bytes an event sealed, and how many times smaller | \
         {:.1}, {:.2} | |\n",
        thousands(events / number(line, "wall_seconds")?),
        raw / number(line, "wall_seconds")? / 1e6,
        stored / events,
        raw / stored,
    ))
}

fn scan_row(what: &str, bar: &str, lines: &[Value]) -> Result<String> {
    let line = lines.first().context("the driver printed nothing")?;
    let (events, seconds) = (number(line, "events")?, number(line, "wall_seconds")?);
    Ok(format!(
        "| scan {what}, events/s together (GB/s) | {} ({:.2}) | {bar} |\n",
        thousands(events / seconds),
        number(line, "bytes")? / seconds / 1e9,
    ))
}

fn open_row(how: &str, lines: &[Value]) -> Result<String> {
    let line = lines.first().context("the driver printed nothing")?;
    Ok(format!(
        "| opening {} segments {how}, seconds | {:.3} | {OPEN_BAR:.1} |\n",
        thousands(number(line, "segments")?),
        number(line, "seconds")?
    ))
}

fn flat_table(portions: &[Value]) -> Result<String> {
    let mut before = 0.0;
    let mut costs = Vec::new();
    let mut rows = String::new();
    for portion in portions {
        let events = number(portion, "events")?;
        let micros = number(portion, "cpu_seconds")? * 1e6 / (events - before);
        let rate = (events - before) / number(portion, "wall_seconds")?;
        rows.push_str(&format!("| {} | {micros:.3} | {} |\n", thousands(events), thousands(rate)));
        costs.push(micros);
        before = events;
    }
    let first = *costs.first().context("the driver printed nothing")?;
    let worst = costs.iter().copied().fold(first, f64::max) / first - 1.0;
    Ok(format!(
        "\n| events in the store | CPU µs an event of this portion | events/s |\n|---:|---:|---:|\n{rows}\n\
         The dearest portion costs {:+.1} % against the first (bar: {:.0} %).\n",
        worst * 100.0,
        FLAT_BAR * 100.0
    ))
}

fn number(line: &Value, key: &str) -> Result<f64> {
    line[key].as_f64().with_context(|| format!("no {key} in {line}"))
}

fn options(words: &[String]) -> Result<Options> {
    let mut options = Options { events: 2_000_000, flat: 50_000_000, segments: 10_000, sync: "always".to_owned() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} wants a value"))?;
        let number = || value.replace('_', "").parse().with_context(|| format!("{word} wants a number, not {value:?}"));
        match word.as_str() {
            "--events" => options.events = number()?,
            "--flat" => options.flat = number()?,
            "--segments" => options.segments = number()?,
            "--sync" => options.sync = value.clone(),
            other => bail!("bench store knows --events, --flat, --segments and --sync, not {other:?}"),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_dearest_portion_is_told_against_the_first() {
        let portion = |events: u64, cpu: f64| json!({"events": events, "cpu_seconds": cpu, "wall_seconds": 1.0});
        let table = flat_table(&[portion(1_000_000, 2.0), portion(2_000_000, 2.1), portion(3_000_000, 1.9)]);
        let table = table.expect("three portions");
        assert!(table.contains("| 2,000,000 | 2.100 | 1,000,000 |"), "{table}");
        assert!(table.contains("+5.0 %"), "{table}");
    }

    #[test]
    fn a_misspelt_option_is_named() {
        let words = |words: &[&str]| options(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["--flat", "0", "--sync", "1s"]).map(|o| (o.flat, o.sync)).ok(), Some((0, "1s".to_owned())));
        assert!(words(&["--flap", "0"]).is_err_and(|e| e.to_string().contains("--flap\"")));
    }
}
