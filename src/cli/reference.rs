//! `lakehead reference`: the pages of docs/reference, made of the code that reads a pipeline file and answers requests.

use clap::{Args, ValueEnum};

use crate::{config, outcome::Outcome, output::say};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Which page.
    page: Page,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Page {
    /// Every table and key of a pipeline file.
    Pipeline,
    /// Every route of the HTTP interface.
    Http,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    Ok(say(match arguments.page {
        Page::Pipeline => config::page(lakehead_connectors::SOURCES),
        Page::Http => lakehead_serve::routes::page(),
    })?)
}
