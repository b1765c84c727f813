//! `cargo xtask bench compare --with BINARY`: the same work by another build of Lakehead and by this one, in turns.
//!
//! Machines differ, and one machine differs from hour to hour; only what ran in turns in one run can be held against each
//! other. CPU time is what tells: it hardly depends on what else the machine does. Still one round differs from the next, by a
//! tenth and more on a small virtual machine; so that nobody reads a difference out of one of them, each round is held against
//! its own neighbour, and the median of these ratios stands with the interval in which it lies with 95 %. Where callgrind is on
//! the machine the instructions of a rebuild are counted as well, which no neighbour changes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{
    instructions, live,
    options::{Options, options},
    rebuild,
    report::thousands,
    results, scratch,
};
use crate::{
    command::{self, target},
    full::cargo_full,
    machine,
};

/// What is measured, and how often.
struct Compared {
    with: PathBuf,
    options: Options,
    rounds: u64,
}

/// What the rounds of one build took, in their order.
#[derive(Clone, Default)]
struct Taken {
    wall_seconds: Vec<f64>,
    cpu_seconds: Vec<f64>,
    memory_peak: Vec<f64>,
}

impl Taken {
    fn add(&mut self, wall_seconds: f64, cpu_seconds: f64, memory_peak: u64) {
        self.wall_seconds.push(wall_seconds);
        self.cpu_seconds.push(cpu_seconds);
        self.memory_peak.push(memory_peak as f64);
    }
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of values in ascending order.
fn median(sorted: &[f64]) -> f64 {
    let upper = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[upper] } else { (sorted[upper - 1] + sorted[upper]) / 2.0 }
}

/// The interval, of values in ascending order, that holds the median of what they are drawn from with at least 95 %
/// probability, whatever they are distributed like: from the k-th to the k-th from the end, where fewer than k of n throws
/// of a coin are heads in less than 2.5 % of cases. With fewer than six values there is none.
fn interval(sorted: &[f64]) -> Option<(f64, f64)> {
    let n = sorted.len();
    let (mut below, mut ways, mut k) = (0.0, 0.5_f64.powi(n as i32), 0);
    while below + ways <= 0.025 {
        below += ways;
        ways *= (n - k) as f64 / (k + 1) as f64;
        k += 1;
    }
    (k > 0).then(|| (sorted[k - 1], sorted[n - k]))
}

/// The CPU time of this build over the other's of the same round, in percent: the median, and its interval.
fn ratio(other: &Taken, this: &Taken) -> String {
    let of_rounds = other.cpu_seconds.iter().zip(&this.cpu_seconds).map(|(other, this)| (this / other - 1.0) * 100.0);
    let of_rounds = sorted(of_rounds);
    match interval(&of_rounds) {
        Some((low, high)) => format!("{:+.1} % ({low:+.1} to {high:+.1})", median(&of_rounds)),
        None => format!("{:+.1} % (too few rounds for an interval)", median(&of_rounds)),
    }
}

const WORK: [&str; 3] = ["live path, eight views", "rebuild of `edits_per_minute`", "rebuild of all eight views"];

/// Builds this tree's binary, measures both, prints, and appends to bench/RESULTS.md.
pub(super) fn run(words: &[String]) -> Result<()> {
    let compared = compared(words)?;
    command::run(&mut cargo_full(&["build", "--release"])?)?;
    let binaries = [compared.with.clone(), target().join("release/lakehead")];
    let mut taken: [[Taken; WORK.len()]; 2] = Default::default();
    for round in 1..=compared.rounds {
        // The one that goes first has the colder disk; so they take turns.
        let order = if round % 2 == 0 { [1, 0] } else { [0, 1] };
        for which in order {
            println!("round {round} of {}: {}", compared.rounds, binaries[which].display());
            measure(&binaries[which], &compared.options, &mut taken[which])?;
        }
    }
    let mut section = section(&compared, &taken);
    section.push_str(&counted(&binaries, compared.options.seed)?);
    println!("\n{section}");
    results::append(&section)
}

fn measure(binary: &Path, options: &Options, taken: &mut [Taken; WORK.len()]) -> Result<()> {
    let scratch = scratch::empty("bench-compare")?;
    let data = scratch.join("data");
    let live = live::measure(binary, &data, options)?;
    taken[0].add(live.wall_seconds, live.cpu.seconds(), live.memory_peak);
    for (place, views) in [(1, rebuild::Views::Only("edits_per_minute")), (2, rebuild::Views::All)] {
        let made = rebuild::measure(binary, &scratch, &data, views, options.events)?;
        taken[place].add(made.wall_seconds, made.cpu.seconds(), made.memory_peak);
    }
    scratch::clear(&scratch)
}

fn section(compared: &Compared, taken: &[[Taken; WORK.len()]; 2]) -> String {
    let machine = machine::describe();
    let events = compared.options.events as f64;
    let mut text = format!(
        "## Compared with another build, {}, commit {}\n\n{}, {} cores, {}, {}. {} synthetic events of seed {}, default \
         pipeline, sync = \"always\"; medians of {} rounds in turns. The last column holds each round's CPU time against the \
         other build's in the same round: the median of these ratios, and the interval that holds it with 95 %. The other \
         build is `{}`.\n\n\
         | what | events/s, other | this | CPU s, other | this | peak memory, other | this | CPU |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
        machine.date,
        machine.commit,
        machine.processor,
        machine.cores,
        machine.memory,
        machine.kernel,
        thousands(events),
        compared.options.seed,
        compared.rounds,
        compared.with.file_name().unwrap_or_default().to_string_lossy(),
    );
    for (place, what) in WORK.iter().enumerate() {
        let [other, this] = [&taken[0][place], &taken[1][place]];
        let middle = |values: &[f64]| median(&sorted(values.iter().copied()));
        text.push_str(&format!(
            "| {what} | {} | {} | {:.2} | {:.2} | {:.0} MiB | {:.0} MiB | {} |\n",
            thousands(events / middle(&other.wall_seconds)),
            thousands(events / middle(&this.wall_seconds)),
            middle(&other.cpu_seconds),
            middle(&this.cpu_seconds),
            middle(&other.memory_peak) / f64::from(1 << 20),
            middle(&this.memory_peak) / f64::from(1 << 20),
            ratio(other, this),
        ));
    }
    text
}

/// What the times may not tell: how many instructions each build takes for the same rebuild.
fn counted([other, this]: &[PathBuf; 2], seed: u64) -> Result<String> {
    if !instructions::can_be_counted() {
        return Ok("\nInstructions were not counted, since valgrind is missing.\n".to_owned());
    }
    println!("counting instructions");
    let (other, this) = (instructions::of_rebuild(other, seed)? as f64, instructions::of_rebuild(this, seed)? as f64);
    Ok(format!(
        "\nInstructions for the rebuild of all eight views from {} events, the start included (callgrind): {:.0} million by the \
         other, {:.0} million by this, {:+.1} %.\n",
        thousands(instructions::EVENTS as f64),
        other / 1e6,
        this / 1e6,
        (this / other - 1.0) * 100.0,
    ))
}

fn compared(words: &[String]) -> Result<Compared> {
    let (mut with, mut rounds) = (None, 9);
    let mut others = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--with" => with = words.next().map(PathBuf::from),
            "--rounds" => {
                let value = words.next().context("--rounds wants a number")?;
                rounds = value.parse().with_context(|| format!("--rounds wants a number, not {value:?}"))?;
            }
            _ => others.push(word.clone()),
        }
    }
    let with = with.context("bench compare wants --with BINARY: the other build of Lakehead")?;
    if !with.is_file() {
        bail!("{} is no file", with.display());
    }
    Ok(Compared { with, options: options(&others)?, rounds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_build_must_be_named_and_be_there() {
        let compared = |words: &[&str]| compared(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert!(compared(&[]).is_err_and(|error| error.to_string().contains("--with BINARY")));
        assert!(compared(&["--with", "/nowhere/lakehead"]).is_err_and(|error| error.to_string().contains("no file")));
    }

    /// The places are those that tables of the sign test give.
    #[test]
    fn the_interval_of_a_median_needs_six_values_and_narrows() {
        let numbers = |n: u32| (1..=n).map(f64::from).collect::<Vec<_>>();
        assert_eq!(interval(&numbers(5)), None);
        assert_eq!(interval(&numbers(6)), Some((1.0, 6.0)));
        assert_eq!(interval(&numbers(9)), Some((2.0, 8.0)));
        assert_eq!(interval(&numbers(20)), Some((6.0, 15.0)));
    }

    #[test]
    fn each_round_is_held_against_its_neighbour() {
        let (mut other, mut this) = (Taken::default(), Taken::default());
        for slow in [1.0, 4.0, 2.0] {
            other.add(1.0, slow, 0);
            this.add(1.0, slow * 1.5, 0);
        }
        assert_eq!(ratio(&other, &this), "+50.0 % (too few rounds for an interval)");
        assert_eq!(median(&sorted([3.0, 1.0, 2.0, 10.0])), 2.5);
    }
}
