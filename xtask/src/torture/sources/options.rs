//! The words of `cargo xtask torture sources`, and what a campaign counts of itself.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

/// What is asked for.
pub(super) struct Options {
    pub(super) seed: u64,
    pub(super) time: Duration,
    pub(super) binary: Option<PathBuf>,
    pub(super) report: bool,
}

/// What was done, for the report.
#[derive(Default)]
pub(super) struct Done {
    pub(super) kills: u64,
    pub(super) stops: u64,
    pub(super) ends: u64,
    pub(super) memory_peak: u64,
}

/// Reads the words.
pub(super) fn options(words: &[String]) -> Result<Options> {
    let mut options = Options { seed: 1, time: Duration::from_secs(60), binary: None, report: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--report" {
            options.report = true;
            continue;
        }
        let value = words.next().with_context(|| format!("{word} wants a value"))?;
        let number = || value.parse::<u64>().with_context(|| format!("{word} wants a number, not {value:?}"));
        match word.as_str() {
            "--seed" => options.seed = number()?,
            "--minutes" => options.time = Duration::from_secs(60 * number()?),
            "--binary" => options.binary = Some(PathBuf::from(value)),
            other => bail!("torture sources knows --seed, --minutes, --binary and --report, not {other:?}"),
        }
    }
    Ok(options)
}
