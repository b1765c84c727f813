//! The file `bench/RESULTS.md`, which every measurement adds a section to.

use std::fs;

use anyhow::{Context, Result};

use crate::command::root;

/// What the file opens with when there is none yet.
const HEAD: &str = "\
# Results

Written by `cargo xtask bench`, newest last; see bench/README.md for what is measured and how. Not tests: nothing passes
or fails by them.
";

/// Adds a section at the end.
pub(super) fn append(section: &str) -> Result<()> {
    let path = root().join("bench/RESULTS.md");
    let mut text = fs::read_to_string(&path).unwrap_or_else(|_| HEAD.to_owned());
    text.push_str(&format!("\n{section}"));
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}
