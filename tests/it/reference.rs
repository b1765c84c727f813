//! The pages of docs/reference are what the program says of itself. `UPDATE=1` writes them again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::lakehead::run;

/// Where they lie.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference")
}

/// The pages that the program has, without their ending.
fn names() -> Vec<String> {
    let said = run(&["reference"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let names: Vec<String> = said.stdout.lines().map(str::to_owned).collect();
    assert!(["pipeline", "http", "connectors"].iter().all(|page| names.iter().any(|name| name == page)), "{names:?}");
    names
}

#[test]
fn the_reference_pages_are_fresh() {
    // What is left out of this build is missing on the page that lists all kinds.
    let is_whole = lakehead_connectors::HEAVY.iter().all(|heavy| heavy.is_built);
    for page in names().into_iter().filter(|page| is_whole || page != "connectors") {
        let said = run(&["reference", &page]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        let path = folder().join(format!("{page}.md"));
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
            fs::write(&path, &said.stdout).expect("the page can be written");
        }
        let page = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            page == said.stdout,
            "{} is stale: run `UPDATE=1 cargo xtask test --test it reference`, and read what has changed",
            path.display()
        );
    }
}

#[test]
fn no_page_is_left_of_a_kind_that_is_gone() {
    let mut known = names();
    // Their pages are made by a build that has them.
    let left_out = lakehead_connectors::HEAVY.iter().filter(|heavy| !heavy.is_built);
    known.extend(left_out.map(|heavy| format!("{}s/{}", heavy.end.word(), heavy.kind)));
    for below in ["", "sources/", "sinks/"] {
        for entry in fs::read_dir(folder().join(below)).expect("the folder of the pages") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let Some(page) = name.strip_suffix(".md") else { continue };
            assert!(known.contains(&format!("{below}{page}")), "docs/reference/{below}{name}: no such page: remove it");
        }
    }
}
