//! A pipeline file: TOML in, a checked [`Pipeline`] out, or everything that is wrong with it.
//!
//! Each problem names file, line and key, and what would be valid; all of them are found in one go. Nothing is opened
//! and nothing is connected to. What a kind of source takes is its own affair: its spec checks the settings.

mod document;
mod panel;
mod problem;
mod reference;
mod stream;
#[cfg(test)]
mod tests;
mod written;

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
use lakehead_model::{ByteSize, Name, Span, hint::instead};
use lakehead_query::{Late, Outline};
use lakehead_store::Options;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::{document::Document, problem::Problem};
pub(crate) use self::{problem::Problems, reference::page};

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
    let mut document = Document::parse(text, environment).map_err(wrong)?;
    let mut problems = std::mem::take(&mut document.twice);
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
            None => Problem { key, what, ..Problem::default() },
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

/// The table at `path`, if there is one and it is right; everything that is wrong with it is a problem.
fn all<T: serde::de::DeserializeOwned>(
    document: &Document,
    path: document::Place<'_>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    document.get(path)?;
    document.read_all(path, problems)
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

/// A source's keys beside those of its kind.
#[derive(Deserialize, JsonSchema)]
struct SourceKeys {
    /// What kind of source it is; each has its own keys, which stand below.
    kind: String,
    /// The stream that it feeds.
    stream: String,
}

fn sources(document: &Document, specs: &[SourceSpec], problems: &mut Vec<Problem>) -> BTreeMap<Name, SourceConfig> {
    let known = document.keys(&["stream"]);
    let mut sources = BTreeMap::new();
    for (name, key) in tables(document, "source", problems) {
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

/// A view's keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ViewKeys {
    /// One SELECT over a stream or another view; each column needs a name.
    sql: String,
    /// How far the watermark stays behind the latest event time: a window is closed when it has passed its end. Default: 1m.
    watermark_delay: Option<Span>,
    /// How long after the end of a window late events still correct it. Default: 24h.
    lateness: Option<Span>,
    /// What becomes of an event whose window was closed already. Default: "correct".
    late: Option<Late>,
    /// Memory that the open windows may take; beyond it the view stands still and says so. Default: 1 GiB.
    state_max: Option<ByteSize>,
    /// When a view that was built anew takes the place of the old one. Default: "auto".
    #[schemars(with = "Option<String>")]
    swap: Option<Swap>,
}

async fn views(
    document: &Document,
    streams: &BTreeMap<Name, Option<StreamConfig>>,
    problems: &mut Vec<Problem>,
) -> (BTreeMap<Name, ViewConfig>, BTreeMap<Name, Outline>) {
    let whole = whole(streams);
    let schemas = schemas(&whole);
    let (mut views, mut outlines) = (BTreeMap::new(), BTreeMap::new());
    for (name, key) in tables(document, "view", problems) {
        if schemas.contains_key(&name) {
            let what = "a stream has this name; both are tables in SQL, so choose another";
            problems.push(document.problem(&["view", key], what));
        }
        let Some(keys) = document.read_all::<ViewKeys>(&["view", key], problems) else {
            // Its SQL is looked at all the same.
            let sql = document.get(&["view", key, "sql"]).and_then(Value::as_str).filter(|sql| !sql.is_empty());
            views.extend(sql.map(|sql| (name, ViewConfig::new(sql.to_owned()))));
            continue;
        };
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
    // Over a broken stream SQL cannot be judged, nor over a view of one; the stream's own problem comes first.
    let mut unknown: Vec<Name> =
        streams.iter().filter(|(_, stream)| stream.is_none()).map(|(n, _)| n.clone()).collect();
    // One that has a stream's name was told so, and would only read itself.
    let mut texts: BTreeMap<Name, String> = views.iter().map(|(name, view)| (name.clone(), view.sql.clone())).collect();
    texts.retain(|name, _| !schemas.contains_key(name));
    while let Some(name) = unknown.pop() {
        let reads = texts.iter().filter(|(_, sql)| mentions(sql, &name));
        let reads: Vec<Name> = reads.map(|(name, _)| name.clone()).collect();
        texts.retain(|name, _| !reads.contains(name));
        unknown.extend(reads);
    }
    match lakehead_query::check_views(&texts, &schemas).await {
        Ok(plans) => {
            // Each stands after those that it reads.
            for (name, plan) in plans.iter().filter_map(|(name, plan)| Some((name, plan.as_ref().ok()?))) {
                let outline = plan.outline(plan.reads().and_then(|above| outlines.get(above)));
                outlines.insert(name.clone(), outline);
            }
            problems.extend(plans.into_iter().filter_map(|(name, plan)| {
                let (error, path) = (plan.err()?, ["view", name.as_str(), "sql"]);
                Some(match error.place() {
                    Some(place) => {
                        document.problem_in_text(&path, (place.line, place.column, place.length), error.what())
                    }
                    None => document.problem(&path, error.what()),
                })
            }));
        }
        Err(error) => problems.push(document.problem(&["view"], error.to_string())),
    }
    (views, outlines)
}

/// The streams whose tables are good.
fn whole(streams: &BTreeMap<Name, Option<StreamConfig>>) -> BTreeMap<Name, StreamConfig> {
    streams.iter().filter_map(|(name, stream)| Some((name.clone(), stream.clone()?))).collect()
}

/// Whether a word of `sql` is `name`.
fn mentions(sql: &str, name: &Name) -> bool {
    sql.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word.eq_ignore_ascii_case(name.as_str()))
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
            Some(_) => Problem { key: "--listen".to_owned(), what, ..Problem::default() },
            None => document.problem(&["listen"], what),
        });
    }
    address
}

/// The standing audit's keys.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct VerifyKeys {
    /// How often everything that is new is counted again: "off", or a span of time of at least a second. Default: 1h.
    #[serde(rename = "every")]
    _every: Option<String>,
    /// How fast it reads, at most. Default: 64 MiB.
    bytes_per_second: Option<ByteSize>,
}

/// `[verify]`: when the standing audit runs.
fn verify(document: &Document, problems: &mut Vec<Problem>) -> AuditSettings {
    let default = AuditSettings::default();
    let keys: VerifyKeys = all(document, &["verify"], problems).unwrap_or_default();
    // Also where another key is wrong.
    let every = match document.get(&["verify", "every"]).and_then(Value::as_str) {
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
    let Some(options) = all::<Options>(document, &["store"], problems) else { return Options::default() };
    if let Err(error) = options.check() {
        problems.push(document.explain(vec!["store".to_owned()], &error.to_string()));
    }
    options
}
