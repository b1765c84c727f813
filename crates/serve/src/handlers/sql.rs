//! `POST /v1/sql`: one read-only query, answered in the format that the caller accepts.
//!
//! The body is the SQL. It is parsed, planned and run in a worker process, which has all the limits
//! ([`lakehead_engine::sql`]); here its bytes go to the client as fast as the client takes them. An answer that was cut, and
//! one that is not of one moment, say so in a header. An answer that breaks off, at a limit or by a defect, ends its
//! connection in the middle, so that nobody takes a part for the whole.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::Stream;
use lakehead_engine::sql::{self, AnswerFormat, Answering, SQL_BYTES_MAX};
use lakehead_model::Kind;

use crate::{
    answers::{Refusal, status_of, streamed},
    app::App,
    bodies::{BODY_TIME_MAX, read_small},
};

/// When a client that was sent away may come again, in seconds.
const AGAIN_AFTER: u32 = 5;
/// Set to `true` when the answer has more rows than the limit lets through.
const TRUNCATED: HeaderName = HeaderName::from_static("lakehead-truncated");

/// Characters of a warning in a header at most: clients bound the head of an answer, too.
const WARNING_CHARS_MAX: usize = 1_000;
/// What whoever reads the answer must know, a header for each.
const WARNING: HeaderName = HeaderName::from_static("lakehead-warning");

const FORMATS: [(&str, AnswerFormat); 4] = [
    ("application/json", AnswerFormat::Json),
    ("application/x-ndjson", AnswerFormat::Ndjson),
    ("text/csv", AnswerFormat::Csv),
    ("application/vnd.apache.arrow.stream", AnswerFormat::Arrow),
];

/// `POST /v1/sql`
pub(crate) async fn post(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let (content_type, form) = accepted(&headers)?;
    let body = read_small(body, SQL_BYTES_MAX, BODY_TIME_MAX).await?;
    let sql = std::str::from_utf8(&body).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("the query is not UTF-8 from byte {}", error.valid_up_to()))
    })?;
    if sql.trim().is_empty() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the statement is empty; send one SQL query as text"));
    }
    let answering = app.sql.answer(sql, form).await.map_err(refused)?;
    let (truncated, warnings) = (answering.head.truncated, answering.head.warnings.clone());
    let body = streamed(pieces(answering)).await.map_err(refused)?;
    let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response();
    if truncated {
        response.headers_mut().insert(TRUNCATED, HeaderValue::from_static("true"));
    }
    for warning in warnings {
        // What a header cannot hold is left out of it; the names in a warning are plain.
        let line = warning.chars().map(|c| if c.is_control() { ' ' } else { c });
        let plain: String = line.filter(char::is_ascii).take(WARNING_CHARS_MAX).collect();
        if let Ok(value) = HeaderValue::from_str(&plain) {
            response.headers_mut().append(WARNING, value);
        }
    }
    Ok(response)
}

/// The answer's bytes as they come. After an error there is nothing: the connection ends there.
fn pieces(answering: Answering) -> impl Stream<Item = Result<Bytes, sql::Error>> + Send + 'static {
    futures::stream::unfold(Some(answering), |answering| async {
        let mut answering = answering?;
        match answering.next().await? {
            Ok(piece) => Some((Ok(piece), Some(answering))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// How a query's error is told.
pub(crate) fn refused(error: sql::Error) -> Refusal {
    match error.kind() {
        Kind::Unavailable => Refusal::busy(error.to_string(), AGAIN_AFTER),
        // The text is right, and what it asks for is too much.
        _ if matches!(error, sql::Error::Limit(_)) => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        kind => Refusal::new(status_of(kind), error.to_string()),
    }
}

/// The first format that the caller names and we have; JSON for one who takes anything.
fn accepted(headers: &HeaderMap) -> Result<(&'static str, AnswerFormat), Refusal> {
    let lines: Vec<_> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let types = lines.iter().flat_map(|line| line.split(',')).map(|one| one.split(';').next().unwrap_or(one).trim());
    let mut asked = false;
    for one in types.filter(|one| !one.is_empty()) {
        asked = true;
        if let Some(known) = FORMATS.iter().find(|(name, _)| *name == one) {
            return Ok(*known);
        }
        if matches!(one, "*/*" | "application/*") {
            return Ok(FORMATS[0]);
        }
    }
    if asked {
        let known = FORMATS.map(|(name, _)| name).join(", ");
        return Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, format!("answers come as {known}; accept one of these")));
    }
    Ok(FORMATS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &'static str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        accepted(&headers).ok().map(|(name, _)| name)
    }

    #[test]
    fn the_caller_chooses_the_format() {
        assert_eq!(chosen("text/csv"), Some("text/csv"));
        assert_eq!(chosen("text/html, application/x-ndjson;q=0.8, */*;q=0.1"), Some("application/x-ndjson"));
        assert_eq!(chosen("*/*"), Some("application/json"));
        assert_eq!(chosen(""), Some("application/json"));
        assert_eq!(chosen("application/xml"), None);
        assert_eq!(chosen("application/vnd.apache.arrow.stream"), Some("application/vnd.apache.arrow.stream"));
    }
}
