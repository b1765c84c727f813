//! `[source.NAME]`: what brings events into a stream. What a kind of source takes is its own affair: its spec checks the
//! settings.

use std::collections::BTreeMap;

use lakehead_connector_api::SourceSpec;
use lakehead_engine::pipeline::SourceConfig;
use lakehead_model::{Name, hint::instead};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{document::Document, problem::Problem};

/// A source's keys beside those of its kind.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SourceKeys {
    /// What kind of source it is; each has its own keys, which stand below.
    kind: String,
    /// The stream that it feeds.
    stream: String,
}

/// Reads all sources.
pub(super) fn read(
    document: &Document,
    specs: &[SourceSpec],
    problems: &mut Vec<Problem>,
) -> BTreeMap<Name, SourceConfig> {
    let known = document.keys(&["stream"]);
    let mut sources = BTreeMap::new();
    for (name, key) in document.tables("source", problems) {
        let path = ["source", key];
        if key == "push" {
            problems.push(document.problem(&path, "this name stands for what is pushed; choose another"));
        }
        let Some(SourceKeys { kind, stream }) = document.read_all(&path, problems) else { continue };
        let spec = specs.iter().find(|spec| spec.name == kind);
        if spec.is_none() {
            let what = format!("no kind {kind:?}; {}", instead(&kind, specs.iter().map(|spec| spec.name)));
            problems.push(document.problem(&["source", key, "kind"], what));
        }
        let mut settings = document.get(&path).cloned().unwrap_or_default();
        if let Some(table) = settings.as_object_mut() {
            table.remove("kind");
            table.remove("stream");
        }
        if let Some(spec) = spec {
            document.check_all(&path, settings.clone(), spec.check, problems);
        }
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
