//! DataFusion is built once: whatever is selected, the packages beneath `query` are asked for the same features.
//!
//! Cargo unites features over what is built together. Where the program alone asks one feature less of a package deep
//! down than the workspace's tests do, everything above that package is built twice, a quarter of an hour each. The
//! crate `unify` asks them all; this step finds what it has missed.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Result, bail};

use crate::{
    command::{cargo, output},
    full::cargo_full,
};

/// What everything heavy stands beneath.
const BASE: &[&str] = &["-p", "lakehead-query", "-e", "normal,build"];

/// What the README's first command builds: the program without the connectors that `full` has.
const LIGHT: &[&str] = &["-p", "lakehead", "-e", "normal,build"];

/// What else is built, with these connectors: what is shipped, the tests, one crate's tests.
const SELECTIONS: &[(&str, &[&str])] = &[
    ("the program", &["-p", "lakehead", "-e", "normal,build"]),
    ("the program's tests", &["-p", "lakehead", "-e", "normal,build,dev"]),
    ("the workspace's tests", &["--workspace", "-e", "normal,build,dev"]),
    ("the tests of query", &["-p", "lakehead-query", "-e", "normal,build,dev"]),
];

/// How each list of packages is asked for.
const TREE: [&str; 5] = ["tree", "--prefix", "none", "--format", "{p} [{f}]"];

/// Compares the selections.
pub(crate) fn check() -> Result<()> {
    let light = |words: &[&str]| packages(cargo(&[&TREE, words].concat()));
    let base = light(BASE)?;
    let mut selections = vec![("the light program", light(LIGHT)?)];
    for (name, words) in SELECTIONS {
        selections.push((name, packages(cargo_full(&[&TREE, *words].concat())?)?));
    }
    for (name, selection) in &selections {
        let missing: Vec<&str> = base.difference(selection).map(String::as_str).collect();
        if !missing.is_empty() {
            bail!(
                "{name} asks other features than query alone of: {}. Add what differs to crates/unify/Cargo.toml \
                 (`cargo tree -e features -i PACKAGE` shows who asks)",
                missing.join("; ")
            );
        }
    }
    println!("  {} packages with the same features in {} selections", base.len(), selections.len());
    Ok(())
}

/// Every package that a selection builds, with its version and features. Ours are left out: they are quick to build.
fn packages(mut tree: Command) -> Result<BTreeSet<String>> {
    Ok(external(&output(&mut tree)?))
}

/// The lines of `cargo tree` that name packages from a registry; those of the checkout have a path in brackets.
fn external(tree: &str) -> BTreeSet<String> {
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
    lines.filter(|line| line.ends_with(']') && !line.contains("(/")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_counts_once_and_ours_not_at_all() {
        let tree = "lakehead-query v0.1.0 (/somewhere/crates/query) []\ntokio v1.52.1 [net,sync]\n\ntokio v1.52.1 [net,sync] (*)\n";
        assert_eq!(external(tree).into_iter().collect::<Vec<_>>(), ["tokio v1.52.1 [net,sync]"]);
    }

    #[test]
    fn another_feature_is_another_package() {
        let alone = external("tokio v1.52.1 [net]");
        let together = external("tokio v1.52.1 [net,sync]");
        assert_eq!(alone.difference(&together).count(), 1);
    }
}
