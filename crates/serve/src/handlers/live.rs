//! `GET /v1/live`: what the dashboard shows, pushed ([`live`](crate::live)); and what a page sees of it.
//!
//! `GET /v1/live?see=NAME,NAME` sees these panels from the start, for who is no page; a name that is not known is refused. One
//! that a page says later is not: a reload may have taken the panel away meanwhile.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use crate::{
    answers::Refusal,
    app::App,
    bodies::{BODY_TIME_MAX, read_small},
    live::{CLIENTS_MAX, Seen},
    panels::{LEDGERS, PANELS_MAX, Panels},
};

/// Most bytes of what a client says that it sees: the names of all panels there can be.
const SEEN_BYTES_MAX: usize = 64 << 10;

/// What stands behind the question mark.
#[derive(Deserialize)]
pub(crate) struct LiveParameters {
    #[serde(default)]
    see: String,
}

/// `GET /v1/live`
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    wanted: Result<Query<LiveParameters>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(wanted) = wanted?;
    let sees: Seen =
        wanted.see.split(',').filter(|name| !name.is_empty()).take(PANELS_MAX).map(str::to_owned).collect();
    // Those of what is refused or missing come with the first such entry; they may be waited for.
    let panels = Panels::of(&app.engine, &LEDGERS).panels;
    if let Some(unknown) = sees.iter().find(|name| panels.iter().all(|panel| panel.name != **name)) {
        return Err(Refusal::unknown("panel", unknown, panels.iter().map(|panel| panel.name.as_str())));
    }
    let Some(client) = app.live.listen(app.stopping.clone(), sees) else {
        return Err(Refusal::busy(format!("{CLIENTS_MAX} listen already; close a dashboard"), 10));
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would otherwise hold frames back until its buffer is full.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(client.into_stream())).into_response())
}

/// `POST /v1/live/{client}`: the names of the panels that this page sees now, as a JSON array.
pub(crate) async fn sees(
    State(app): State<Arc<App>>,
    Path(client): Path<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let body = read_small(body, SEEN_BYTES_MAX, BODY_TIME_MAX).await?;
    let seen: Seen = serde_json::from_slice(&body).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("write a JSON array of names of panels: {error}"))
    })?;
    let seen = seen.into_iter().take(PANELS_MAX).collect();
    if client.parse().is_ok_and(|client| app.live.notes(client, seen)) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::new(StatusCode::NOT_FOUND, format!("nobody listens as {client}; GET /v1/live says as whom")))
}
