//! `[source.NAME]`: what brings events into a stream. What a kind of source takes is its own affair: its spec checks the
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
    /// The stream that it feeds.
    stream: String,
}

/// Their names.
const OWN: [&str; 2] = ["kind", "stream"];

/// Reads all sources.
pub(super) fn read(document: &Document, kinds: Kinds, problems: &mut Vec<Problem>) -> BTreeMap<Name, SourceConfig> {
    let known = document.keys(&["stream"]);
    let mut sources = BTreeMap::new();
    for (name, key) in document.tables("source", problems) {
        let path = ["source", key];
        if key == "push" {
            problems.push(document.problem(&path, "this name stands for what is pushed; choose another"));
        }
        let Some(SourceKeys { kind, stream }) = document.read_all(&path, problems) else { continue };
        let spec = kinds.source(&kind);
        let spec = spec.map_err(|what| problems.push(document.problem(&["source", key, "kind"], what))).ok();
        let settings = kind::settings(document, path, &OWN, spec.map(|spec| &spec.kind), problems);
        match Name::new(&stream) {
            Ok(stream) if known.contains(&stream.as_str()) => {
                sources.insert(name, SourceConfig { kind, stream, settings });
            }
            _ => {
                let what = format!("no stream {stream:?} in this file; {}", instead(&stream, known.iter().copied()));
                problems.push(document.problem(&["source", key, "stream"], what));
            }
        }
    }
    sources
}
