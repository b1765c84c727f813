//! The words of `cargo xtask siege`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

/// What is asked for.
pub(crate) struct Options {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) sql: bool,
    pub(crate) binary: Option<PathBuf>,
    pub(crate) report: bool,
    /// Times and rates are judged, too.
    pub(crate) measures: bool,
}

/// Reads the words.
pub(crate) fn options(words: &[String]) -> Result<Options> {
    let mut options =
        Options { time: Duration::from_secs(300), seed: 1, sql: true, binary: None, report: false, measures: true };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--report" => {
                options.report = true;
                continue;
            }
            "--without-sql" => {
                options.sql = false;
                continue;
            }
            _ => {}
        }
        let value = words.next().with_context(|| format!("{word} wants a value"))?;
        let number =
            || value.replace('_', "").parse::<u64>().with_context(|| format!("{word} wants a number, not {value:?}"));
        match word.as_str() {
            "--minutes" => options.time = Duration::from_secs(60 * number()?.max(1)),
            "--seconds" => options.time = Duration::from_secs(number()?),
            "--seed" => options.seed = number()?,
            "--binary" => options.binary = Some(PathBuf::from(value)),
            other => {
                bail!("siege knows --minutes, --seconds, --seed, --without-sql, --binary and --report, not {other:?}")
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_option_is_named() {
        let words = |words: &[&str]| options(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        let read = words(&["--minutes", "2", "--report"]).expect("they are known");
        assert_eq!((read.time, read.report, read.sql), (Duration::from_secs(120), true, true));
        assert!(words(&["--minute", "2"]).is_err_and(|e| e.to_string().contains("--minute\"")));
        assert!(words(&["--seed"]).is_err_and(|e| e.to_string().contains("wants a value")));
    }
}
