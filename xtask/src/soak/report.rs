//! The report of a soak: a table, a plot of memory, and what was checked.

use super::{
    options::Options,
    sample::{Sample, memory_trend},
};
use crate::machine::{self, Machine};

/// Rows of the table at most; the plot has every sample.
const ROWS: usize = 30;

const MIB: f64 = 1024.0 * 1024.0;

/// The report as Markdown.
pub(super) fn text(options: &Options, version: &str, samples: &[Sample], checks: &[(String, bool)]) -> String {
    let Machine { date, commit, processor, cores, memory, kernel } = machine::describe();
    let (slope, mean) = memory_trend(samples);
    let mut text = format!(
        "# Soak\n\nWritten by `cargo xtask soak`: the real binary under `lakehead simulate --rate {}` for {} minutes.\n\n\
         {date}, commit {commit}, {version}. {processor}, {cores} cores, {memory}, {kernel}.\n\n\
         Memory over the last three quarters: {:.1} MiB resident on average, moving by {:+.2} MiB an hour.\n\n",
        options.rate,
        options.minutes,
        mean / MIB,
        slope / MIB,
    );
    for (what, good) in checks {
        text.push_str(&format!("- {} {what}\n", if *good { "passed:" } else { "**FAILED:**" }));
    }
    text.push_str(
        "\n![resident memory](soak.svg)\n\n| min | resident MiB | its own MiB | open files | threads | files on disk | data MiB | committed \
         | taken by retention | slowest view behind |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for sample in samples.iter().step_by(samples.len().div_ceil(ROWS).max(1)) {
        text.push_str(&format!(
            "| {:.1} | {:.1} | {:.1} | {} | {} | {} | {:.0} | {} | {} | {} |\n",
            sample.seconds / 60.0,
            sample.memory_bytes as f64 / MIB,
            sample.own_bytes as f64 / MIB,
            sample.open_files,
            sample.threads,
            sample.files,
            sample.data_bytes as f64 / MIB,
            sample.end,
            sample.start,
            sample.behind,
        ));
    }
    text
}

/// Resident memory over time as an SVG picture.
pub(super) fn plot(samples: &[Sample]) -> String {
    const WIDTH: f64 = 800.0;
    const HEIGHT: f64 = 240.0;
    let last = samples.last().map_or(1.0, |sample| sample.seconds.max(1.0));
    let most = samples.iter().map(|sample| sample.memory_bytes).max().unwrap_or(1) as f64;
    let points: Vec<String> = samples
        .iter()
        .map(|s| format!("{:.1},{:.1}", s.seconds / last * WIDTH, HEIGHT - s.memory_bytes as f64 / most * HEIGHT))
        .collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 -20 {WIDTH} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect y=\"-20\" width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"4\" y=\"-6\">resident memory: {:.1} MiB at most, {:.0} minutes</text>\n\
         <line x1=\"0\" y1=\"{HEIGHT}\" x2=\"{WIDTH}\" y2=\"{HEIGHT}\" stroke=\"gray\"/>\n\
         <polyline fill=\"none\" stroke=\"steelblue\" stroke-width=\"1.5\" points=\"{}\"/>\n</svg>\n",
        HEIGHT + 30.0,
        most / MIB,
        last / 60.0,
        points.join(" ")
    )
}
