//! The words of `cargo xtask torture`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What is asked for.
pub(crate) struct Options {
    pub(crate) kills: u64,
    pub(crate) seed: u64,
    pub(crate) minutes: Option<u64>,
    pub(crate) points: Option<String>,
    pub(crate) binary: Option<PathBuf>,
    pub(crate) report: bool,
}

/// Reads the words.
pub(crate) fn options(words: &[String]) -> Result<Options> {
    let mut options = Options { kills: 100, seed: 1, minutes: None, points: None, binary: None, report: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--report" {
            options.report = true;
            continue;
        }
        let mut value = || words.next().with_context(|| format!("{word} wants a value"));
        match word.as_str() {
            "--kills" => options.kills = number(word, value()?)?,
            "--seed" => options.seed = number(word, value()?)?,
            "--minutes" => options.minutes = Some(number(word, value()?)?),
            "--points" => options.points = Some(value()?.clone()),
            "--binary" => options.binary = Some(PathBuf::from(value()?)),
            other => bail!("torture knows --kills, --seed, --minutes, --points, --binary and --report, not {other:?}"),
        }
    }
    Ok(options)
}

fn number(word: &str, value: &str) -> Result<u64> {
    value.replace('_', "").parse().with_context(|| format!("{word} wants a number, not {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_option_is_named() {
        let words = |words: &[&str]| options(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["--kills", "1_000", "--report"]).map(|o| (o.kills, o.report)).ok(), Some((1_000, true)));
        assert!(words(&["--kill", "5"]).is_err_and(|e| e.to_string().contains("--kill\"")));
        assert!(words(&["--seed"]).is_err_and(|e| e.to_string().contains("wants a value")));
        assert!(words(&["--seed", "x"]).is_err_and(|e| e.to_string().contains("wants a number")));
    }
}
