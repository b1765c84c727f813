//! The tests, with their set-up before and one counting line at the end.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use crate::{command, count::Count, full::cargo_full, setup};

/// Sets up, runs every test, and ends with a line that counts them.
pub(crate) fn run(words: &[String]) -> Result<()> {
    setup::all();
    let count = counted(words, &[])?;
    println!("\n{count}");
    Ok(())
}

/// Runs `cargo test`, passing its output on, and counts. `words` go to cargo; without any, the whole workspace is tested,
/// without examples, which are benchmarks and which the lints have compiled, and without documentation, which has no code
/// (the structure's rule about left-overs sees to it): building and reading these takes minutes. `addresses` are variables that
/// tell tests where servers are; one that misses its server skips itself.
pub(crate) fn counted(words: &[String], addresses: &[(String, String)]) -> Result<Count> {
    let selected: Vec<&str> = match words {
        [] => vec!["--workspace", "--lib", "--bins", "--tests"],
        words => words.iter().map(String::as_str).collect(),
    };
    let mut command = cargo_full(&[&["test", "--release", "--no-fail-fast"], selected.as_slice()].concat())?;
    command.stdout(Stdio::piped()).envs(addresses.iter().map(|(name, value)| (name, value)));
    let shown = command::shown(&command);
    println!("running `{shown}`");
    let mut child = command.spawn().with_context(|| format!("`{shown}` could not be started"))?;
    let output = child.stdout.take().context("the output of cargo test was asked for")?;
    let mut count = Count::default();
    let mut out = std::io::stdout().lock();
    // Bytes, not lines of text: a failing test may print anything.
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("reading what cargo test prints")?;
        count.line(&String::from_utf8_lossy(&line));
        out.write_all(&line).and_then(|()| out.write_all(b"\n")).context("passing on what cargo test prints")?;
    }
    drop(out);
    let status = child.wait().context("waiting for cargo test")?;
    if !count.skipped().is_empty() {
        println!("\nskipped here:");
        count.skipped().iter().for_each(|skipped| println!("  {skipped}"));
    }
    if !status.success() {
        bail!("tests failed: {count}");
    }
    Ok(count)
}
