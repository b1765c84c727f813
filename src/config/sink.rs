//! `[sink.NAME]`: what is delivered to another system. Some keys are the engine's own; what a kind of sink takes beside them is its
//! own affair: its spec checks these settings.

use std::{collections::BTreeMap, time::Duration};

use lakehead_connector_api::{SinkSpec, Takes};
use lakehead_engine::pipeline::{Keep, SinkConfig, Start};
use lakehead_model::{ByteSize, Name, Span, hint::instead};
use lakehead_query::Outline;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{document::Document, kind, problem::Problem, stream::BUILT_IN_STREAMS};
use crate::kinds::Kinds;

/// A sink's keys beside those of its kind.
#[derive(Deserialize, JsonSchema)]
pub(super) struct SinkKeys {
    /// What kind of sink it is; each has [its own keys](connectors.md).
    kind: String,
    /// The stream or view that it delivers. Of a view these are the changes of its closed windows.
    from: String,
    /// Where it begins when it has no position yet: at the "beginning" of what is kept, or with what comes from "now" on. A
    /// change of it moves no sink that has begun. Default: "beginning".
    #[schemars(with = "Option<String>")]
    start: Option<Start>,
    /// How many writes may be under way at once, from 1 to 64. Rows of one key stay in their order; events of a stream have no
    /// key, and with more than one lane their order at the target is not that of the stream. Default: 1.
    #[schemars(with = "Option<u64>")]
    lanes: Option<Value>,
    /// How long after an event was received retention waits for this sink: a span of time, or "always", though the disk fills.
    /// What is removed before it was delivered is counted as lost. Default: 7d.
    #[serde(rename = "keep")]
    #[schemars(with = "Option<String>")]
    _keep: Option<Value>,
    /// After how long at most the position is committed while rows arrive, up to 10m; what came since then is written again
    /// after a crash. Default: 1s.
    commit_every: Option<Span>,
    /// The most bytes of rows that are read and have no answer yet, from 8 MiB on. Default: 32 MiB.
    memory: Option<ByteSize>,
}

/// Their names.
const OWN: [&str; 7] = ["kind", "from", "start", "lanes", "keep", "commit_every", "memory"];

/// What a sink may deliver.
pub(super) struct Deliverable<'a> {
    /// What the rows of the views look like whose SQL is good.
    pub(super) views: &'a BTreeMap<Name, Outline>,
}

/// Reads all sinks.
pub(super) fn read(
    document: &Document,
    kinds: Kinds,
    there: &Deliverable<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Name, SinkConfig> {
    let tables = document.tables("sink", problems);
    let sinks =
        tables.into_iter().filter_map(|(name, key)| Some((name, read_one(document, key, kinds, there, problems)?)));
    sinks.collect()
}

fn read_one(
    document: &Document,
    key: &str,
    kinds: Kinds,
    there: &Deliverable<'_>,
    problems: &mut Vec<Problem>,
) -> Option<SinkConfig> {
    let keys: SinkKeys = document.read_all(&["sink", key], problems)?;
    let spec = kinds.sink(&keys.kind);
    let spec = spec.map_err(|what| problems.push(document.problem(&["sink", key, "kind"], what))).ok();
    let settings = kind::settings(document, ["sink", key], &OWN, spec.map(|spec| &spec.kind), problems);
    let from = from(document, &keys.from, there, spec);
    let from = from.map_err(|what| problems.push(document.problem(&["sink", key, "from"], what))).ok();
    let mut told = |key_below: &str, what: String| problems.push(document.problem(&["sink", key, key_below], what));
    let lanes = keys.lanes.map(|lanes| lanes_of(&lanes)).transpose();
    let lanes = lanes.map_err(|what| told("lanes", what)).ok();
    let keep = document.get(&["sink", key, "keep"]).map(keep_of).transpose();
    let keep = keep.map_err(|what| told("keep", what)).ok();
    let commit_every = keys.commit_every.map(|span| span.0);
    if let Some(every) = commit_every.filter(|every| every.is_zero() || *every > SinkConfig::COMMIT_EVERY_MAX) {
        let most = Span(SinkConfig::COMMIT_EVERY_MAX);
        told(
            "commit_every",
            format!("{} is out of range; write a span of more than 0 and at most {most}", Span(every)),
        );
    }
    if let Some(memory) = keys.memory.filter(|memory| *memory < SinkConfig::MEMORY_MIN) {
        let least = SinkConfig::MEMORY_MIN;
        told("memory", format!("{memory} is too little; write at least {least}, which holds two of the largest rows"));
    }
    let default = SinkConfig::new(keys.kind, from?, settings);
    Some(SinkConfig {
        start: keys.start.unwrap_or(default.start),
        lanes: lanes?.unwrap_or(default.lanes),
        keep: keep?.unwrap_or(default.keep),
        commit_every: commit_every.unwrap_or(default.commit_every),
        memory: keys.memory.unwrap_or(default.memory),
        ..default
    })
}

/// The stream or view of this name, if it is one and the sink can take its rows.
fn from(
    document: &Document,
    text: &str,
    there: &Deliverable<'_>,
    spec: Option<&'static SinkSpec>,
) -> Result<Name, String> {
    let (streams, views) = (document.keys(&["stream"]), document.keys(&["view"]));
    let is_stream = streams.contains(&text) || BUILT_IN_STREAMS.contains(&text);
    let name = match Name::new(text) {
        Ok(name) if is_stream || views.contains(&text) => name,
        _ => {
            let known = streams.into_iter().chain(views).chain(BUILT_IN_STREAMS);
            return Err(format!("no stream or view {text:?} in this file; {}", instead(text, known)));
        }
    };
    let Some(spec) = spec.filter(|spec| spec.takes == Takes::Keyed) else { return Ok(name) };
    let kind = spec.name;
    if is_stream {
        return Err(format!(
            "`{kind}` replaces and deletes rows by their key, and events of a stream have none; deliver a view that groups \
             them, or take a kind that appends"
        ));
    }
    // One whose SQL is wrong has its own problem.
    match there.views.get(&name) {
        Some(outline) if !outline.keys_are_whole => Err(format!(
            "`{kind}` replaces and deletes rows by their key, and the view {name} does not show every column that it groups \
             by; select each of them, its window's start too, or take a kind that appends"
        )),
        _ => Ok(name),
    }
}

fn lanes_of(value: &Value) -> Result<usize, String> {
    let lanes = value.as_u64().and_then(|lanes| usize::try_from(lanes).ok());
    let lanes = lanes.filter(|lanes| (1..=SinkConfig::LANES_MAX).contains(lanes));
    lanes.ok_or_else(|| format!("{value} is out of range; write a whole number from 1 to {}", SinkConfig::LANES_MAX))
}

fn keep_of(value: &Value) -> Result<Keep, String> {
    let text = value.as_str();
    if text == Some("always") {
        return Ok(Keep::Always);
    }
    let span: Option<Duration> = text.and_then(|text| text.parse::<Span>().ok()).map(|span| span.0);
    let span = span.ok_or_else(|| format!("{value} is neither \"always\" nor a span of time, as in \"7d\""))?;
    Ok(Keep::For(span))
}
