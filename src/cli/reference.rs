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
    let Some(page) = &arguments.page else {
        let names: String = names(kinds).iter().map(|name| format!("{name}\n")).collect();
        return Ok(say(names)?);
    };
    let text = match page.as_str() {
        "pipeline" => Some(config::page()),
        "http" => Some(lakehead_serve::routes::page()),
        page => connector_pages::page(kinds, page),
    };
    let unknown = || {
        let names = names(kinds);
        Failure::Usage(format!("no page {page:?}; {}", instead(page, names.iter().map(String::as_str))))
    };
    Ok(say(text.ok_or_else(unknown)?)?)
}

fn names(kinds: Kinds) -> Vec<String> {
    let own = ["pipeline", "http", connector_pages::INDEX].map(str::to_owned);
    own.into_iter().chain(connector_pages::names(kinds)).collect()
}
