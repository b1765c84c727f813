//! `lakehead reference`: the pages of docs/reference, made of the code that reads a pipeline file, answers requests and connects to
//! other systems.

use clap::Args;
use lakehead_model::hint::instead;

use crate::{
    config, connector_pages,
    kinds::Kinds,
    outcome::{Failure, Outcome},
    output::say,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which page, as in pipeline, http, connectors or sources/eventstreams; without one, the names of all.
    page: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let kinds = Kinds::BUILT;
    let text = match &arguments.page {
        None => names(kinds).iter().map(|name| format!("{name}\n")).collect(),
        Some(page) => text(kinds, page).ok_or_else(|| {
            let names = names(kinds);
            Failure::Usage(format!("no page {page:?}; {}", instead(page, names.iter().map(String::as_str))))
        })?,
    };
    Ok(say(text)?)
}

/// The names of all pages.
fn names(kinds: Kinds) -> Vec<String> {
    let own = ["pipeline", "http", connector_pages::INDEX].map(str::to_owned);
    own.into_iter().chain(connector_pages::names(kinds)).collect()
}

/// The page of this name.
fn text(kinds: Kinds, page: &str) -> Option<String> {
    match page {
        "pipeline" => Some(config::page()),
        "http" => Some(lakehead_serve::routes::page()),
        page => connector_pages::page(kinds, page),
    }
}

/// The pages in the checkout are what the program says of itself. `UPDATE=1` writes them again.
#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use lakehead_connectors::HEAVY;

    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference")
    }

    #[test]
    fn the_reference_pages_are_fresh() {
        let kinds = Kinds::BUILT;
        // What is left out of this build is missing on the page that lists all kinds.
        let is_whole = HEAVY.iter().all(|heavy| heavy.is_built);
        let mut stale = Vec::new();
        for name in names(kinds).into_iter().filter(|name| is_whole || name != connector_pages::INDEX) {
            let text = text(kinds, &name).expect("a page for each name");
            let path = folder().join(format!("{name}.md"));
            if std::env::var_os("UPDATE").is_some() {
                fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
                fs::write(&path, &text).expect("the page can be written");
            }
            if fs::read_to_string(&path).unwrap_or_default() != text {
                stale.push(path.display().to_string());
            }
        }
        assert!(
            stale.is_empty(),
            "stale: {}: run `UPDATE=1 cargo xtask test --bin lakehead reference`, and read what has changed",
            stale.join(", ")
        );
    }

    #[test]
    fn no_page_is_left_of_a_kind_that_is_gone() {
        let mut known = names(Kinds::BUILT);
        // Their pages are made by a build that has them.
        let left_out = HEAVY.iter().filter(|heavy| !heavy.is_built);
        known.extend(left_out.map(|heavy| format!("{}s/{}", heavy.end.word(), heavy.kind)));
        for below in ["", "sources/", "sinks/"] {
            for entry in fs::read_dir(folder().join(below)).into_iter().flatten() {
                let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
                let Some(page) = name.strip_suffix(".md") else { continue };
                assert!(
                    known.contains(&format!("{below}{page}")),
                    "docs/reference/{below}{name}: no such page: remove it"
                );
            }
        }
    }
}
