//! The file as a whole: reads every table, and gives the pipeline or all problems.

use std::path::Path;

use lakehead_engine::{Pipeline, dashboard::Dashboard, schemas};
use lakehead_model::hint::instead;

use super::{
    document::Document,
    environment::Environment,
    listen::{self, Overrides},
    panel,
    problem::{Problem, Problems},
    push_token, sink, source, store, stream, verify, view,
};
use crate::kinds::Kinds;

/// The pipeline of `lakehead run` without a file.
pub(crate) const DEFAULT: &str = include_str!("../default_pipeline.toml");

/// What the default pipeline is called in messages.
pub(crate) const DEFAULT_NAME: &str = "the default pipeline";

/// Where everything is kept when the pipeline does not say.
const DATA: &str = "./data";

/// The tables and keys at the top of the file.
pub(super) const TOP: [&str; 12] = [
    "data",
    "listen",
    "listen_anyone",
    "token",
    "push_token",
    "store",
    "verify",
    "stream",
    "source",
    "view",
    "sink",
    "panel",
];

/// Reads and checks the pipeline in `text`.
pub(crate) async fn read(
    file: &str,
    text: &str,
    kinds: Kinds,
    environment: &Environment<'_>,
    overrides: Overrides,
) -> Result<Pipeline, Problems> {
    let wrong = |mut found: Vec<Problem>| {
        found.sort();
        found.dedup();
        Problems { file: file.to_owned(), found }
    };
    let mut document = Document::parse(text, environment).map_err(wrong)?;
    let mut problems = std::mem::take(&mut document.twice);
    for key in document.keys(&[]) {
        if !TOP.contains(&key) {
            problems.push(document.problem(&[key], format!("unknown key; {}", instead(key, TOP))));
        }
    }
    let streams = stream::read(&document, &mut problems);
    let sources = source::read(&document, kinds, &mut problems);
    let (views, outlines) = view::read(&document, &streams, &mut problems).await;
    let sinks = sink::read(&document, kinds, &sink::Deliverable { views: &outlines }, &mut problems);
    let schemas = schemas(&stream::whole(&streams));
    let known = panel::Known { views: outlines, streams: &schemas };
    let dashboard = Dashboard { panels: panel::read(&document, &known, &mut problems), simulated: false };
    let token = listen::token(&document, &mut problems);
    let push_tokens = push_token::read(&document, &streams, token.as_ref(), &mut problems);
    let listen = listen::listen(&document, &overrides, token.is_some(), &mut problems);
    let store = store::read(&document, &mut problems);
    let verify = verify::read(&document, &mut problems);
    let data: Option<String> = document.optional(&["data"], &mut problems);
    if !problems.is_empty() {
        return Err(wrong(problems));
    }
    let streams = streams.into_iter().filter_map(|(name, stream)| Some((name, stream?))).collect();
    let data = overrides.data.unwrap_or_else(|| Path::new(data.as_deref().unwrap_or(DATA)).to_owned());
    Ok(Pipeline { data, listen, token, push_tokens, streams, sources, views, sinks, store, verify, dashboard })
}

/// What is wrong with a file that is good by itself: each of `found` is a key and why its value cannot be used now.
pub(crate) fn in_the_way(
    file: &str,
    text: &str,
    environment: &Environment<'_>,
    found: impl IntoIterator<Item = (String, String)>,
) -> Problems {
    let document = Document::parse(text, environment).ok();
    let place = |(key, what): (String, String)| {
        let path: Vec<&str> = key.split('.').collect();
        match &document {
            Some(document) => document.problem(&path, what),
            None => Problem { key, what, ..Problem::default() },
        }
    };
    let mut found: Vec<Problem> = found.into_iter().map(place).collect();
    found.sort();
    Problems { file: file.to_owned(), found }
}
