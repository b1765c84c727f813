//! The report of a siege: what was thrown, and what held.

use std::time::Duration;

use super::{
    bounds::{Check, mebibytes},
    honest::Honest,
    hostile::Thrown,
    options::Options,
    pipeline::RATE,
    watch::Watched,
};
use crate::machine::{self, Machine};

/// What was seen, for the report.
pub(crate) struct Seen {
    pub(crate) quiet: Duration,
    pub(crate) besieged: Duration,
    pub(crate) quiet_rate: f64,
    pub(crate) besieged_rate: f64,
    pub(crate) watched: Watched,
    pub(crate) honest: Honest,
    pub(crate) thrown: Thrown,
    pub(crate) checks: Vec<Check>,
}

/// The report as Markdown.
pub(crate) fn text(options: &Options, version: &str, seen: &Seen) -> String {
    let Machine { date, commit, processor, cores, memory, kernel } = machine::describe();
    let mut text = format!(
        "# Siege\n\nWritten by `cargo xtask siege`: hostile HTTP and SQL against the real binary while it ingests {RATE} \
         events a second from `lakehead simulate`, takes honest pushes and answers small questions.\n\n\
         {date}, commit {commit}, {version}. {processor}, {cores} cores, {memory}, {kernel}. Seed {}; quiet for {} s, then \
         besieged for {} s.{}\n\n| what must hold | bound | found | |\n|---|---|---|---|\n",
        options.seed,
        seen.quiet.as_secs(),
        seen.besieged.as_secs(),
        if options.sql { "" } else { " WITHOUT hostile SQL." },
    );
    for check in &seen.checks {
        let holds = if check.holds { "holds" } else { "**BROKEN**" };
        text.push_str(&format!("| {} | {} | {} | {holds} |\n", check.what, check.bound, check.found.replace('|', "/")));
    }
    text.push_str("\n| thrown | times |\n|---|---:|\n");
    for (what, times) in &seen.thrown {
        text.push_str(&format!("| {what} | {times} |\n"));
    }
    let watched = &seen.watched;
    text.push_str(&format!(
        "\nMemory of the process and its children: {} before, {} at most, {} after; at most {} children. Ingest: {:.0} events \
         a second when it was quiet, {:.0} under siege. The honest were told to come again {} times.\n",
        mebibytes(watched.memory_before),
        mebibytes(watched.memory_peak),
        mebibytes(watched.memory_after),
        watched.children_max,
        seen.quiet_rate,
        seen.besieged_rate,
        seen.honest.again,
    ));
    if !watched.unwell.is_empty() {
        text.push_str("\nHealth that was late, missing or not well:\n\n");
        watched.unwell.iter().take(20).for_each(|line| text.push_str(&format!("- {line}\n")));
    }
    if !seen.honest.wrong.is_empty() {
        text.push_str("\nAnswers to the honest that were wrong:\n\n");
        seen.honest.wrong.iter().take(20).for_each(|line| text.push_str(&format!("- {line}\n")));
    }
    text
}
