//! `POST /v1/verify`: the audit, now: what is in the log against its upstream and its views.
//!
//! The body says what is to be audited, as JSON; empty, everything is. The answer is the whole report, whatever it
//! found: what the numbers mean is for the caller to say. One audit runs at a time, since it keeps a disk and cores
//! busy; it ends when the caller goes away.

use std::sync::Arc;

use axum::{Json, body::Body, extract::State, http::StatusCode};
use lakehead_engine::audit::{Report, Scope};
use lakehead_model::{Name, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    answers::{Refusal, status_of},
    app::App,
    bodies::{BODY_TIME_MAX, Key, read_object, read_small},
};

/// Room for a scope: two names and a time.
const SCOPE_BYTES_MAX: usize = 4 << 10;

/// After how many seconds a caller may ask again who came while another audit ran.
const BUSY_SECONDS: u32 = 10;

const KEYS: [Key; 3] = [
    Key { name: "stream", holds: "the name of a stream", is_such: Value::is_string },
    Key { name: "view", holds: "the name of a view", is_such: Value::is_string },
    Key {
        name: "since",
        holds: "a time with its zone, as in \"2026-11-24T00:00:00Z\"",
        is_such: |since| since.is_string() || since.is_i64(),
    },
];

/// What is asked for.
#[derive(Deserialize)]
struct WantedScope {
    stream: Option<Name>,
    view: Option<Name>,
    since: Option<Since>,
}

/// A time as people write it, or as `lakehead verify` sends it: microseconds since 1970.
#[derive(Deserialize)]
#[serde(untagged)]
enum Since {
    Text(String),
    Micros(Timestamp),
}

impl Since {
    fn read(self) -> Result<Timestamp, Refusal> {
        match self {
            Self::Micros(time) => Ok(time),
            Self::Text(text) => text.parse::<Timestamp>().map_err(|error| {
                let what = format!("`since` is no time: {error}; write one as in \"2026-11-24T00:00:00Z\"");
                Refusal::new(StatusCode::BAD_REQUEST, what)
            }),
        }
    }
}

/// `POST /v1/verify`
pub(crate) async fn post(State(app): State<Arc<App>>, body: Body) -> Result<Json<Report>, Refusal> {
    let body = read_small(body, SCOPE_BYTES_MAX, BODY_TIME_MAX).await?;
    let WantedScope { stream, view, since } = read_object(&body, &KEYS)?;
    let status = app.engine.status();
    if let Some(name) = stream.as_ref().filter(|name| !status.streams.contains_key(*name)) {
        return Err(Refusal::unknown("stream", name.as_str(), status.streams.keys().map(Name::as_str)));
    }
    if let Some(name) = view.as_ref().filter(|name| !status.views.contains_key(*name)) {
        return Err(Refusal::unknown("view", name.as_str(), status.views.keys().map(Name::as_str)));
    }
    let scope = Scope { stream, view, since: since.map(Since::read).transpose()? };
    let Ok(_turn) = app.audits.try_acquire() else {
        return Err(Refusal::busy("another audit is under way; ask again when it is done", BUSY_SECONDS));
    };
    match app.engine.verify(&scope).await {
        Ok(report) => Ok(Json(report)),
        Err(error) => Err(Refusal::new(status_of(error.kind()), error.to_string())),
    }
}
