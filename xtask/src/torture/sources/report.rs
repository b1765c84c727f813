//! The report of a campaign: what was done to the binary and by the upstreams, and what the oracle said.

use std::{collections::BTreeMap, time::Duration};

use super::{
    expected::Expected,
    found::{Found, STREAMS},
    hostility::Fault,
    options::{Done, Options},
    plant::PlantedFault,
};
use crate::{
    machine::{self, Machine},
    torture::oracle::{Findings, What},
};

/// The report as Markdown.
#[allow(clippy::too_many_arguments)]
pub(super) fn text(
    options: &Options,
    done: &Done,
    faults: &BTreeMap<Fault, u64>,
    found: &Found,
    expected: &Expected,
    findings: &Findings,
    planted: &[PlantedFault],
    elapsed: Duration,
) -> String {
    let Machine { date, commit, processor, cores, memory, kernel } = machine::describe();
    let mut text = format!(
        "# Torture of the sources\n\nWritten by `cargo xtask torture sources`: sse, poll, spool, file and fake side by side in the real binary, \
         under upstreams that misbehave (imitations, in the program that tortures), killed and started again, and then held against \
         what was issued.\n\n\
         {date}, commit {commit}. {processor}, {cores} cores, {memory}, {kernel}. Seed {}, {:.0} s. sync = \"always\".\n\n\
         | | |\n|---|---:|\n",
        options.seed,
        elapsed.as_secs_f64()
    );
    let mut row = |name: &str, value: String| text.push_str(&format!("| {name} | {value} |\n"));
    row("kills (SIGKILL)", done.kills.to_string());
    row("stops in good order (SIGTERM)", done.ends.to_string());
    row("halts of up to 1.5 s (SIGSTOP)", done.stops.to_string());
    for (fault, count) in faults {
        row(fault.name(), count.to_string());
    }
    row("files put into the folder", expected.spooled.files.to_string());
    row("… under a name that was there, refused", expected.spooled.refused.len().to_string());
    row("… taken back before they had rested", expected.spooled.withdrawn.to_string());
    for (stream, log) in STREAMS.iter().zip(&found.logs) {
        row(&format!("events of `{stream}`"), log.len().to_string());
    }
    row("rejects", found.rejects.len().to_string());
    row("most resident memory", format!("{} MiB", done.memory_peak >> 20));
    for what in [What::Lost, What::Doubled, What::Strange, What::Broken] {
        row(&format!("**{what}**"), format!("**{}**", findings.count(what)));
    }
    text.push_str("\nThat the oracle can fail was tried on copies of the logs as they were read:\n\n");
    for PlantedFault { name, is_found } in planted {
        text.push_str(&format!("- {name}: {}\n", if *is_found { "found" } else { "NOT FOUND" }));
    }
    if !findings.is_empty() {
        text.push_str(&format!("\nFindings:\n\n{findings}"));
    }
    text
}
