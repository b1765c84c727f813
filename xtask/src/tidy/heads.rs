//! Every Rust file opens with `//!`: what it is, where it stands, what it promises, what it leaves to others.
//!
//! Or with `#![doc = include_str!("…")]`, where its manual page lies beside it as a file.

use super::tree::{Finding, Tree};

/// Finds files that begin with anything else, and heads that say nothing.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust("")
        .filter(|(path, text)| !head(tree, path, text).is_some_and(says_something))
        .map(|(path, _)| Finding::file(path, "must open with `//!` and a sentence that says what it is"))
        .collect()
}

/// The first line of a file's documentation.
fn head<'t>(tree: &'t Tree, path: &str, text: &'t str) -> Option<&'t str> {
    let line = text.lines().next()?;
    let Some(included) = line.strip_prefix("#![doc = include_str!(\"") else { return line.strip_prefix("//! ") };
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    tree.text(&format!("{folder}/{}", included.split('"').next()?))?.lines().next()
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

    #[test]
    fn a_manual_beside_the_file_is_its_head() {
        let file = ("crates/a/src/lib.rs", "#![doc = include_str!(\"manual.md\")]\n");
        assert_eq!(check(&Tree::of(&[file, ("crates/a/src/manual.md", "`sse`: reads a feed.\n")])), []);
        assert_eq!(check(&Tree::of(&[file])).len(), 1);
    }
}
