//! Imports go down the floors, never up and never in a ring: which of our crates each of our crates may name.
//!
//! ```text
//! binary ─► serve ─► engine ─► query ─► decode ─► json, window, store ─► model
//!   │                  │         connectors ─► connector-api, json, eventstreams-wire
//!   ├─► connectors     └─► connector-api
//!   └─► simulator ─► eventstreams-wire, model      testkit: for tests alone
//!                      engine ─► json-schema
//! ```
//!
//! `unify` and `planning` stand beside, and are named by query alone: the one has no code, the other is what of DataFusion is
//! compiled once (each says itself why). `resident` stands beside, too, and is named by the binary alone.
//!
//! The engine names no connector, a connector sees neither engine nor store, the store does not know what a payload
//! means: these are absences, and so they stand here as a list of what is allowed.

use toml::{Table, Value};

use super::{
    tree::{Finding, Tree},
    versions::APART,
};

/// Each crate with the crates it may depend on. A crate that is not here has no floor yet, which is a finding.
const FLOORS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("json", &["model"]),
    ("json-schema", &[]),
    ("window", &["model"]),
    ("store", &["model"]),
    ("eventstreams-wire", &[]),
    ("connector-api", &["model"]),
    ("decode", &["model", "json"]),
    ("connectors", &["model", "json", "eventstreams-wire", "connector-api"]),
    ("unify", &[]),
    ("planning", &[]),
    ("resident", &[]),
    ("query", &["model", "json", "window", "store", "decode", "unify", "planning"]),
    ("engine", &["model", "json", "json-schema", "window", "store", "decode", "connector-api", "query"]),
    ("serve", &["model", "json", "store", "query", "engine"]),
    ("simulator", &["model", "eventstreams-wire"]),
    ("testkit", &["model", "json", "store", "connector-api"]),
];

/// What tests may use beside what their crate stands on.
const FOR_TESTS: &[&str] = &["testkit", "simulator", "json", "json-schema"];

/// What the binary may not depend on.
const NOT_IN_THE_BINARY: &[&str] = &["testkit"];

/// Finds every dependency that goes up.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        let manifest: Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::file(path, format!("is not TOML: {error}")));
                continue;
            }
        };
        let Some(name) = path.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml")) else {
            findings.extend(above_the_floors(path, &manifest));
            continue;
        };
        let Some((_, allowed)) = FLOORS.iter().find(|(floor, _)| *floor == name) else {
            findings.push(Finding::file(path, "this crate has no floor: add it to FLOORS in xtask/src/tidy/floors.rs"));
            continue;
        };
        for (table, ours) in ours(&manifest) {
            let for_tests = table == "dev-dependencies" && FOR_TESTS.contains(&ours.as_str());
            if !allowed.contains(&ours.as_str()) && !for_tests {
                findings.push(Finding::file(path, format!("{name} must not depend on {ours} ([{table}])")));
            }
        }
    }
    findings
}

/// The binary may use everything but what is for tests; the fuzzers use what they attack; xtask uses nothing of ours.
fn above_the_floors(path: &str, manifest: &Table) -> Vec<Finding> {
    let refused = |ours: &str| match path {
        "Cargo.toml" => NOT_IN_THE_BINARY.contains(&ours),
        APART => ours != "store",
        _ => true,
    };
    ours(manifest)
        .filter(|(table, ours)| *table != "dev-dependencies" && refused(ours))
        .map(|(table, ours)| Finding::file(path, format!("must not depend on {ours} ([{table}])")))
        .collect()
}

/// Our own crates that a manifest names, each with the table it stands in.
fn ours(manifest: &Table) -> impl Iterator<Item = (&'static str, String)> {
    ["dependencies", "dev-dependencies", "build-dependencies"].into_iter().flat_map(|table| {
        let names = manifest.get(table).and_then(Value::as_table).map(Table::keys).into_iter().flatten();
        names.filter_map(move |name| Some((table, name.strip_prefix("lakehead-")?.to_owned()))).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, manifest: &str) -> Vec<String> {
        check(&Tree::of(&[(path, manifest)])).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_dependency_down_is_fine() {
        let manifest = "[dependencies]\nlakehead-store.workspace = true\nserde.workspace = true\n";
        assert_eq!(found("crates/query/Cargo.toml", manifest), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_up_is_found() {
        let manifest = "[dependencies]\nlakehead-engine.workspace = true\n";
        assert_eq!(found("crates/store/Cargo.toml", manifest), ["store must not depend on engine ([dependencies])"]);
    }

    #[test]
    fn the_engine_names_no_connector_not_even_in_tests() {
        let manifest = "[dev-dependencies]\nlakehead-connectors = { workspace = true }\n";
        let what = "engine must not depend on connectors ([dev-dependencies])";
        assert_eq!(found("crates/engine/Cargo.toml", manifest), [what]);
    }

    #[test]
    fn what_is_for_tests_stays_in_tests() {
        let testkit = |table: &str| format!("[{table}]\nlakehead-testkit.workspace = true\n");
        assert!(found("crates/store/Cargo.toml", &testkit("dev-dependencies")).is_empty());
        assert_eq!(found("crates/store/Cargo.toml", &testkit("dependencies")).len(), 1);
        assert_eq!(found("Cargo.toml", &testkit("dependencies")), ["must not depend on testkit ([dependencies])"]);
    }

    #[test]
    fn a_new_crate_needs_a_floor() {
        assert!(found("crates/attic/Cargo.toml", "")[0].starts_with("this crate has no floor"));
    }

    #[test]
    fn floors_have_no_ring() {
        let place = |name: &str| FLOORS.iter().position(|(floor, _)| *floor == name).expect("a floor");
        for (name, beneath) in FLOORS {
            assert!(beneath.iter().all(|below| place(below) < place(name)), "{name} stands on what is listed after it");
        }
    }
}
