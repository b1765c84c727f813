//! `cargo xtask bench compare --with BINARY`: the same work by another build of Lakehead and by this one, in turns.
//!
//! Machines differ, and one machine differs from hour to hour; only what ran in turns in one run can be held against each
//! other. CPU time is what tells: it hardly depends on what else the machine does. The least of the rounds stands.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Options, append, live, rebuild, report::thousands, scratch};
use crate::{
    command::{self, cargo, target},
    machine,
};

/// What is measured, and how often.
struct Compared {
    with: PathBuf,
    options: Options,
    rounds: u64,
}

/// The least of several rounds.
#[derive(Clone, Copy)]
struct Least {
    wall_seconds: f64,
    cpu_seconds: f64,
    memory_peak: u64,
}

impl Least {
    const NONE: Self = Self { wall_seconds: f64::INFINITY, cpu_seconds: f64::INFINITY, memory_peak: u64::MAX };

    fn take(&mut self, wall_seconds: f64, cpu_seconds: f64, memory_peak: u64) {
        self.wall_seconds = self.wall_seconds.min(wall_seconds);
        self.cpu_seconds = self.cpu_seconds.min(cpu_seconds);
        self.memory_peak = self.memory_peak.min(memory_peak);
    }
}

const WORK: [&str; 3] = ["live path, eight views", "rebuild of `edits_per_minute`", "rebuild of all eight views"];

/// Builds this tree's binary, measures both, prints, and appends to bench/RESULTS.md.
pub(super) fn run(words: &[String]) -> Result<()> {
    let compared = compared(words)?;
    command::run(&mut cargo(&["build", "--release"]))?;
    let binaries = [compared.with.clone(), target().join("release/lakehead")];
    let mut least = [[Least::NONE; WORK.len()]; 2];
    for round in 1..=compared.rounds {
        // The one that goes first has the colder disk; so they take turns.
        let order = if round % 2 == 0 { [1, 0] } else { [0, 1] };
        for which in order {
            println!("round {round} of {}: {}", compared.rounds, binaries[which].display());
            measure(&binaries[which], &compared.options, &mut least[which])?;
        }
    }
    let section = section(&compared, &least);
    println!("\n{section}");
    append(&command::root().join("bench/RESULTS.md"), &section)
}

fn measure(binary: &Path, options: &Options, least: &mut [Least; WORK.len()]) -> Result<()> {
    let scratch = scratch::empty("bench-compare")?;
    let data = scratch.join("data");
    let live = live::measure(binary, &data, options)?;
    least[0].take(live.wall_seconds, live.cpu.seconds(), live.memory_peak);
    for (place, views) in [(1, rebuild::Views::Only("edits_per_minute")), (2, rebuild::Views::All)] {
        let made = rebuild::measure(binary, &scratch, &data, views, options.events)?;
        least[place].take(made.wall_seconds, made.cpu.seconds(), made.memory_peak);
    }
    scratch::clear(&scratch)
}

fn section(compared: &Compared, least: &[[Least; WORK.len()]; 2]) -> String {
    let machine = machine::describe();
    let events = compared.options.events as f64;
    let mut text = format!(
        "## Compared with another build, {}, commit {}\n\n{}, {} cores, {}, {}. {} synthetic events of seed {}, default \
         pipeline, sync = \"always\"; the least of {} rounds in turns. The other build is `{}`.\n\n\
         | what | events/s, other | this | CPU s, other | this | CPU | peak memory, other | this |\n\
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
        let [other, this] = [least[0][place], least[1][place]];
        text.push_str(&format!(
            "| {what} | {} | {} | {:.2} | {:.2} | {:+.1} % | {} MiB | {} MiB |\n",
            thousands(events / other.wall_seconds),
            thousands(events / this.wall_seconds),
            other.cpu_seconds,
            this.cpu_seconds,
            (this.cpu_seconds / other.cpu_seconds - 1.0) * 100.0,
            other.memory_peak >> 20,
            this.memory_peak >> 20,
        ));
    }
    text
}

fn compared(words: &[String]) -> Result<Compared> {
    let (mut with, mut rounds) = (None, 5);
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
    Ok(Compared { with, options: super::options(&others)?, rounds })
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

    #[test]
    fn the_least_of_the_rounds_stands() {
        let mut least = Least::NONE;
        least.take(2.0, 1.5, 10);
        least.take(1.0, 1.75, 20);
        assert_eq!((least.wall_seconds, least.cpu_seconds, least.memory_peak), (1.0, 1.5, 10));
    }
}
