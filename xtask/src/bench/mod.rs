//! `cargo xtask bench`: the live path and the rebuild of a view, measured on the real binary from outside.
//!
//! One process makes the events, another keeps and counts them, as users run it; CPU time is read for each apart. DuckDB
//! counts the same raw lines in the same run, so that there is something to compare with. The figures go to
//! bench/RESULTS.md with date and machine. They pass or fail nothing.

mod compare;
mod duckdb;
mod instructions;
mod live;
mod peers;
mod rebuild;
mod report;
mod scratch;
mod status;
mod store;
mod views;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{
    command::{self, cargo, target},
    machine, setup,
};

/// What is measured.
struct Options {
    /// How many events.
    events: u64,
    /// The seed they are made from.
    seed: u64,
}

/// Builds the binary, measures, prints, and appends to bench/RESULTS.md.
pub(crate) fn run(words: &[String]) -> Result<()> {
    match words.split_first() {
        Some((first, rest)) if first == "compare" => return compare::run(rest).context("bench compare"),
        Some((first, rest)) if first == "store" => return store::run(rest).context("bench store"),
        Some((first, rest)) if first == "views" => return views::run(rest).context("bench views"),
        _ => {}
    }
    let options = options(words)?;
    setup::all();
    command::run(&mut cargo(&["build", "--release"]))?;
    let binary = target().join("release/lakehead");
    let scratch = scratch::empty("bench")?;

    let data = scratch.join("data");
    println!("live path: {} events", options.events);
    let live = live::measure(&binary, &data, &options)?;
    println!("rebuild of one view from the log");
    let one = rebuild::measure(&binary, &scratch, &data, rebuild::Views::Only("edits_per_minute"), options.events)?;
    println!("rebuild of every view from the log");
    let all = rebuild::measure(&binary, &scratch, &data, rebuild::Views::All, options.events)?;
    println!("DuckDB on the same lines");
    let duckdb = duckdb::measure(&scratch, &data);
    let edits = rebuild::edits(&binary, &data);

    let section = report::section(&options, &machine::describe(), &live, &one, &all, &duckdb, &edits);
    println!("\n{section}");
    append(&command::root().join("bench/RESULTS.md"), &section)?;
    scratch::clear(&scratch)
}

fn options(words: &[String]) -> Result<Options> {
    let mut options = Options { events: 1_000_000, seed: 7 };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let place = match word.as_str() {
            "--events" => &mut options.events,
            "--seed" => &mut options.seed,
            other => bail!("bench knows --events N and --seed N, not {other:?}"),
        };
        let value = words.next().with_context(|| format!("{word} wants a number"))?;
        *place = value.replace('_', "").parse().with_context(|| format!("{word} wants a number, not {value:?}"))?;
    }
    Ok(options)
}

fn append(path: &Path, section: &str) -> Result<()> {
    let mut text = fs::read_to_string(path).unwrap_or_else(|_| report::HEAD.to_owned());
    text.push_str(&format!("\n{section}"));
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_option_is_named() {
        let words = |words: &[&str]| options(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["--events", "5_000"]).map(|o| o.events).ok(), Some(5_000));
        assert!(words(&["--event", "5"]).is_err_and(|e| e.to_string().contains("--event\"")));
        assert!(words(&["--events"]).is_err_and(|e| e.to_string().contains("wants a number")));
    }
}
