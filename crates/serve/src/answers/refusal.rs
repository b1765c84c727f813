//! How a request is told no: a status that says who must act, and `{"error": …}` that says what to do.

use axum::{
    Json,
    extract::rejection::QueryRejection,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lakehead_model::{Kind, hint::instead};
use schemars::JsonSchema;
use serde::Serialize;

/// How much of a name that is not known is repeated: more than the longest there can be.
const NAME_CHARS_MAX: usize = 80;

/// What a refused request is answered.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErrorAnswer {
    /// What is wrong, and what to do.
    error: String,
}

/// A refused request.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), header: None }
    }

    /// There is no `what` of this name; says what there is.
    pub(crate) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let known = instead(&name, known);
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} {name:?}; {known}"))
    }

    /// Asks the caller to come again after this many seconds.
    pub(crate) fn busy(error: impl Into<String>, seconds: u32) -> Self {
        Self {
            header: Some((header::RETRY_AFTER, HeaderValue::from(seconds))),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
        }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorAnswer { error: self.error })).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// The status that fits a kind of error when nothing more is known about it.
pub(crate) fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unavailable | Kind::Closed => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Corrupt | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
