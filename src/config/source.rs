//! `[source.NAME]`: what brings events into a stream, or several. What a kind of source takes is its own affair: its spec checks the
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
    /// The stream that it feeds; or `streams`.
    #[serde(default)]
    stream: Option<String>,
    /// The streams that it feeds, in place of `stream`. Not every kind can feed more than one.
    #[serde(default)]
    streams: Option<Vec<String>>,
}

/// What of a source's table is not its kind's.
const OWN_KEYS: [&str; 3] = ["kind", "stream", "streams"];

/// Most streams of one source: each has a cursor of this source in its log, of which a stream keeps 128.
const STREAMS_MAX: usize = 100;

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
        let Some(SourceKeys { kind, stream, streams }) = document.read_all(&path, problems) else {
            if document.get(&["source", key, "stream"]).or(document.get(&["source", key, "streams"])).is_none() {
                problems.push(document.problem(&["source", key, "stream"], "this key is missing"));
            }
            continue;
        };
        let spec = specs.iter().find(|spec| spec.name == kind);
        if spec.is_none() {
            let what = format!("no kind {kind:?}; {}", instead(&kind, specs.iter().map(|spec| spec.name)));
            problems.push(document.problem(&["source", key, "kind"], what));
        }
        let mut settings = document.get(&path).cloned().unwrap_or_default();
        if let Some(table) = settings.as_object_mut() {
            OWN_KEYS.iter().for_each(|key| drop(table.remove(*key)));
        }
        if let Some(spec) = spec {
            document.check_all(&path, settings.clone(), spec.check, problems);
        }
        let mut wrong = |below: &[&str], what: String| {
            problems.push(document.problem(&[&path[..], below].concat(), what));
        };
        if let Some(streams) = names(stream, streams, &known, &mut wrong) {
            sources.insert(name, SourceConfig { kind, streams, settings });
        }
    }
    sources
}

/// The streams that a source feeds. What is `wrong` is told with the keys below the source.
fn names(
    stream: Option<String>,
    streams: Option<Vec<String>>,
    known: &[&str],
    wrong: &mut dyn FnMut(&[&str], String),
) -> Option<Vec<Name>> {
    let is_list = streams.is_some();
    let texts = match (stream, streams) {
        (Some(_), Some(_)) => {
            wrong(&["streams"], "write stream or streams, not both".to_owned());
            return None;
        }
        (Some(one), None) => vec![one],
        (None, Some(several)) => several,
        (None, None) => {
            wrong(&["stream"], "this key is missing".to_owned());
            return None;
        }
    };
    if !(1..=STREAMS_MAX).contains(&texts.len()) {
        wrong(&["streams"], format!("expected 1 to {STREAMS_MAX} names of streams, found {}", texts.len()));
        return None;
    }
    let mut names: Vec<Name> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let at = at.to_string();
        let place: &[&str] = if is_list { &["streams", &at] } else { &["stream"] };
        match Name::new(text) {
            Ok(name) if names.contains(&name) => wrong(place, format!("the stream {text:?} stands here twice")),
            Ok(name) if known.contains(&text.as_str()) => names.push(name),
            _ => wrong(place, format!("no stream {text:?} in this file; {}", instead(text, known.iter().copied()))),
        }
    }
    (names.len() == texts.len()).then_some(names)
}
