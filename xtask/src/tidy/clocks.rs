//! Time and files come in as arguments: what the lower floors may not reach for.
//!
//! model, json, window, decode and eventstreams-wire are pure: no clock, no files, no sockets, no runtime. The store has
//! files, but what time it is comes from the clock it is given; only how long to wait for the next append or sync it
//! measures itself, since a thread can be woken by nothing but the system's own clock.

use super::{
    source::code_lines,
    tree::{Finding, Tree},
};

/// Crates that do no I/O at all.
const PURE: &[&str] = &["model", "json", "window", "decode", "eventstreams-wire"];

/// Crates that read no clock: the pure ones, and those that are handed one.
const CLOCKLESS: &[&str] =
    &["model", "json", "window", "decode", "eventstreams-wire", "store", "query", "connector-api"];

const CLOCKS: &[&str] = &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "UNIX_EPOCH.elapsed"];

const OUTSIDE: &[&str] = &["std::fs", "std::net", "std::process", "std::env", "std::thread", "tokio::", "reqwest::"];

/// Where a clock may be read all the same, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("crates/store/src/write/committer.rs", "Instant::now", "how long ago the last sync was, for `sync = \"1s\"`"),
    ("crates/store/src/write/queue.rs", "Instant::now", "how long to wait for the next append"),
    ("crates/store/src/write/writer.rs", "Instant::now", "how old the block in the making is"),
];

/// Finds clocks and I/O where there should be none.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = forbid(tree, CLOCKLESS, CLOCKS, "take the time from the `Clock` that is handed in");
    findings.extend(forbid(tree, PURE, OUTSIDE, "this crate is pure: hand in what it needs"));
    findings
}

fn forbid(tree: &Tree, crates: &[&str], words: &[&str], instead: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in crates {
        for (path, text) in tree.rust(&format!("crates/{name}/src/")) {
            // A module of tests in files of its own is under `#[cfg(test)]` where it is declared.
            if path.ends_with("/tests.rs") || path.ends_with("/proptests.rs") || path.contains("/tests/") {
                continue;
            }
            for (number, line) in code_lines(text) {
                for word in words.iter().filter(|word| line.contains(**word)) {
                    if !ALLOWED.iter().any(|(file, allowed, _why)| *file == path && allowed == word) {
                        findings.push(Finding::line(path, number, format!("{word}: {instead}")));
                    }
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn a_clock_in_the_lower_floors_is_found() {
        assert_eq!(found("crates/window/src/lib.rs", "let now = Instant::now();"), 1);
        assert_eq!(found("crates/store/src/write.rs", "let now = std::time::SystemTime::now();"), 1);
        assert_eq!(found("crates/model/src/time.rs", "jiff::Timestamp::now()"), 1);
    }

    #[test]
    fn an_exception_holds_for_its_word_in_its_file_alone() {
        assert_eq!(found("crates/store/src/write/queue.rs", "Instant::now()"), 0);
        assert_eq!(found("crates/store/src/write/queue.rs", "SystemTime::now()"), 1);
        assert_eq!(found("crates/store/src/reader.rs", "Instant::now()"), 1);
    }

    #[test]
    fn the_engine_and_tests_may_read_it() {
        assert_eq!(found("crates/engine/src/lib.rs", "let now = Instant::now();"), 0);
        assert_eq!(found("crates/window/src/lib.rs", "#[cfg(test)]\nmod tests { fn f() { Instant::now(); } }"), 0);
        assert_eq!(found("crates/window/src/lib.rs", "// never Instant::now"), 0);
    }

    #[test]
    fn files_belong_to_the_store() {
        assert_eq!(found("crates/store/src/lib.rs", "use std::fs::File;"), 0);
        assert_eq!(found("crates/window/src/lib.rs", "use std::fs::File;"), 1);
        assert_eq!(found("crates/decode/src/lib.rs", "tokio::spawn(x);"), 1);
    }
}
