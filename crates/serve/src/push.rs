//! `POST /v1/streams/{name}/events`: the gateway's HTTP face.
//!
//! The statuses are EventGate's: 201 when every event is committed, 207 when some are and some were refused, 400 when
//! none was; and 507 while the disk is full: nothing of the body was kept then, and it goes on by itself. Whatever is reported here is on disk: the events in their stream, what was refused in `rejects`.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use lakehead_engine::{BODY_BYTES_MAX, Error, Pushed};
use serde_json::{Value, json};

use crate::{
    app::App,
    body::{self, BODY_TIME_MAX},
    refusal::{Refusal, status_of},
};

/// How many pushes are held in memory at once; more wait before their bodies are read. With the largest body this
/// bounds them to 256 MiB.
pub(crate) const PUSHES_MAX: usize = 16;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `POST /v1/streams/{name}/events`
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let _turn = app.pushes.acquire().await;
    let body = body::read(body, BODY_BYTES_MAX, BODY_TIME_MAX).await?;
    let content_type = text(&headers, &header::CONTENT_TYPE);
    let key = text(&headers, &IDEMPOTENCY_KEY);
    let pushed = app.engine.push(&name, body, content_type, key).await.map_err(|error| refused(&error))?;
    Ok((status(&pushed), Json(document(&pushed))).into_response())
}

fn status(pushed: &Pushed) -> StatusCode {
    match (pushed.accepted > 0 || pushed.repeated, pushed.rejected.is_empty()) {
        (true, true) => StatusCode::CREATED,
        (true, false) => StatusCode::MULTI_STATUS,
        (false, _) => StatusCode::BAD_REQUEST,
    }
}

fn document(pushed: &Pushed) -> Value {
    let mut document = json!({ "accepted": pushed.accepted, "first_offset": pushed.first_offset });
    if !pushed.rejected.is_empty() {
        document["invalid"] = json!(pushed.rejected);
    }
    if pushed.without_event_time > 0 {
        document["without_event_time"] = json!({ "count": pushed.without_event_time, "reason": pushed.why_without });
    }
    if pushed.repeated {
        document["repeated"] = json!(true);
    }
    if pushed.accepted == 0 && !pushed.repeated {
        document["error"] = json!("no event was taken; the reasons stand in \"invalid\"");
    }
    document
}

pub(crate) fn refused(error: &Error) -> Refusal {
    let status = match error {
        Error::UnknownStream { .. } => StatusCode::NOT_FOUND,
        Error::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::KeyInFlight | Error::CursorMoved { .. } => StatusCode::CONFLICT,
        Error::Store(error) if error.is_full() => StatusCode::INSUFFICIENT_STORAGE,
        other => status_of(other.kind()),
    };
    Refusal::new(status, error.to_string())
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use lakehead_engine::Rejected;
    use lakehead_model::Offset;

    use super::*;

    #[test]
    fn the_status_tells_all_some_or_none() {
        let bad = || vec![Rejected { index: 1, reason: "not JSON".into() }];
        let all = Pushed { accepted: 2, first_offset: Some(Offset(7)), ..Pushed::default() };
        assert_eq!((status(&all), document(&all)), (StatusCode::CREATED, json!({"accepted": 2, "first_offset": 7})));
        let some = Pushed { rejected: bad(), ..all };
        assert_eq!(status(&some), StatusCode::MULTI_STATUS);
        assert_eq!(document(&some)["invalid"], json!([{"index": 1, "reason": "not JSON"}]));
        assert_eq!(status(&Pushed { rejected: bad(), ..Pushed::default() }), StatusCode::BAD_REQUEST);
        let untimed =
            Pushed { accepted: 2, without_event_time: 1, why_without: Some("no dt".into()), ..Pushed::default() };
        assert_eq!(status(&untimed), StatusCode::CREATED);
        assert_eq!(document(&untimed)["without_event_time"], json!({"count": 1, "reason": "no dt"}));
        assert_eq!(status(&Pushed { repeated: true, ..Pushed::default() }), StatusCode::CREATED);
    }
}
