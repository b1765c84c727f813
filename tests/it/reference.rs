//! The pages of docs/reference are what the program says of itself. `UPDATE=1` writes them anew.

use std::{fs, path::Path};

use crate::lakehead::run;

#[test]
fn the_reference_pages_are_fresh() {
    for page in ["pipeline", "http"] {
        let said = run(&["reference", page]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/reference/{page}.md"));
        if std::env::var_os("UPDATE").is_some() {
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
