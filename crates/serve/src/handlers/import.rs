//! `/v1/streams/{name}/import`: where `lakehead import` hands its lines to a running process.
//!
//! A `POST` is compare-and-append: the lines are kept together with the cursor in `lakehead-cursor`, and only when the
//! import stands at the one in `lakehead-cursor-expected` (none when it has not begun); else the answer is 409 with the
//! cursor that is held. So a request whose answer was lost is never taken twice. `GET` tells the cursor.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
};
use lakehead_engine::{
    BODY_BYTES_MAX, Error,
    import::{ImportBatch, Imported},
};
use lakehead_model::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::push::{refused, text};
use crate::{answers::Refusal, app::App, bodies::Arriving};

const CURSOR: HeaderName = HeaderName::from_static("lakehead-cursor");
const EXPECTED: HeaderName = HeaderName::from_static("lakehead-cursor-expected");

/// What stands behind the `?`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportParameters {
    /// The import's name, with its prefix.
    source: Name,
    /// Where the lines come from, for a person who reads the rejects.
    from: Option<String>,
    /// The number of the first line, from 1.
    first_line: Option<u64>,
    /// The body is the beginning of one line of so many bytes.
    cut: Option<u64>,
    /// A dotted path to the event time, before the schema's own.
    event_time: Option<String>,
}

/// Where an import stands.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CursorAnswer {
    /// Its cursor as text; null when it has not begun.
    cursor: Option<Arc<str>>,
}

/// `GET /v1/streams/{name}/import`
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    asked: Result<Query<ImportParameters>, QueryRejection>,
) -> Result<Json<CursorAnswer>, Refusal> {
    let Query(asked) = asked?;
    let cursor = app.engine.import_cursor(&name, &asked.source).map_err(|error| refused(&error))?;
    Ok(Json(CursorAnswer { cursor }))
}

/// `POST /v1/streams/{name}/import`
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    asked: Result<Query<ImportParameters>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Imported>, Refusal> {
    let Query(asked) = asked?;
    let Some(cursor) = text(&headers, &CURSOR).filter(|cursor| serde_json::from_str::<Value>(cursor).is_ok()) else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "lakehead-cursor is missing, or is not JSON"));
    };
    let mut arriving = Arriving::new(&app.body_memory, &headers, body, BODY_BYTES_MAX)?;
    let run = ImportBatch {
        text: arriving.whole().await?,
        from: asked.from.unwrap_or_else(|| asked.source.to_string()),
        first_line: asked.first_line.unwrap_or(1),
        cut: asked.cut,
        cursor: cursor.into(),
    };
    let expected = text(&headers, &EXPECTED);
    let imported = app.engine.import(&name, &asked.source, asked.event_time.as_deref(), expected, run).await;
    imported.map(Json).map_err(|error| {
        let refusal = refused(&error);
        match error {
            Error::CursorMoved { held: Some(held), .. } => match HeaderValue::from_str(&held) {
                Ok(held) => refusal.with_header(CURSOR, held),
                Err(_) => refusal,
            },
            _ => refusal,
        }
    })
}
