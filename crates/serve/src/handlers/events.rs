//! `POST /v1/events`: events for any streams, as EventGate takes them; each names its stream in `meta.stream`.
//!
//! The statuses are EventGate's where it has one: 201 when every event is on disk in its stream, 202 with `?hasty=true` when they
//! are in the queues, 207 when some are not kept, 400 when none can be. Beyond these 429 says that queues are full and 507 that a
//! disk is. The body is read whole: its size, its time and its memory are bounded as for every push.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lakehead_engine::{BODY_BYTES_MAX, Cause, EventsPush};
use serde::Deserialize;

use super::push::{ROOM_SECONDS, key, refused, text, too_long};
use crate::{
    access::PushScope,
    answers::{EventsAnswer, Refusal, events_status},
    app::App,
    bodies::Arriving,
};

/// What a body may be called. `text/plain` is what a browser's beacon says, the form what `curl -d` says of anything.
const CONTENT_TYPES: [&str; 6] = [
    "application/json",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "text/plain",
    "application/x-www-form-urlencoded",
];

/// What stands behind the `?`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsParameters {
    /// Whether it is answered before it is on disk.
    #[serde(default)]
    hasty: bool,
}

/// `POST /v1/events`
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    asked: Result<Query<EventsParameters>, QueryRejection>,
    scope: Option<Extension<PushScope>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let Query(EventsParameters { hasty }) = asked?;
    let content_type = text(&headers, &header::CONTENT_TYPE);
    if !is_taken(content_type) {
        let error =
            format!("events are sent as {} or {}, or without a Content-Type", CONTENT_TYPES[0], CONTENT_TYPES[1]);
        let accepted = HeaderValue::from_static("application/json, application/x-ndjson");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error).with_header(header::ACCEPT, accepted));
    }
    let key = key(&headers)?;
    too_long(&headers)?;
    let mut arriving = Arriving::new(&app.body_memory, &headers, body, BODY_BYTES_MAX)?;
    let whole = arriving.whole().await?;
    let allowed = scope.map(|Extension(scope)| scope.streams());
    let how = EventsPush { content_type, key, hasty, allowed };
    let pushed = app.engine.push_events(whole, how).await.map_err(|error| refused(&error))?;
    let (status, counts) = (events_status(&pushed, hasty), &pushed.failed.counts);
    let again = counts.contains_key(&Cause::Busy) || counts.contains_key(&Cause::Unavailable);
    let mut response = (status, Json(EventsAnswer::of(pushed))).into_response();
    if again {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ROOM_SECONDS));
    }
    Ok(response)
}

/// Whether a body that is called so is read.
fn is_taken(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let named = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    CONTENT_TYPES.contains(&named.as_str()) || named.starts_with("application/") && named.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_by_any_of_its_names_is_taken_and_nothing_else() {
        for taken in
            ["application/json; charset=utf-8", "Application/X-NDJSON", "application/cloudevents+json", "text/plain"]
        {
            assert!(is_taken(Some(taken)), "{taken}");
        }
        assert!(is_taken(None));
        for other in ["application/xml", "text/html", "multipart/form-data; boundary=x", "", "json", "image/x+json"] {
            assert!(!is_taken(Some(other)), "{other}");
        }
    }
}
