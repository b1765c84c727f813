//! Every external version stands once, in the root manifest; a member says only which crates it uses.
//!
//! Also each member takes the workspace's lints, edition and licence, so that none is held to less.

use toml::{Table, Value};

use super::tree::{Finding, Tree};

/// A workspace of its own, with a fuzzer for another toolchain: it takes nothing from this one.
pub(super) const APART: &str = "fuzz/Cargo.toml";

/// What each member takes from the workspace.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

/// The one member with `unsafe`, which is forbidden in all others and denied there. It takes every other lint as it stands in the root.
const WITH_UNSAFE: &str = "crates/resident/Cargo.toml";

/// Finds versions and paths in members, and members that go their own way.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| path.ends_with("Cargo.toml") && *path != APART) {
        let Ok(manifest) = text.parse::<Table>() else { continue };
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, dependency) in manifest.get(table).and_then(Value::as_table).into_iter().flatten() {
                if dependency.get("workspace").and_then(Value::as_bool) != Some(true) {
                    let what =
                        format!("{name} in [{table}]: write `{name}.workspace = true`, its version stands in the root");
                    findings.push(Finding::file(path, what));
                }
            }
        }
        let inherits =
            |table: Option<&Value>| table.and_then(|t| t.get("workspace")).and_then(Value::as_bool) == Some(true);
        if path == WITH_UNSAFE {
            findings.extend(lints_that_differ(tree, manifest.get("lints")).map(|what| Finding::file(path, what)));
        } else if !inherits(manifest.get("lints")) {
            findings.push(Finding::file(path, "write `[lints] workspace = true`"));
        }
        for key in INHERITED {
            if !inherits(manifest.get("package").and_then(|package| package.get(key))) {
                findings.push(Finding::file(path, format!("write `{key}.workspace = true` in [package]")));
            }
        }
    }
    findings
}

/// Lints of the root that `own` has not, or has otherwise.
fn lints_that_differ(tree: &Tree, own: Option<&Value>) -> impl Iterator<Item = String> {
    let root: Table = tree.text("Cargo.toml").and_then(|text| text.parse().ok()).unwrap_or_default();
    let of_all = root.get("workspace").and_then(|workspace| workspace.get("lints")).cloned();
    let mut differ = Vec::new();
    for (tool, lints) in of_all.iter().filter_map(Value::as_table).flatten() {
        for (lint, level) in lints.as_table().into_iter().flatten() {
            let wanted = if lint == "unsafe_code" { &Value::from("deny") } else { level };
            if own.and_then(|own| own.get(tool)).and_then(|lints| lints.get(lint)) != Some(wanted) {
                differ.push(format!("[lints.{tool}]: write `{lint} = {wanted}`, as the root has it"));
            }
        }
    }
    differ.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
[package]
name = \"a\"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true
[dependencies]
serde.workspace = true
zstd = { workspace = true, optional = true }
[lints]
workspace = true
";

    fn found(manifest: &str) -> usize {
        check(&Tree::of(&[("crates/a/Cargo.toml", manifest)])).len()
    }

    #[test]
    fn the_member_with_unsafe_has_all_other_lints() {
        let root = ("Cargo.toml", "[workspace.lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"forbid\"\n");
        let member = |lints: &str| GOOD.replace("[lints]\nworkspace = true\n", lints);
        let found = |lints: &str| {
            let tree = [root, (WITH_UNSAFE, &*member(lints))].map(|(path, text)| (path, text.to_owned()));
            let tree: Vec<_> = tree.iter().map(|(path, text)| (*path, text.as_str())).collect();
            check(&Tree::of(&tree)).iter().filter(|finding| finding.to_string().contains("[lints.rust]")).count()
        };
        assert_eq!(found("[lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"deny\"\n"), 0);
        assert_eq!(found("[lints.rust]\nmissing_docs = \"allow\"\nunsafe_code = \"allow\"\n"), 2);
    }

    #[test]
    fn a_member_that_inherits_is_fine() {
        assert_eq!(found(GOOD), 0);
    }

    #[test]
    fn a_version_in_a_member_is_found() {
        assert_eq!(found(&GOOD.replace("serde.workspace = true", "serde = \"1\"")), 1);
        assert_eq!(found(&GOOD.replace("serde.workspace = true", "serde = { version = \"1\" }")), 1);
        assert_eq!(found(&GOOD.replace("serde.workspace = true", "b = { path = \"../b\" }")), 1);
    }

    #[test]
    fn a_member_with_its_own_lints_is_found() {
        assert_eq!(found(&GOOD.replace("[lints]\nworkspace = true\n", "")), 1);
        assert_eq!(found(&GOOD.replace("edition.workspace = true", "edition = \"2021\"")), 1);
    }
}
