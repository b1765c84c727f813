//! `cargo xtask bench views`: what views cost and how fast they are, against the bars of the design and beside other programs.
//!
//! Four measurements on the real binary, each in a process of its own: the rebuild from the log, ten views against one, the
//! way of an event until a query shows it, and questions to a view over many events. What each measures stands in
//! bench/README.md. The figures are printed beside their bars and fail nothing, since a machine may be busy; a
//! measurement that cannot be trusted does fail.

mod counting;
mod day;
mod latency;
mod load;
mod pipelines;
mod spread;

use anyhow::{Context, Result, bail};

use super::{results, scratch};
use crate::{
    command::{self, target},
    full::cargo_full,
    machine::{self, Machine},
    setup,
};

/// What an event may take on disk at most, in bytes, to know beforehand whether there is room: the simulator's take 160,
/// and those that are counted anew lie there a second time as JSON.
const EVENT_BYTES_MAX: u64 = 220;
const RAW_BYTES_MAX: u64 = 1300;

/// What is measured.
struct Options {
    /// Events in the log that is rebuilt from.
    events: u64,
    /// Events behind the view that is asked for a day; 0 leaves it out.
    view_events: u64,
    /// How long events come in while it is watched when each becomes visible; 0 leaves it out.
    live_seconds: u64,
}

/// Builds the binary, measures, prints, and appends to bench/RESULTS.md.
pub(super) fn run(words: &[String]) -> Result<()> {
    let options = options(words)?;
    setup::all();
    command::run(&mut cargo_full(&["build", "--release"])?)?;
    let binary = target().join("release/lakehead");
    let scratch = scratch::empty("bench")?;
    let bytes = (options.events * (EVENT_BYTES_MAX + RAW_BYTES_MAX)).max(options.view_events * EVENT_BYTES_MAX);
    scratch::room_for(&scratch, bytes, "--events or --view-events")?;

    // Said before: what is measured is a load itself.
    let mut section = head();
    section.push_str(&counting::measure(&binary, &scratch, options.events)?);
    if options.live_seconds > 0 {
        section.push_str(&latency::measure(&binary, &scratch, options.live_seconds)?);
    }
    if options.view_events > 0 {
        section.push_str(&day::measure(&binary, &scratch, options.view_events)?);
    }
    println!("\n{section}");
    results::append(&section)?;
    scratch::clear(&scratch)
}

fn head() -> String {
    let Machine { date, commit, processor, cores, memory, kernel } = machine::describe();
    let load = machine::load();
    format!(
        "## Views, {date}, commit {commit}\n\n{processor}, {cores} cores, {memory}, {kernel}, load {load} before. Synthetic \
         events, sync = \"always\", no sealing.\n"
    )
}

fn options(words: &[String]) -> Result<Options> {
    let mut options = Options { events: 3_000_000, view_events: 50_000_000, live_seconds: 60 };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let place = match word.as_str() {
            "--events" => &mut options.events,
            "--view-events" => &mut options.view_events,
            "--live-seconds" => &mut options.live_seconds,
            other => bail!("bench views knows --events, --view-events and --live-seconds, not {other:?}"),
        };
        let value = words.next().with_context(|| format!("{word} wants a number"))?;
        *place = value.replace('_', "").parse().with_context(|| format!("{word} wants a number, not {value:?}"))?;
    }
    if options.events == 0 {
        bail!("--events wants at least 1");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_option_is_named() {
        let words = |words: &[&str]| options(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        let read =
            words(&["--events", "5_000", "--view-events", "0"]).map(|o| (o.events, o.view_events, o.live_seconds));
        assert_eq!(read.ok(), Some((5_000, 0, 60)));
        assert!(words(&["--view-event", "5"]).is_err_and(|e| e.to_string().contains("--view-event\"")));
        assert!(words(&["--events", "0"]).is_err_and(|e| e.to_string().contains("at least 1")));
    }
}
