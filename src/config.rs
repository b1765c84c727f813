//! A pipeline file: TOML in, a checked [`Pipeline`] out, or everything that is wrong with it.
//!
//! Each problem names file, line and key, and what would be valid; all of them are found in one go. Nothing is opened
//! and nothing is connected to. What a kind of source takes is its own affair: its spec checks the settings.

mod document;
mod panel;
mod problem;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use lakehead_connector_api::SourceSpec;
use lakehead_engine::{
    Pipeline,
    audit::AuditSettings,
    dashboard::Dashboard,
    pipeline::{SourceConfig, StreamConfig, Swap, Token, ViewConfig},
    schemas,
};
use lakehead_model::{ByteSize, Name, Span};
use lakehead_query::{Late, Outline};
use lakehead_store::Options;
use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::problem::{Problems, instead};
use self::{document::Document, problem::Problem};

/// The pipeline of `lakehead run` without a file.
pub(crate) const DEFAULT: &str = include_str!("default_pipeline.toml");

/// What the default pipeline is called in messages.
pub(crate) const DEFAULT_NAME: &str = "the default pipeline";

/// Where everything is kept when the pipeline does not say.
const DATA: &str = "./data";

/// Where Lakehead listens when the pipeline does not say: loopback only.
const LISTEN: &str = "127.0.0.1:8080";

/// Audits more often than this would be one that never ends.
const AUDIT_EVERY_MIN: Duration = Duration::from_secs(1);

/// The tables and keys at the top of the file.
const TOP: [&str; 10] =
    ["data", "listen", "listen_anyone", "token", "store", "verify", "stream", "source", "view", "panel"];

/// Names of streams that are always there.
const BUILT_IN: [&str; 2] = ["rejects", "gaps"];

/// Gives the value of `${NAME}`.
pub(crate) type Environment<'a> = dyn Fn(&str) -> Option<String> + Sync + 'a;

/// What the command line says over the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// In place of `data`.
    pub(crate) data: Option<PathBuf>,
    /// In place of `listen`.
    pub(crate) listen: Option<SocketAddr>,
    /// As `listen_anyone = true`.
    pub(crate) listen_anyone: bool,
}

/// Reads and checks the pipeline in `text`.
pub(crate) async fn read(
    file: &str,
    text: &str,
    sources: &[SourceSpec],
    environment: &Environment<'_>,
    overrides: Overrides,
) -> Result<Pipeline, Problems> {
    let wrong = |mut found: Vec<Problem>| {
        found.sort();
        found.dedup();
        Problems { file: file.to_owned(), found }
    };
    let document = Document::parse(text, environment).map_err(wrong)?;
    let mut problems = Vec::new();
    for key in document.keys(&[]) {
        if !TOP.contains(&key) {
            problems.push(document.problem(&[key], format!("unknown key; {}", instead(key, TOP))));
        }
    }
    let streams = streams(&document, &mut problems);
    let sources = self::sources(&document, sources, &mut problems);
    let (views, outlines) = views(&document, &streams, &mut problems).await;
    let schemas = schemas(&whole(&streams));
    let known = panel::Known { views: outlines, streams: &schemas };
    let dashboard = Dashboard { panels: panel::read(&document, &known, &mut problems), simulated: false };
    let token = token(&document, &mut problems);
    let listen = listen(&document, &overrides, token.is_some(), &mut problems);
    let store = store(&document, &mut problems);
    let verify = verify(&document, &mut problems);
    let data: Option<String> = keep(optional(&document, &["data"]), &mut problems).flatten();
    if !problems.is_empty() {
        return Err(wrong(problems));
    }
    let streams = streams.into_iter().filter_map(|(name, stream)| Some((name, stream?))).collect();
    let data = overrides.data.unwrap_or_else(|| Path::new(data.as_deref().unwrap_or(DATA)).to_owned());
    Ok(Pipeline { data, listen, token, streams, sources, views, store, verify, dashboard })
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
            None => Problem { line: 0, key, what },
        }
    };
    let mut found: Vec<Problem> = found.into_iter().map(place).collect();
    found.sort();
    Problems { file: file.to_owned(), found }
}

fn keep<T>(read: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

fn optional<T: serde::de::DeserializeOwned>(
    document: &Document,
    path: document::Place<'_>,
) -> Result<Option<T>, Problem> {
    match document.get(path) {
        Some(_) => document.read(path).map(Some),
        None => Ok(None),
    }
}

/// The names of the tables `[kind.NAME]`; what is no name, or no table, is a problem.
fn tables<'d>(document: &'d Document, kind: &'d str, problems: &mut Vec<Problem>) -> Vec<(Name, &'d str)> {
    if let Some(found) = document.get(&[kind]).filter(|found| !found.is_object()) {
        let what = format!("write a table, [{kind}.NAME], not {}", article(found));
        problems.push(document.problem(&[kind], what));
    }
    let mut names = Vec::new();
    for text in document.keys(&[kind]) {
        match Name::new(text) {
            Err(error) => problems.push(document.problem(&[kind, text], error.to_string())),
            Ok(_) if !document.get(&[kind, text]).is_some_and(Value::is_object) => {
                problems.push(document.problem(&[kind, text], format!("write a table, [{kind}.NAME]")));
            }
            Ok(name) => names.push((name, text)),
        }
    }
    names
}

fn article(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

/// The streams by name; one whose table is wrong is there without its columns, so that what names it is not wrong too.
fn streams(document: &Document, problems: &mut Vec<Problem>) -> BTreeMap<Name, Option<StreamConfig>> {
    let mut streams = BTreeMap::new();
    for (name, key) in tables(document, "stream", problems) {
        if BUILT_IN.contains(&key) {
            let what = "this stream is built in: Lakehead fills it itself; choose another name";
            problems.push(document.problem(&["stream", key], what));
        }
        let stream = stream::read(document, key, problems);
        streams.insert(name, stream);
    }
    if streams.is_empty() && document.get(&["stream"]).is_none() {
        let what = "there is no stream; add one, as in [stream.events]";
        problems.push(document.problem(&[], what));
    }
    streams
}

fn sources(document: &Document, specs: &[SourceSpec], problems: &mut Vec<Problem>) -> BTreeMap<Name, SourceConfig> {
    #[derive(Deserialize)]
    struct Common {
        kind: String,
        stream: String,
    }
    let known = document.keys(&["stream"]);
    let mut sources = BTreeMap::new();
    for (name, key) in tables(document, "source", problems) {
        let path = ["source", key];
        if key == "push" {
            problems.push(document.problem(&path, "this name stands for what is pushed; choose another"));
        }
        let Some(Common { kind, stream }) = keep(document.read(&path), problems) else { continue };
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
        if let Some(Err(message)) = spec.map(|spec| (spec.check)(&settings)) {
            problems.push(document.explain(path.map(str::to_owned).to_vec(), &message));
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

async fn views(
    document: &Document,
    streams: &BTreeMap<Name, Option<StreamConfig>>,
    problems: &mut Vec<Problem>,
) -> (BTreeMap<Name, ViewConfig>, BTreeMap<Name, Outline>) {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Keys {
        sql: String,
        watermark_delay: Option<Span>,
        lateness: Option<Span>,
        late: Option<Late>,
        state_max: Option<ByteSize>,
        swap: Option<Swap>,
    }
    let whole = whole(streams);
    let schemas = schemas(&whole);
    let (mut views, mut outlines) = (BTreeMap::new(), BTreeMap::new());
    for (name, key) in tables(document, "view", problems) {
        if schemas.contains_key(&name) {
            let what = "a stream has this name; both are tables in SQL, so choose another";
            problems.push(document.problem(&["view", key], what));
        }
        let Some(keys) = keep(document.read::<Keys>(&["view", key]), problems) else { continue };
        let default = ViewConfig::new(keys.sql);
        let view = ViewConfig {
            watermark_delay: keys.watermark_delay.map_or(default.watermark_delay, |span| span.0),
            lateness: keys.lateness.map_or(default.lateness, |span| span.0),
            late: keys.late.unwrap_or(default.late),
            state_max: keys.state_max.unwrap_or(default.state_max),
            swap: keys.swap.unwrap_or(default.swap),
            ..default
        };
        views.insert(name, view);
    }
    // With a broken stream the SQL cannot be judged: the stream's own problem comes first.
    if whole.len() == streams.len() {
        // One that has a stream's name was told so, and would only read itself.
        let texts = views.iter().filter(|(name, _)| !schemas.contains_key(*name));
        let texts = texts.map(|(name, view)| (name.clone(), view.sql.clone())).collect();
        match lakehead_query::check_views(&texts, &schemas).await {
            Ok(plans) => {
                // Each stands after those that it reads.
                for (name, plan) in plans.iter().filter_map(|(name, plan)| Some((name, plan.as_ref().ok()?))) {
                    let outline = plan.outline(plan.reads().and_then(|above| outlines.get(above)));
                    outlines.insert(name.clone(), outline);
                }
                problems.extend(plans.into_iter().filter_map(|(name, plan)| {
                    let error = plan.err()?.to_string().replace('\n', " ");
                    Some(document.problem(&["view", name.as_str(), "sql"], error))
                }));
            }
            Err(error) => problems.push(document.problem(&["view"], error.to_string())),
        }
    }
    (views, outlines)
}

/// The streams whose tables are good.
fn whole(streams: &BTreeMap<Name, Option<StreamConfig>>) -> BTreeMap<Name, StreamConfig> {
    streams.iter().filter_map(|(name, stream)| Some((name.clone(), stream.clone()?))).collect()
}

fn token(document: &Document, problems: &mut Vec<Problem>) -> Option<Token> {
    let text: String = keep(optional(document, &["token"]), problems).flatten()?;
    match Token::new(text) {
        Ok(token) => Some(token),
        Err(what) => {
            problems.push(document.problem(&["token"], what));
            None
        }
    }
}

fn listen(document: &Document, overrides: &Overrides, token: bool, problems: &mut Vec<Problem>) -> SocketAddr {
    let anyone = keep(optional::<bool>(document, &["listen_anyone"]), problems).flatten().unwrap_or(false);
    let anyone = anyone || overrides.listen_anyone;
    let written: Option<String> = keep(optional(document, &["listen"]), problems).flatten();
    let written = written.as_deref().unwrap_or(LISTEN);
    let address = match (overrides.listen, written.parse::<SocketAddr>()) {
        (Some(address), _) | (None, Ok(address)) => address,
        (None, Err(_)) => {
            let what = format!("{written:?} is not an address: write IP and port, as in {LISTEN:?}");
            problems.push(document.problem(&["listen"], what));
            return SocketAddr::from(([127, 0, 0, 1], 0));
        }
    };
    if !address.ip().is_loopback() && !token && !anyone {
        let what = format!(
            "{address} can be reached from other machines: set a token, as in token = \"${{LAKEHEAD_TOKEN}}\", or write \
             listen_anyone = true (--listen-anyone) if everyone who reaches it may read and push"
        );
        problems.push(match overrides.listen {
            Some(_) => Problem { line: 0, key: "--listen".to_owned(), what },
            None => document.problem(&["listen"], what),
        });
    }
    address
}

/// `[verify]`: when the standing audit runs.
fn verify(document: &Document, problems: &mut Vec<Problem>) -> AuditSettings {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Keys {
        every: Option<String>,
        bytes_per_second: Option<ByteSize>,
    }
    let default = AuditSettings::default();
    let keys: Keys = keep(optional(document, &["verify"]), problems).flatten().unwrap_or_default();
    let every = match keys.every.as_deref() {
        None => default.every,
        Some("off") => None,
        Some(text) => match text.parse::<Span>() {
            Ok(span) if span.0 >= AUDIT_EVERY_MIN => Some(span.0),
            _ => {
                let what = format!("{text:?} is neither \"off\" nor a time of at least a second, as in \"1h\"");
                problems.push(document.problem(&["verify", "every"], what));
                None
            }
        },
    };
    AuditSettings { every, bytes_per_second: keys.bytes_per_second.unwrap_or(default.bytes_per_second) }
}

fn store(document: &Document, problems: &mut Vec<Problem>) -> Options {
    let Some(options) = keep(optional::<Options>(document, &["store"]), problems).flatten() else {
        return Options::default();
    };
    if let Err(error) = options.check() {
        problems.push(document.explain(vec!["store".to_owned()], &error.to_string()));
    }
    options
}
