//! Every external version stands once, in the root manifest; a member says only which crates it uses.
//!
//! Also each member takes the workspace's lints, edition and licence, so that none is held to less.

use toml::{Table, Value};

use super::tree::{Finding, Tree};

/// A workspace of its own, with a fuzzer for another toolchain: it takes nothing from this one.
pub(super) const APART: &str = "fuzz/Cargo.toml";

/// What each member takes from the workspace.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

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
        if !inherits(manifest.get("lints")) {
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
