//! What a finished change leaves behind: nothing. No to-do without an issue, no debug print, no path of one machine.

use super::tree::{Finding, Tree};

/// Marks of unfinished work. Taken apart, so that this file does not find itself.
const MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("db", "g!("),
    concat!("#[ig", "nore]"),
];

/// Beginnings of paths that exist on one machine alone.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

/// Files that are not written by hand.
const MADE: &[&str] = &["Cargo.lock", "LICENSE"];

/// Finds left-overs in every text file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| !MADE.contains(path)) {
        let (code, mut in_fence) = (path.ends_with(".rs"), false);
        for (index, line) in text.lines().enumerate() {
            for mark in MARKS.iter().filter(|mark| code && line.contains(**mark)) {
                findings.push(Finding::line(
                    path,
                    index + 1,
                    format!("`{mark}` is left over: finish it, or write an issue"),
                ));
            }
            if code && is_run_as_documentation(line, &mut in_fence) {
                let what = "a code block of documentation is no test here: write ```text, and test in a test";
                findings.push(Finding::line(path, index + 1, what.to_owned()));
            }
            for start in MACHINE_PATHS.iter().filter(|start| path_begins(line, start)) {
                findings.push(Finding::line(path, index + 1, format!("`{start}…` exists on one machine alone")));
            }
        }
    }
    findings
}

/// Whether a fence opens here that rustdoc takes for Rust, and so for a test.
fn is_run_as_documentation(line: &str, in_fence: &mut bool) -> bool {
    let line = line.trim_start();
    let Some(text) = line.strip_prefix("//!").or_else(|| line.strip_prefix("///")) else {
        *in_fence = false;
        return false;
    };
    let Some(language) = text.trim_start().strip_prefix("```") else { return false };
    *in_fence = !*in_fence;
    *in_fence && matches!(language.split(',').next().unwrap_or("").trim(), "" | "rust" | "no_run" | "should_panic")
}

/// Whether a path begins with `start` somewhere in the line: not after another part of a path or of a word.
fn path_begins(line: &str, start: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '}' | '>' | '*');
    line.match_indices(start).any(|(at, _)| !line[..at].chars().next_back().is_some_and(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn every_mark_is_found() {
        for mark in MARKS {
            assert_eq!(found("src/main.rs", &format!("    {mark}")), 1, "{mark}");
        }
    }

    #[test]
    fn paths_of_one_machine_are_found_anywhere() {
        for start in MACHINE_PATHS {
            assert_eq!(found("README.md", &format!("see {start}me/lakehead")), 1, "{start}");
            assert_eq!(found("README.md", &format!("see docs{start}me")), 0, "{start}");
        }
    }

    #[test]
    fn documentation_that_would_run_is_found_once_for_each_block() {
        assert_eq!(found("src/main.rs", "//! ```\n//! let x = 1;\n//! ```\n//! ```text\n//! a\n//! ```\n"), 1);
        assert_eq!(found("src/main.rs", "/// ```rust,no_run\n/// ```\nfn f() {}\n/// ```json\n/// ```\n"), 1);
    }

    #[test]
    fn marks_in_prose_are_not_code() {
        assert_eq!(found("CONTRIBUTING.md", &format!("no {} without an issue", MARKS[0])), 0);
    }
}
