//! `POST /v1/sql`: one read-only query, answered in the format that the caller accepts.
//!
//! The body is the SQL. What bounds an answer in rows, memory and time are the lake's own limits; here only the number
//! of queries at once and the length of the text are bounded. An answer that was cut says so in a header.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lakehead_query::{
    Answer,
    format::{self, Format},
};

use crate::{
    app::App,
    body::{self, BODY_TIME_MAX},
    refusal::{Refusal, status_of},
};

/// The longest query text.
const SQL_BYTES_MAX: usize = 64 << 10;
/// How many queries run at once; more wait. Each may take a core, and the stream needs the machine too.
pub(crate) const QUERIES_MAX: usize = 4;
/// Set to `true` when the answer has more rows than the limit lets through.
const TRUNCATED: HeaderName = HeaderName::from_static("lakehead-truncated");
/// What whoever reads the answer has to know, a header for each: that a view in it stands still, since when and why.
const WARNING: HeaderName = HeaderName::from_static("lakehead-warning");

const FORMATS: [(&str, Format); 4] = [
    ("application/json", Format::Json),
    ("application/x-ndjson", Format::Ndjson),
    ("text/csv", Format::Csv),
    ("application/vnd.apache.arrow.stream", Format::Arrow),
];

/// `POST /v1/sql`
pub(crate) async fn post(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let (content_type, format) = accepted(&headers)?;
    let body = body::read(body, SQL_BYTES_MAX, BODY_TIME_MAX).await?;
    let sql = std::str::from_utf8(&body).map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, format!("the query is not UTF-8 from byte {}", error.valid_up_to()))
    })?;
    if sql.trim().is_empty() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the body is empty; send one SQL query as text"));
    }
    let _turn = app.queries.acquire().await;
    let answer = app.engine.lake().query(sql).await.map_err(refused)?;
    let truncated = answer.truncated;
    let warnings = answer.warnings.clone();
    let written = write(answer, format).await?;
    let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], written).into_response();
    if truncated {
        response.headers_mut().insert(TRUNCATED, HeaderValue::from_static("true"));
    }
    for warning in warnings {
        response.headers_mut().append(WARNING, header_text(&warning));
    }
    Ok(response)
}

/// A text as a header: on one line, its first so many characters.
fn header_text(text: &str) -> HeaderValue {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1_000).collect();
    HeaderValue::from_bytes(line.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static("a view stands still"))
}

async fn write(answer: Answer, format: Format) -> Result<Bytes, Refusal> {
    let write = move || {
        let mut written = Vec::new();
        format::write(&answer, format, &mut written).map(|()| Bytes::from(written))
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(written) => written.map_err(refused),
        Err(error) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("writing the answer: {error}"))),
    }
}

fn refused(error: lakehead_query::Error) -> Refusal {
    Refusal::new(status_of(error.kind()), error.to_string())
}

/// The first format that the caller names and we have; JSON for one who takes anything.
fn accepted(headers: &HeaderMap) -> Result<(&'static str, Format), Refusal> {
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
