//! The words of `cargo xtask bench`: how many events are measured, and what they are made from.

use anyhow::{Context, Result, bail};

/// What is measured.
pub(super) struct Options {
    /// How many events.
    pub(super) events: u64,
    /// The seed they are made from.
    pub(super) seed: u64,
}

/// Reads the words.
pub(super) fn options(words: &[String]) -> Result<Options> {
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
