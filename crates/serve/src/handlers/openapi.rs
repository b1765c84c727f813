//! `GET /v1/openapi.json`: the routes for programs.

use std::sync::{Arc, OnceLock};

use axum::{Json, extract::State};
use serde_json::Value;

use crate::{app::App, openapi::document};

/// It is the same for as long as the process runs.
static DOCUMENT: OnceLock<Value> = OnceLock::new();

/// `GET /v1/openapi.json`
pub(crate) async fn get(State(app): State<Arc<App>>) -> Json<&'static Value> {
    Json(DOCUMENT.get_or_init(|| document(app.engine.status().version)))
}
