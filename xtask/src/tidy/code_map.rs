//! ARCHITECTURE.md's code map names every crate, and every path it names is there.
//!
//! A path is what stands in back-ticks and begins with one of the project's top folders.

use super::tree::{Finding, Tree};

const MAP: &str = "ARCHITECTURE.md";
const TOPS: &[&str] = &["crates/", "src/", "xtask/", "docs/", "tests/", "bench/", "examples/"];

/// Finds crates that the map leaves out and paths that are no longer there.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(map) = tree.text(MAP) else { return vec![Finding::file(MAP, "is missing")] };
    let mut findings = Vec::new();
    let crates = tree.files().filter_map(|(path, _)| path.strip_suffix("/Cargo.toml"));
    for folder in crates.filter(|folder| !map.contains(&format!("`{folder}"))) {
        findings.push(Finding::file(MAP, format!("`{folder}` is not in the code map")));
    }
    for (index, line) in map.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        let paths = quoted.filter(|text| TOPS.iter().any(|top| text.starts_with(top)));
        for path in paths.filter(|path| !path.contains(['*', '<', '…', ' ']) && !tree.has(path)) {
            findings.push(Finding::line(MAP, index + 1, format!("`{path}` is not there")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATE: (&str, &str) = ("crates/store/Cargo.toml", "");

    #[test]
    fn a_true_map_is_fine() {
        assert_eq!(check(&Tree::of(&[CRATE, (MAP, "`crates/store/` keeps, `docs/*.md` tells")])), []);
    }

    #[test]
    fn a_crate_that_is_left_out_is_found() {
        assert_eq!(check(&Tree::of(&[CRATE, (MAP, "nothing here")])).len(), 1);
    }

    #[test]
    fn a_path_that_is_gone_is_found() {
        assert_eq!(check(&Tree::of(&[CRATE, (MAP, "`crates/store/` and `crates/attic/x.rs`")])).len(), 1);
    }
}
