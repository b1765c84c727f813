//! `GET /v1/retention`, `POST /v1/sealing/pause` and `/v1/sealing/resume`: what upkeep would remove, and a rest for it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    answers::{Refusal, retention_document, status_of},
    app::App,
};

/// `GET /v1/retention`
pub(crate) async fn retention(State(app): State<Arc<App>>) -> Result<Json<Value>, Refusal> {
    let planning = tokio::task::spawn_blocking(move || app.engine.retention());
    let defect = |error: tokio::task::JoinError| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let plans = planning.await.map_err(defect)?;
    let plans = plans.map_err(|error| Refusal::new(status_of(error.kind()), error.to_string()))?;
    Ok(Json(retention_document(&plans)))
}

/// Whether sealing rests.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SealingAnswer {
    /// Whether it does.
    paused: bool,
}

/// `POST /v1/sealing/{what}`
pub(crate) async fn sealing(
    State(app): State<Arc<App>>,
    Path(what): Path<String>,
) -> Result<Json<SealingAnswer>, Refusal> {
    match what.as_str() {
        "pause" => app.engine.pause_sealing(true),
        "resume" => app.engine.pause_sealing(false),
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "sealing can be told to pause and to resume")),
    }
    Ok(Json(SealingAnswer { paused: app.engine.sealing_is_paused() }))
}
