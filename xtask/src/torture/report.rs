//! The report of a run: what was done to the binary, and what the oracle said.

use std::time::Duration;

use super::{options::Options, oracle::What, plant::Planted, points::Points, round::Tally};
use crate::machine::{self, Machine};

/// The report as Markdown.
pub(crate) fn text(
    options: &Options,
    version: &str,
    points: &Points,
    tally: &Tally,
    planted: &[Planted],
    elapsed: Duration,
) -> String {
    let Machine { date, commit, processor, cores, memory, kernel } = machine::describe();
    let minutes = elapsed.as_secs_f64() / 60.0;
    let mut text = format!(
        "# Torture\n\nWritten by `cargo xtask torture`: the real binary, fed by `lakehead simulate` and by pushes, killed and \
         started again, and then held against what was issued and acknowledged.\n\n\
         {date}, commit {commit}, {version}. {processor}, {cores} cores, {memory}, {kernel}.\n\n\
         | | |\n|---|---:|\n"
    );
    let mut row = |name: &str, value: String| text.push_str(&format!("| {name} | {value} |\n"));
    row("kills", tally.kills().to_string());
    row("… at a random moment", tally.random_kills.to_string());
    row("… at a named point", tally.point_kills.to_string());
    row("kills a minute", format!("{:.1}", tally.kills() as f64 / minutes));
    row("time", format!("{minutes:.1} min"));
    row("rounds, each with a data directory of its own", tally.rounds.to_string());
    row("seeds", format!("{} to {}", options.seed, options.seed + tally.rounds.saturating_sub(1)));
    row("processes stopped for 1 to 3 s (SIGSTOP) and let go on", tally.stops.to_string());
    row("changes of views, between kills and while it ran", tally.changes.to_string());
    row("second processes on a data directory, refused", tally.refused.to_string());
    row("events in the logs", tally.events.to_string());
    row("events that retention took before", tally.removed.to_string());
    row("sealed segments at the rounds' ends", tally.sealed.to_string());
    row("obligations: events reported as committed or answered 201", tally.obligations.to_string());
    row("pushes repeated by their key", tally.repeated_pushes.to_string());
    row("rows of views, recounted", tally.rows.to_string());
    row("rows of Parquet files, recounted", tally.parquet_rows.to_string());
    for what in [What::Lost, What::Doubled, What::Strange, What::Row, What::Broken] {
        row(&format!("**{what}**"), format!("**{}**", tally.findings.count(what)));
    }
    text.push_str("\n| point | armed | killed there |\n|---|---:|---:|\n");
    for (name, fate) in &points.fates {
        let killed = if fate.killed == 0 { "never met".to_owned() } else { fate.killed.to_string() };
        text.push_str(&format!("| `{name}` | {} | {killed} |\n", fate.armed));
    }
    text.push_str("\nThat the oracle can fail was tried on copies of the last round's data:\n\n");
    if planted.is_empty() {
        text.push_str("- nothing was planted, since a round failed before\n");
    }
    for Planted { name, outcome } in planted {
        text.push_str(&match outcome {
            Ok(()) => format!("- {name}: found\n"),
            Err(error) => format!("- {name}: NOT FOUND: {error:#}\n"),
        });
    }
    if !tally.findings.is_empty() {
        text.push_str(&format!("\nFindings:\n\n{}", tally.findings));
    }
    text
}
