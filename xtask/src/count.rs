//! Counting tests: adds up what every test binary says at its end, and takes out what was skipped on the way.
//!
//! A test that cannot run here (no Chromium, no Python) prints a line `SKIPPED <test>: <why>` and returns; the test
//! harness takes that as passed. It is not, so it is counted apart, together with the tests that are marked to be
//! ignored.

use std::fmt;

/// How many tests did what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    passed: usize,
    failed: usize,
    ignored: usize,
    skipped: Vec<String>,
}

impl Count {
    /// Takes note of one line that `cargo test` printed.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some((_, skipped)) = line.split_once("SKIPPED ") {
            self.skipped.push(skipped.trim().to_owned());
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += before(result, " passed");
            self.failed += before(result, " failed");
            self.ignored += before(result, " ignored");
        }
    }

    /// Takes note of a check that passed outside `cargo test`.
    pub(crate) fn add_passed(&mut self) {
        self.passed += 1;
    }

    /// Takes note of a check outside `cargo test` that cannot run here, with the reason.
    pub(crate) fn add_skipped(&mut self, skipped: String) {
        // As with a test: what was skipped was counted as passed before.
        self.passed += 1;
        self.skipped.push(skipped);
    }

    /// What was skipped, each with its reason.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

/// The number that stands before `word`, 0 where there is none.
fn before(line: &str, word: &str) -> usize {
    let number = line.split(word).next().and_then(|head| head.rsplit(' ').next());
    number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.passed.saturating_sub(self.skipped.len());
        write!(f, "{passed} passed, {} failed, {} skipped", self.failed, self.skipped.len() + self.ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(lines: &str) -> String {
        let mut count = Count::default();
        lines.lines().for_each(|line| count.line(line));
        count.to_string()
    }

    #[test]
    fn binaries_are_added_up() {
        let lines = "\
running 2 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests lakehead_model
test result: FAILED. 10 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 1.00s";
        assert_eq!(count(lines), "12 passed, 3 failed, 1 skipped");
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let lines = "\
test readers::duckdb ... SKIPPED readers::duckdb: no Python
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(count(lines), "4 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn checks_outside_of_cargo_test_are_added() {
        let mut count = Count::default();
        count.line("test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        count.add_passed();
        count.add_skipped("services hdfs: Java is missing".to_owned());
        assert_eq!(count.to_string(), "6 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn words_of_a_test_do_not_count() {
        assert_eq!(count("it said: 3 passed, 4 failed"), "0 passed, 0 failed, 0 skipped");
    }
}
