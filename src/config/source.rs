//! `[source.NAME]`: what brings events into a stream, or into several. What a kind of source takes is its own affair: its spec checks the
//! settings.

use std::collections::BTreeMap;

use lakehead_engine::pipeline::SourceConfig;
use lakehead_model::{Name, hint::instead};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{document::Document, kind, problem::Problem};
use crate::kinds::Kinds;

/// A source's keys beside those of its kind.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SourceKeys {
    /// What kind of source it is; each has [its own keys](connectors.md).
    kind: String,
    /// The stream that it feeds; this or `streams`.
    stream: Option<String>,
    /// The streams that it feeds, where its kind can feed several; this or `stream`.
    streams: Option<Vec<String>>,
}

/// Their names.
const OWN: [&str; 3] = ["kind", "stream", "streams"];

/// Reads all sources.
pub(super) fn read(document: &Document, kinds: Kinds, problems: &mut Vec<Problem>) -> BTreeMap<Name, SourceConfig> {
    let mut sources = BTreeMap::new();
    for (name, key) in document.tables("source", problems) {
        let path = ["source", key];
        if key == "push" {
            problems.push(document.problem(&path, "this name stands for what is pushed; choose another"));
        }
        if document.get(&["source", key, "stream"]).or(document.get(&["source", key, "streams"])).is_none() {
            problems.push(document.problem(&["source", key, "stream"], "this key is missing"));
        }
        let Some(SourceKeys { kind, stream, streams }) = document.read_all(&path, problems) else { continue };
        let spec = kinds.source(&kind);
        let spec = spec.map_err(|what| problems.push(document.problem(&["source", key, "kind"], what))).ok();
        let settings = kind::settings(document, path, &OWN, spec.map(|spec| &spec.kind), problems);
        let Some(mut streams) = fed(document, key, stream, streams, problems) else { continue };
        if let (Some(stream), true) = (streams.pop(), streams.is_empty()) {
            sources.insert(name, SourceConfig { kind, stream, settings });
        }
    }
    sources
}

/// The streams that it feeds: at least one, each of this file, none twice.
fn fed(
    document: &Document,
    key: &str,
    stream: Option<String>,
    streams: Option<Vec<String>>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Name>> {
    let before = problems.len();
    let known = document.keys(&["stream"]);
    let mut told =
        |below: &[&str], what: String| problems.push(document.problem(&[&["source", key], below].concat(), what));
    let mut is_one = |below: &[&str], text: &str| match Name::new(text) {
        Ok(name) if known.contains(&text) => Some(name),
        _ => {
            told(below, format!("no stream {text:?} in this file; {}", instead(text, known.iter().copied())));
            None
        }
    };
    let mut names = Vec::new();
    match (stream, streams) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            told(&["streams"], "say either `stream` or `streams`, which is a list of them".to_owned());
        }
        (Some(text), None) => names.extend(is_one(&["stream"], &text)),
        (None, Some(texts)) => {
            for (index, text) in texts.iter().enumerate() {
                names.extend(is_one(&["streams", &index.to_string()], text));
            }
            if texts.is_empty() {
                told(&["streams"], "name at least one stream".to_owned());
            }
            if let Some(twice) = texts.iter().enumerate().find(|(index, text)| texts[..*index].contains(text)) {
                told(&["streams", &twice.0.to_string()], format!("{:?} stands twice in the list", twice.1));
            }
        }
    }
    (problems.len() == before).then_some(names)
}
