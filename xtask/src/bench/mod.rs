//! `cargo xtask bench`: the live path and the rebuild of a view, measured on the real binary from outside.
//!
//! One process makes the events, another keeps and counts them, as users run it; CPU time is read for each apart. DuckDB
//! counts the same raw lines in the same run, so that there is something to compare with. The figures go to
//! bench/RESULTS.md with date and machine. They pass or fail nothing.

mod compare;
mod duckdb;
mod instructions;
mod live;
mod options;
mod peers;
mod rebuild;
mod report;
mod results;
mod scratch;
mod status;
mod store;
mod views;

use anyhow::{Context, Result};

use self::options::options;
use crate::{
    command::{self, target},
    full::cargo_full,
    machine, setup,
};

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
    command::run(&mut cargo_full(&["build", "--release"])?)?;
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
    results::append(&section)?;
    scratch::clear(&scratch)
}
