//! `POST /v1/streams/{name}/events`: the gateway's HTTP face.
//!
//! The statuses are EventGate's: 201 when every event is committed, 207 when some are and some were refused, 400 when
//! none was; and 507 while the disk is full: what was not answered as accepted was not kept then, and it goes on by itself.
//! Whatever is reported here is on disk: the events in their stream, what was refused in `rejects`.
//!
//! ```text
//! a body of known length, or with an idempotency key      read whole, then kept at once
//! lines without a length that have not ended in a second  kept line by line as they come; the answer counts them
//! ```
//! Of the second kind everything that was whole is kept when the connection breaks: only a last line without its end is
//! not.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
use futures::future::poll_immediate;
use lakehead_engine::{BODY_BYTES_MAX, Error, KEY_BYTES_MAX, Pushed, Pushing, is_lines};
use lakehead_model::ByteSize;
use tokio::time::{Instant, timeout_at};

use crate::{
    access::PushScope,
    answers::{PushAnswer, Refusal, status_of},
    app::App,
    bodies::Arriving,
};

/// After this time, or this many bytes, lines are kept as they come, if their end is not known.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(1);
const WHOLE_BYTES_MAX: usize = 1 << 20;

/// How much is gathered at once of lines that come faster than they are kept.
const LINES_BYTES: usize = 1 << 20;

/// How long lines that last may pause: five minutes. A whole line begins it anew. A quiet program logs at least that often,
/// or sends a line of white space; and its place is given to others when they need it.
const PAUSES_MAX: Duration = Duration::from_secs(300);

/// After how many seconds a push may be sent again for which there was no room in a queue.
pub(crate) const ROOM_SECONDS: u32 = 1;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `POST /v1/streams/{name}/events`
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    scope: Option<Extension<PushScope>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let scope = scope.map(|Extension(scope)| scope);
    if let Some(scope) = &scope {
        scope.check(&app, &name)?;
    }
    let content_type = text(&headers, &header::CONTENT_TYPE);
    let key = key(&headers)?;
    too_long(&headers)?;
    let may_last = announced(&headers).is_none() && key.is_none();
    let mut arriving = Arriving::new(&app.body_memory, &headers, body, BODY_BYTES_MAX)?;
    let mut came = BytesMut::new();
    let whole_until = Instant::now() + WHOLE_TIME_MAX;
    loop {
        let next = arriving.next(came.len());
        let piece = if may_last && is_lines(&came, content_type) {
            match timeout_at(whole_until, next).await {
                Ok(piece) if came.len() <= WHOLE_BYTES_MAX => piece?,
                Ok(piece) => {
                    came.extend_from_slice(&piece?.unwrap_or_default());
                    return Ok(line_by_line(&app, &name, scope.as_ref(), arriving, came).await);
                }
                Err(_) => return Ok(line_by_line(&app, &name, scope.as_ref(), arriving, came).await),
            }
        } else {
            next.await?
        };
        match piece {
            Some(piece) => came.extend_from_slice(&piece),
            None => break,
        }
    }
    let pushed = app.engine.push(&name, came.freeze(), content_type, key).await.map_err(|error| refused(&error))?;
    Ok((status(&pushed), Json(PushAnswer::of(&pushed))).into_response())
}

/// The key of a push. One that cannot be taken is refused: its sender relies on it.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        let error = "a push has one Idempotency-Key, not several; send one for the whole body";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, error));
    }
    key.to_str().map(Some).map_err(|_| refused(&Error::BadKey { limit: KEY_BYTES_MAX }))
}

/// The length that was announced, before it is decoded.
fn announced(headers: &HeaderMap) -> Option<u64> {
    text(headers, &header::CONTENT_LENGTH)?.parse().ok()
}

/// Refuses a body that says itself that it is too large, before any of it is read.
pub(crate) fn too_long(headers: &HeaderMap) -> Result<(), Refusal> {
    if announced(headers).is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
        return Err(refused(&Error::BodyTooLarge { limit: ByteSize(BODY_BYTES_MAX as u64) }));
    }
    Ok(())
}

/// Keeps lines as they come, and counts them in the end, or where it broke.
async fn line_by_line(
    app: &App,
    name: &str,
    scope: Option<&PushScope>,
    mut arriving: Arriving,
    mut came: BytesMut,
) -> Response {
    let mut pushing = Pushing::default();
    let ended = keep_lines(app, name, scope, &mut arriving, &mut came, &mut pushing).await;
    let told = app.engine.push_finish(name, &mut pushing).await.map_err(|error| refused(&error));
    let mut answer = PushAnswer::of(&pushing.pushed);
    let status = match ended.and(told) {
        Ok(()) => status(&pushing.pushed),
        Err(refusal) => {
            let error = refusal.error.trim_end_matches('.');
            answer.error = Some(format!("{error}; what is counted here was whole and is kept"));
            refusal.status
        }
    };
    (status, Json(answer)).into_response()
}

async fn keep_lines(
    app: &App,
    name: &str,
    scope: Option<&PushScope>,
    arriving: &mut Arriving,
    came: &mut BytesMut,
    pushing: &mut Pushing,
) -> Result<(), Refusal> {
    arriving.allow_pauses(PAUSES_MAX);
    let mut ended = false;
    let mut broken = None;
    loop {
        let whole =
            if ended { came.len() } else { came.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) };
        if whole > 0 {
            // A reload may have taken the token back since the last ones.
            scope.map_or(Ok(()), |scope| scope.check(app, name))?;
            let lines: Bytes = came.split_to(whole).freeze();
            app.engine.push_lines(name, lines, pushing).await.map_err(|error| refused(&error))?;
            arriving.forget(whole);
            arriving.allow_pauses(PAUSES_MAX);
        }
        if let Some(refusal) = broken {
            return Err(refusal);
        }
        if ended {
            return Ok(());
        }
        // What has come meanwhile goes into the same write.
        let mut stopping = app.stopping.clone();
        let mut next = Some(tokio::select! {
            next = arriving.next(came.len()) => next,
            () = stopping.wait() => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "this server is stopping")),
        });
        while let Some(piece) = next.take() {
            match piece {
                Ok(Some(piece)) => came.extend_from_slice(&piece),
                Ok(None) => ended = true,
                Err(refusal) => broken = Some(refusal),
            }
            if !ended && broken.is_none() && came.len() < LINES_BYTES {
                next = poll_immediate(arriving.next(came.len())).await;
            }
        }
    }
}

fn status(pushed: &Pushed) -> StatusCode {
    match (pushed.accepted > 0 || pushed.repeated, pushed.rejected == 0) {
        (true, true) => StatusCode::CREATED,
        (true, false) => StatusCode::MULTI_STATUS,
        (false, _) => StatusCode::BAD_REQUEST,
    }
}

pub(crate) fn refused(error: &Error) -> Refusal {
    let status = match error {
        Error::UnknownStream { .. } => StatusCode::NOT_FOUND,
        Error::BodyTooLarge { .. }
        | Error::TooManyEvents { .. }
        | Error::TooManyLines { .. }
        | Error::TooManyAtOnce { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::QueueFull { .. } => {
            return Refusal::new(StatusCode::TOO_MANY_REQUESTS, error.to_string())
                .with_header(header::RETRY_AFTER, HeaderValue::from(ROOM_SECONDS));
        }
        Error::KeyInFlight | Error::CursorMoved { .. } => StatusCode::CONFLICT,
        Error::Store(error) if error.is_full() => StatusCode::INSUFFICIENT_STORAGE,
        Error::PartlyPushed { source, .. } => refused(source).status,
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
    use serde_json::{Value, json};

    use super::*;

    fn document(pushed: &Pushed) -> Value {
        serde_json::to_value(PushAnswer::of(pushed)).expect("JSON")
    }

    #[test]
    fn the_status_tells_all_some_or_none() {
        let bad = || Pushed {
            rejected: 1,
            invalid: vec![Rejected { index: 1, reason: "not JSON".into() }],
            ..Pushed::default()
        };
        let all = Pushed { accepted: 2, first_offset: Some(Offset(7)), ..Pushed::default() };
        assert_eq!((status(&all), document(&all)), (StatusCode::CREATED, json!({"accepted": 2, "first_offset": 7})));
        let some = Pushed { accepted: 2, ..bad() };
        assert_eq!(status(&some), StatusCode::MULTI_STATUS);
        assert_eq!(document(&some)["rejected"], 1);
        assert_eq!(document(&some)["invalid"], json!([{"index": 1, "reason": "not JSON"}]));
        assert_eq!(status(&bad()), StatusCode::BAD_REQUEST);
        let untimed =
            Pushed { accepted: 2, without_event_time: 1, why_without: Some("no dt".into()), ..Pushed::default() };
        assert_eq!(status(&untimed), StatusCode::CREATED);
        assert_eq!(document(&untimed)["without_event_time"], json!({"count": 1, "reason": "no dt"}));
        assert_eq!(status(&Pushed { repeated: true, ..Pushed::default() }), StatusCode::CREATED);
    }
}
