//! `POST /v1/verify`: the audit, now: what is in the log against its upstream and its views.
//!
//! The body says what is to be audited, as JSON; empty, everything is. The answer is the whole report, whatever it
//! found: what the numbers mean is for the caller to say. One audit runs at a time, since it keeps a disk and cores
//! busy; it ends when the caller goes away.

use std::sync::Arc;

use axum::{Json, body::Body, extract::State, http::StatusCode};
use lakehead_engine::audit::{Report, Scope};

use crate::{
    app::App,
    body::{self, BODY_TIME_MAX},
    refusal::{Refusal, status_of},
};

/// Room for a scope: two names and a time.
const SCOPE_BYTES_MAX: usize = 4 << 10;

/// After how many seconds a caller may ask again who came while another audit ran.
const BUSY_SECONDS: u32 = 10;

/// `POST /v1/verify`
pub(crate) async fn post(State(app): State<Arc<App>>, body: Body) -> Result<Json<Report>, Refusal> {
    let body = body::read(body, SCOPE_BYTES_MAX, BODY_TIME_MAX).await?;
    let scope: Scope = if body.trim_ascii().is_empty() {
        Scope::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            let what = format!("this is no scope of an audit: {error}; send {{}} for everything");
            Refusal::new(StatusCode::BAD_REQUEST, what)
        })?
    };
    let Ok(_turn) = app.audits.try_acquire() else {
        return Err(Refusal::busy("another audit is under way; ask again when it is done", BUSY_SECONDS));
    };
    match app.engine.verify(&scope).await {
        Ok(report) => Ok(Json(report)),
        Err(error) => Err(Refusal::new(status_of(error.kind()), error.to_string())),
    }
}
