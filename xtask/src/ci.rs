//! The gate: every check, in the order in which a mistake is cheapest to find, each named and timed.
//!
//! It stops at the first step that fails. What it says is what a change must pass; a hosted workflow only calls it.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};

use crate::{
    command::{self, cargo},
    features,
    full::cargo_full,
    services, setup, siege, test, tidy, torture,
};

/// The servers that the tests of connectors find running, where they can run here.
const TESTED_WITH: &[&str] = &["kafka"];

/// Runs the gate.
pub(crate) fn run() -> Result<()> {
    let begun = Instant::now();
    step("format", || {
        command::run(&mut cargo(&["fmt", "--all", "--check"])).context("`cargo fmt --all` would mend it")
    })?;
    step("structure", tidy::run)?;
    step("features", features::check)?;
    // The set-up waits for the network, and the lints for the processor.
    thread::scope(|scope| {
        let setting_up = scope.spawn(|| {
            setup::all();
            services::download_all();
        });
        // One profile: what the lints check and what the tests build is what a user builds.
        step("lints", || {
            let words = ["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];
            command::run(&mut cargo_full(&words)?)
        })?;
        step("documentation", || {
            let mut doc = cargo_full(&["doc", "--release", "--no-deps", "--workspace"])?;
            command::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
        })?;
        step("set-up", || setting_up.join().map_err(|_| anyhow!("it panicked")))
    })?;
    let mut count = step("tests", || services::with_running(TESTED_WITH, |addresses| test::counted(&[], addresses)))?;
    // The tests built the binary.
    step("torture", torture::short)?;
    step("torture of the sources", torture::sources::short)?;
    step("siege", siege::short)?;
    step("services", || services::smoke_all(&mut count))?;
    println!("\ngate passed in {}", minutes(begun.elapsed()));
    println!("{count}");
    Ok(())
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n== {name}");
    let begun = Instant::now();
    let done = work().with_context(|| format!("the gate stops at step `{name}`"))?;
    println!("== {name}: passed in {}", minutes(begun.elapsed()));
    Ok(done)
}

fn minutes(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0 => format!("{} ms", elapsed.as_millis()),
        seconds @ 1..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_a_person_says_them() {
        let shown = [7, 59_999, 61_000, 3_600_000].map(|millis| minutes(Duration::from_millis(millis)));
        assert_eq!(shown, ["7 ms", "59 s", "1 min 1 s", "60 min 0 s"]);
    }
}
