//! `[view.NAME]`: a standing query and how it is kept. Its SQL is compiled here, so that what is wrong with it is told with its
//! place in the file.

use std::collections::BTreeMap;

use lakehead_engine::{
    pipeline::{StreamConfig, Swap, ViewConfig},
    schemas,
};
use lakehead_model::{ByteSize, Name, Span, StreamSchema};
use lakehead_query::{Late, Outline};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{document::Document, problem::Problem, stream::whole};

/// A view's keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewKeys {
    /// One SELECT over a stream or another view; each column needs a name.
    sql: String,
    /// How far the watermark stays behind the latest event time: a window is closed when it has passed its end. Default: 1m.
    watermark_delay: Option<Span>,
    /// How long after the end of a window late events still correct it. Default: 24h.
    lateness: Option<Span>,
    /// What becomes of an event whose window was closed already. Default: "correct".
    late: Option<Late>,
    /// Memory that the open windows may take; beyond it the view stops and reports it. Default: 1 GiB.
    state_max: Option<ByteSize>,
    /// Disk space for changes that followers of the view have not read yet; beyond it the slowest begins with a snapshot. Default: 1 GiB.
    changes_max: Option<ByteSize>,
    /// When the shadow of a view that was changed replaces the active view: as soon as it is built ("auto"), or when
    /// `lakehead view swap` asks for it ("ask"). Default: "auto".
    #[schemars(with = "Option<String>")]
    swap: Option<Swap>,
}

/// Reads all views, and what their rows look like.
pub(super) async fn read(
    document: &Document,
    streams: &BTreeMap<Name, Option<StreamConfig>>,
    problems: &mut Vec<Problem>,
) -> (BTreeMap<Name, ViewConfig>, BTreeMap<Name, Outline>) {
    let schemas = schemas(&whole(streams));
    let views = tables(document, &schemas, problems);
    let texts = judgeable(&views, streams, &schemas);
    let outlines = compile(document, &texts, &schemas, problems).await;
    (views, outlines)
}

fn tables(
    document: &Document,
    schemas: &BTreeMap<Name, StreamSchema>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Name, ViewConfig> {
    let mut views = BTreeMap::new();
    for (name, key) in document.tables("view", problems) {
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
            changes_max: keys.changes_max.unwrap_or(default.changes_max),
            swap: keys.swap.unwrap_or(default.swap),
            ..default
        };
        views.insert(name, view);
    }
    views
}

/// The SQL of the views that can be judged.
fn judgeable(
    views: &BTreeMap<Name, ViewConfig>,
    streams: &BTreeMap<Name, Option<StreamConfig>>,
    schemas: &BTreeMap<Name, StreamSchema>,
) -> BTreeMap<Name, String> {
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
    texts
}

/// What the rows of the views look like whose SQL is good; what is wrong with the others is a problem.
async fn compile(
    document: &Document,
    texts: &BTreeMap<Name, String>,
    schemas: &BTreeMap<Name, StreamSchema>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Name, Outline> {
    let mut outlines = BTreeMap::new();
    match lakehead_query::check_views(texts, schemas).await {
        Ok(plans) => {
            // Each stands after those that it reads.
            for (name, plan) in plans.iter().filter_map(|(name, plan)| Some((name, plan.as_ref().ok()?))) {
                let outline = plan.outline(plan.upstream().and_then(|above| outlines.get(above)));
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
    outlines
}

/// Whether a word of `sql` is `name`.
fn mentions(sql: &str, name: &Name) -> bool {
    sql.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word.eq_ignore_ascii_case(name.as_str()))
}
