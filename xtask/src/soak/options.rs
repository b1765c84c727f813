//! The words of `cargo xtask soak`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What is asked for.
pub(super) struct Options {
    pub(super) minutes: u64,
    pub(super) rate: u64,
    pub(super) seed: u64,
    pub(super) binary: Option<PathBuf>,
    pub(super) report: bool,
}

/// Reads the words.
pub(super) fn options(words: &[String]) -> Result<Options> {
    let mut options = Options { minutes: 60, rate: 20_000, seed: 1, binary: None, report: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--report" {
            options.report = true;
            continue;
        }
        let value = words.next().with_context(|| format!("{word} wants a value"))?;
        let number = || value.replace('_', "").parse().with_context(|| format!("{word} wants a number, not {value:?}"));
        match word.as_str() {
            "--minutes" => options.minutes = number()?,
            "--rate" => options.rate = number()?,
            "--seed" => options.seed = number()?,
            "--binary" => options.binary = Some(PathBuf::from(value)),
            other => bail!("soak knows --minutes, --rate, --seed, --binary and --report, not {other:?}"),
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
        assert_eq!(words(&["--minutes", "2", "--report"]).map(|o| (o.minutes, o.report)).ok(), Some((2, true)));
        assert!(words(&["--minute", "2"]).is_err_and(|e| e.to_string().contains("--minute\"")));
    }
}
