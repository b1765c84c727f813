//! `cargo xtask differential`: the differential suite of the views, for as long as one likes.
//!
//! It is the test `differential` of the query crate, which runs one round of one seed in the gate; here it gets its seed
//! and its minutes from outside, in environment variables, and goes on with other events and other queries.

use anyhow::{Context, Result, bail};

use crate::{
    command::{self, cargo},
    setup,
};

/// What is asked for.
struct Options {
    minutes: u64,
    seed: u64,
    case: Option<String>,
}

/// Sets up DuckDB, builds the suite and runs it.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let options = options(words)?;
    setup::duckdb();
    let mut suite = cargo(&["test", "--release", "-p", "lakehead-query", "--test", "differential", "--"]);
    suite
        .args(["--nocapture", "views_batch_queries_and_duckdb_agree"])
        .env("LAKEHEAD_DIFFERENTIAL_SEED", options.seed.to_string());
    match &options.case {
        Some(case) => suite.env("LAKEHEAD_DIFFERENTIAL_CASE", case),
        None => suite.env("LAKEHEAD_DIFFERENTIAL_MINUTES", options.minutes.to_string()),
    };
    command::run(&mut suite).context("what differs stands above, with what runs it again")
}

fn options(words: &[String]) -> Result<Options> {
    let mut options = Options { minutes: 10, seed: 1, case: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} wants a value"))?;
        let number = || value.replace('_', "").parse().with_context(|| format!("{word} wants a number, not {value:?}"));
        match word.as_str() {
            "--minutes" => options.minutes = number()?,
            "--seed" => options.seed = number()?,
            "--case" => options.case = Some(value.clone()),
            other => bail!("differential knows --seed, --minutes and --case, not {other:?}"),
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
        let given = words(&["--minutes", "2", "--seed", "1_000", "--case", "readings/grammar/3"]).expect("options");
        assert_eq!((given.minutes, given.seed, given.case.as_deref()), (2, 1_000, Some("readings/grammar/3")));
        assert!(words(&["--minute", "2"]).is_err_and(|e| e.to_string().contains("--minute\"")));
        assert!(words(&["--seed"]).is_err());
    }
}
