//! What can be asked of one view beside SQL: the events behind its rows, what has changed, what a change of its SQL would
//! change.
//!
//! ```text
//! POST /v1/views/{name}/explain   {"where": "…"}: rows and the events behind them
//! GET  /v1/views/{name}/changes   ?after=POSITION: closed windows that are new, different or gone, as JSON lines
//! GET  /v1/views/{name}/diff      the view that is built beside it, held against it
//! POST /v1/views/{name}/rebuild   builds it anew from the log, beside the one that answers
//! POST /v1/views/{name}/swap      lets a finished one that was held take its place
//! ```

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lakehead_model::{Name, Position};
use lakehead_query::{Question, ViewHandle, format};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sql;
use crate::{
    answers::{Refusal, status_of, streamed},
    app::App,
    bodies::{BODY_TIME_MAX, Key, read_object, read_small},
};

/// Room for a question: a condition as long as a query may be, and two numbers.
const QUESTION_BYTES_MAX: usize = 64 << 10;

const KEYS: [Key; 3] = [
    Key { name: "where", holds: "a condition in SQL over the view's columns", is_such: Value::is_string },
    Key { name: "rows", holds: "a whole number", is_such: Value::is_u64 },
    Key { name: "events", holds: "a whole number", is_such: Value::is_u64 },
];

/// How much of changes is written at once. What a client has not taken yet is not more than this and some rows.
const PIECE_BYTES: usize = 256 << 10;

/// When one for whom there was no turn may come again, in seconds.
const AGAIN_AFTER: u32 = 5;

/// Where to go on from, in the answer.
const POSITION: HeaderName = HeaderName::from_static("lakehead-position");

/// Set to `true` when the answer is all that there is, not what has changed.
const RESET: HeaderName = HeaderName::from_static("lakehead-reset");

fn named(app: &App, name: &str) -> Result<(Name, ViewHandle), Refusal> {
    let found = Name::new(name).ok().and_then(|name| app.engine.lake().view(&name).map(|view| (name, view)));
    found.ok_or_else(|| {
        let views = app.engine.lake().views();
        Refusal::unknown("view", name, views.iter().map(|view| view.name().as_str()))
    })
}

fn refused(error: lakehead_query::Error) -> Refusal {
    Refusal::new(status_of(error.kind()), error.to_string())
}

/// `POST /v1/views/{name}/explain`
pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let (name, _) = named(&app, &name)?;
    let body = read_small(body, QUESTION_BYTES_MAX, BODY_TIME_MAX).await?;
    let question: Question = read_object(&body, &KEYS)?;
    let _turn = app.queries.acquire().await;
    let explanation = app.sql.explain(&name, &question).await.map_err(sql::refused)?;
    Ok(Json(explanation).into_response())
}

/// What is asked of the changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangesParameters {
    after: Option<String>,
}

/// `GET /v1/views/{name}/changes`
pub(crate) async fn changes(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    asked: Result<Query<ChangesParameters>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) = asked?;
    let (_, view) = named(&app, &name)?;
    let after = asked.after.as_deref().map(position).transpose();
    let after = after.map_err(|what| Refusal::new(StatusCode::BAD_REQUEST, what))?;
    let turn = app.changes.take().await.ok_or_else(|| {
        Refusal::busy("others read the changes of views, and there was no turn in time; ask again", AGAIN_AFTER)
    })?;
    let changes = view.changes_after(after).await.map_err(refused)?;
    let (position, is_snapshot) = (changes.position.to_string(), changes.is_snapshot);
    let pieces = turn.write(Box::new(format::lines(changes.rows(), PIECE_BYTES)));
    let body = streamed(pieces).await.map_err(refused)?;
    let mut response =
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], body).into_response();
    if let Ok(position) = HeaderValue::from_str(&position) {
        response.headers_mut().insert(POSITION, position);
    }
    response.headers_mut().insert(RESET, HeaderValue::from_static(if is_snapshot { "true" } else { "false" }));
    Ok(response)
}

/// A position in a view's changes: `view.INCARNATION.COMMIT`, or without the first word, as answers of older versions had it.
fn position(text: &str) -> Result<Position, String> {
    let is_short = text.bytes().next().is_some_and(|first| first.is_ascii_digit());
    match if is_short { format!("view.{text}").parse() } else { text.parse() }? {
        position @ Position::View { .. } => Ok(position),
        Position::Log { .. } => {
            Err(format!("{text} is a position in a stream: take one from an answer before, as in view.2.17"))
        }
    }
}

/// `GET /v1/views/{name}/diff`
pub(crate) async fn diff(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let (name, _) = named(&app, &name)?;
    let _turn = app.queries.acquire().await;
    let found = app.engine.view_difference(&name).await;
    let found = found.map_err(|error| Refusal::new(status_of(error.kind()), error.to_string()))?;
    Ok(Json(found).into_response())
}

/// What was done with a view.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ViewDone {
    /// The view.
    view: Name,
    /// `rebuild` or `swap`.
    done: String,
}

/// `POST /v1/views/{name}/rebuild` and `POST /v1/views/{name}/swap`
pub(crate) async fn act(
    State(app): State<Arc<App>>,
    Path((name, what)): Path<(String, String)>,
) -> Result<Json<ViewDone>, Refusal> {
    let (name, _) = named(&app, &name)?;
    let done = match what.as_str() {
        "rebuild" => app.engine.rebuild_view(&name).await,
        "swap" => app.engine.swap_view(&name).await,
        _ => {
            let what = "a view can be asked to explain, for its changes and diff, and told to rebuild and to swap";
            return Err(Refusal::new(StatusCode::NOT_FOUND, what));
        }
    };
    done.map_err(|error| Refusal::new(status_of(error.kind()), error.to_string()))?;
    Ok(Json(ViewDone { view: name, done: what }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_taken_as_it_is_told_and_as_it_was() {
        let expected = Ok(Position::View { incarnation: 2, commit: 17 });
        assert_eq!((position("view.2.17"), position("2.17")), (expected.clone(), expected));
        for wrong in ["", "view", "2", "2.x", "log.0.17", "view.2.17.1", "2.17.1"] {
            assert!(position(wrong).is_err(), "{wrong}");
        }
    }
}
