//! Owners of external crates: what only one of our crates may name, so that it can be replaced in one place.
//!
//! DataFusion belongs to query, and to what compiles its planning for query. Tests and comments count too: whoever names it
//! links it, and linking it is slow.

use toml::{Table, Value};

use super::{
    source::names,
    tree::{Finding, Tree},
};

/// An external crate (and every crate whose name it begins), and the crates of ours that may name it.
const OWNERS: &[(&str, &[&str])] = &[("datafusion", &["crates/planning/", "crates/query/"])];

/// Finds the names elsewhere.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (external, owners) in OWNERS {
        let is_owned = |path: &str| owners.iter().any(|owner| path.starts_with(owner));
        let others = || tree.files().filter(|(path, _)| !is_owned(path) && !path.starts_with("xtask/"));
        let owner = owners.join(" and ");
        for (path, text) in others().filter(|(path, _)| path.ends_with("Cargo.toml")) {
            let Ok(manifest) = text.parse::<Table>() else { continue };
            for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
                for name in manifest.get(table).and_then(Value::as_table).map(Table::keys).into_iter().flatten() {
                    if name.starts_with(external) {
                        findings.push(Finding::file(path, format!("only {owner} may depend on {name}")));
                    }
                }
            }
        }
        for (path, text) in others().filter(|(path, _)| path.ends_with(".rs")) {
            for (index, line) in text.lines().enumerate() {
                let path_of_it = format!("{external}::");
                let imported = names(line, external) && line.trim_start().starts_with("use ");
                if line.contains(&path_of_it) || imported {
                    findings.push(Finding::line(path, index + 1, format!("only {owner} may name {external}")));
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
    fn the_owner_may_name_it() {
        assert_eq!(found("crates/query/src/lib.rs", "use datafusion::prelude::*;"), 0);
        assert_eq!(found("crates/planning/src/lib.rs", "use datafusion::prelude::*;"), 0);
        assert_eq!(found("crates/query/Cargo.toml", "[dependencies]\ndatafusion.workspace = true"), 0);
    }

    #[test]
    fn nobody_else_may() {
        assert_eq!(found("crates/engine/src/lib.rs", "fn f(x: datafusion::Foo) {}"), 1);
        assert_eq!(found("crates/engine/src/lib.rs", "use datafusion as df;"), 1);
        assert_eq!(found("crates/serve/Cargo.toml", "[dev-dependencies]\ndatafusion-expr = { workspace = true }"), 1);
        assert_eq!(found("src/main.rs", "    datafusion::common::x();"), 1);
    }

    #[test]
    fn speaking_of_it_is_not_naming_it() {
        assert_eq!(found("crates/engine/src/lib.rs", "//! State is kept by DataFusion's operators (datafusion)."), 0);
    }
}
