//! The feature `full`: the program with every heavy connector, which is what the tests, the gate and `dist` build. The README's
//! first command builds the light set.
//!
//! Cargo keeps what it builds with a feature apart from what it builds without, also where the feature is empty. So as long as
//! nothing is in `full` it is not asked for, and the first and the second command share everything.

use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{cargo, root};

/// `cargo`, as [`cargo`] gives it, with the feature `full` behind its first word once something is in it.
pub(crate) fn cargo_full(words: &[&str]) -> Result<Command> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).context("reading the root Cargo.toml")?;
    let is_asked = has_something(&manifest)? && takes_features(words);
    let (first, rest) = words.split_at(words.len().min(1));
    let features: &[&str] = if is_asked { &["--features", "full"] } else { &[] };
    Ok(cargo(&[first, features, rest].concat()))
}

/// Whether `full` in this manifest names a feature.
fn has_something(manifest: &str) -> Result<bool> {
    let manifest: toml::Table = manifest.parse().context("the root Cargo.toml is TOML")?;
    let full = manifest.get("features").and_then(|features| features.get("full")).and_then(toml::Value::as_array);
    Ok(!full.context("the root Cargo.toml has a feature `full`")?.is_empty())
}

/// Whether what `words` build has the feature: the program, and so the workspace, but not one of the other packages alone.
fn takes_features(words: &[&str]) -> bool {
    let own = words.iter().take_while(|word| **word != "--");
    let package = |(word, next): (&&str, Option<&&str>)| match word.split_once('=') {
        Some(("--package" | "-p", name)) => Some(name.to_owned()),
        None if ["--package", "-p"].contains(word) => next.map(|name| (*name).to_owned()),
        _ => None,
    };
    let nexts = words.iter().skip(1).map(Some).chain([None]);
    let named: Vec<String> = own.zip(nexts).filter_map(package).collect();
    named.is_empty() || named.iter().any(|name| name == "lakehead")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feature_is_asked_for_once_something_is_in_it() {
        let has = |manifest: &str| has_something(manifest).expect("it has the feature");
        assert!(!has("[features]\ndefault = []\nfull = []"));
        assert!(has("[features]\nkafka = []\nfull = [\"kafka\"]"));
        assert!(has_something("[features]\ndefault = []").is_err() && has_something("[package]").is_err());
    }

    #[test]
    fn it_is_asked_of_the_program_and_the_workspace_and_of_no_other_package() {
        let takes = |words: &str| takes_features(&words.split(' ').collect::<Vec<_>>());
        assert!(takes("test --workspace --lib") && takes("build --locked --package lakehead"));
        assert!(takes("test --test it kills") && takes("test --test it -- -p lakehead-store"));
        assert!(!takes("test -p lakehead-store") && !takes("test --package=lakehead-store"));
        assert!(takes("test -p lakehead-store -p lakehead"));
    }

    #[test]
    fn the_manifest_of_this_checkout_has_the_feature() {
        assert!(cargo_full(&["build"]).is_ok());
    }
}
