//! Every Rust file opens with `//!`: what it is, where it stands, what it promises, what it leaves to others.

use super::tree::{Finding, Tree};

/// Finds files that begin with anything else, and heads that say nothing.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust("")
        .filter(|(_, text)| !text.lines().next().and_then(|line| line.strip_prefix("//! ")).is_some_and(says_something))
        .map(|(path, _)| Finding::file(path, "must open with `//!` and a sentence that says what it is"))
        .collect()
}

/// A sentence has more than two words.
fn says_something(head: &str) -> bool {
    head.split_whitespace().count() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_head_is_found() {
        let check = |text: &str| check(&Tree::of(&[("crates/a/src/lib.rs", text)])).len();
        assert_eq!(check("//! Frames: one zstd frame and its footer.\n"), 0);
        assert_eq!(check("use std::fs;\n//! Too late to say it.\n"), 1);
        assert_eq!(check("//! stub\n"), 1);
        assert_eq!(check(""), 1);
    }
}
