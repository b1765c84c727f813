//! A connector is one file (or folder), one line in the list, one example pipeline, and it runs the suite of its kind.
//!
//! A file in `source/` that is not in `SOURCES` is code that nobody can reach; one without an example in `examples/`
//! is one that nobody has tried; one that does not run `conformance::source` promises nothing.

use super::{
    source::{code_lines, names},
    tree::{Finding, Tree},
};

const FOLDER: &str = "crates/connectors/src/source/";
const LIST: &str = "crates/connectors/src/source/mod.rs";

/// Finds connectors that are not in the list, have no example or do not run the suite.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let list = tree.text(LIST).unwrap_or_default();
    let registered = |name: &str| code_lines(list).any(|(_, line)| line.contains(&format!("of::<{name}::")));
    let shown = |name: &str| {
        let kind = format!("kind = \"{name}\"");
        tree.files()
            .any(|(path, text)| path.starts_with("examples/") && path.ends_with(".toml") && text.contains(&kind))
    };
    let mut findings = Vec::new();
    for (path, _) in tree.rust(FOLDER).filter(|(path, _)| *path != LIST) {
        let file = &path[FOLDER.len()..];
        // What lies deeper belongs to the connector whose folder it is.
        let name = match file.split_once('/') {
            None => file.trim_end_matches(".rs"),
            Some((_, "mod.rs")) => &file[..file.len() - "/mod.rs".len()],
            Some(_) => continue,
        };
        if !registered(name) {
            findings
                .push(Finding::file(path, format!("is not in SOURCES: add `SourceSpec::of::<{name}::…>()` to {LIST}")));
        }
        let own = |path: &str| path[FOLDER.len()..].split(['/', '.']).next() == Some(name);
        if !tree.rust(FOLDER).any(|(path, text)| own(path) && text.contains("conformance::source")) {
            findings.push(Finding::file(path, "does not run the suite: call `conformance::source` in its tests"));
        }
        if !shown(name) {
            findings.push(Finding::file(
                path,
                format!("has no example: add a pipeline with `kind = \"{name}\"` to examples/"),
            ));
        }
    }
    for (number, line) in code_lines(list) {
        let kind = line.split("of::<").nth(1).and_then(|rest| rest.split("::").next());
        if let Some(kind) = kind.filter(|kind| !code_lines(list).any(|(_, l)| l.contains("mod ") && names(l, kind))) {
            findings.push(Finding::line(
                LIST,
                number,
                format!("{kind} is registered from elsewhere: a connector is a file here"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: (&str, &str) =
        ("crates/connectors/src/source/sse.rs", "//! reads a feed\nconformance::source::<Sse>()");
    const LISTED: (&str, &str) =
        (LIST, "mod sse;\npub const SOURCES: &[SourceSpec] = &[SourceSpec::of::<sse::Sse>()];");
    const EXAMPLE: (&str, &str) = ("examples/sse.toml", "[source.a]\nkind = \"sse\"\n");

    #[test]
    fn a_connector_with_all_three_is_fine() {
        assert_eq!(check(&Tree::of(&[FILE, LISTED, EXAMPLE])), []);
    }

    #[test]
    fn an_unregistered_connector_is_found() {
        assert_eq!(check(&Tree::of(&[FILE, (LIST, "mod sse;"), EXAMPLE])).len(), 1);
        assert_eq!(check(&Tree::of(&[FILE, (LIST, "mod sse; // of::<sse::Sse>()"), EXAMPLE])).len(), 1);
    }

    #[test]
    fn a_connector_without_an_example_is_found() {
        assert_eq!(check(&Tree::of(&[FILE, LISTED])).len(), 1);
    }

    #[test]
    fn a_connector_that_does_not_run_the_suite_is_found() {
        let file = (FILE.0, "//! reads a feed");
        assert_eq!(check(&Tree::of(&[file, LISTED, EXAMPLE])).len(), 1);
        let beside = ("crates/connectors/src/source/sse/tests.rs", "conformance::source::<Sse>()");
        assert_eq!(check(&Tree::of(&[file, beside, LISTED, EXAMPLE])), []);
    }

    #[test]
    fn parts_of_a_connector_are_not_connectors() {
        let part = ("crates/connectors/src/source/sse/frame.rs", "//! one frame");
        assert_eq!(check(&Tree::of(&[FILE, part, LISTED, EXAMPLE])), []);
    }
}
