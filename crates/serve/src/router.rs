//! The router: which handler answers which path.
//!
//! ```text
//! GET  /                          the dashboard         GET  /v1/status   all that goes on, JSON
//! GET  /assets/{hash}/{name}      its files             GET  /v1/live     the same pushed, with the panels' rows
//! POST /v1/sql                    a query               GET  /healthz     200, or 503 with reasons
//! POST /v1/events                 the push gateway, for events that name their streams
//! POST /v1/streams/{name}/events  the same for one stream      GET  /metrics     Prometheus
//! POST /v1/verify                 the audit, now        POST /v1/reload   the pipeline file, read again
//! POST /v1/views/{name}/…         the events behind its rows, what has changed, what would change; see handlers/views.rs
//! POST /v1/live/{client}          the panels that one who listens sees
//! GET  /v1/streams/{name}/import  where an import stands, and POST, its next lines
//! GET  /v1/openapi.json           all of this, for programs
//! ```
//!
//! Around all of them stand the [`guard`] and the [`headers`]; every refusal is JSON.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use lakehead_engine::status::Status;

use crate::{
    access::{guard, sign_in},
    answers::{Refusal, headers},
    app::App,
    handlers::{assets, events, health, import, live, metrics, openapi, push, reload, sql, upkeep, verify, views},
};

/// Every route, ready to be served with the peer's address as connect info.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(assets::page))
        .route("/assets/{folder}/{name}", get(assets::file))
        .route("/v1/status", get(status))
        .route("/v1/live", get(live::get))
        .route("/v1/live/{client}", post(live::sees))
        .route("/v1/sql", post(sql::post))
        .route("/v1/verify", post(verify::post))
        .route("/v1/reload", post(reload::post))
        .route("/v1/events", post(events::post))
        .route("/v1/streams/{name}/events", post(push::post))
        .route("/v1/openapi.json", get(openapi::get))
        .route("/v1/views/{name}/explain", post(views::explain))
        .route("/v1/views/{name}/changes", get(views::changes))
        .route("/v1/views/{name}/diff", get(views::diff))
        .route("/v1/views/{name}/{what}", post(views::act))
        .route("/v1/retention", get(upkeep::retention))
        .route("/v1/sealing/{what}", post(upkeep::sealing))
        .route("/v1/streams/{name}/import", get(import::get).post(import::post))
        .route("/healthz", get(health::get))
        .route("/metrics", get(metrics::get))
        .route(sign_in::PATH, post(sign_in::post))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(readable_path))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::check))
        .layer(middleware::from_fn(headers::add))
        .with_state(app)
}

/// `GET /v1/status`
async fn status(State(app): State<Arc<App>>) -> Json<Status> {
    Json(app.engine.status())
}

/// Refuses a path with a part that is not UTF-8, which every route would refuse without JSON.
async fn readable_path(parts: Result<RawPathParams, RawPathParamsRejection>, request: Request, next: Next) -> Response {
    match parts {
        Err(RawPathParamsRejection::InvalidUtf8InPathParam(error)) => {
            Refusal::new(StatusCode::BAD_REQUEST, format!("the path cannot be read: {error}")).into_response()
        }
        _ => next.run(request).await,
    }
}

async fn no_such_route(uri: Uri) -> Refusal {
    let known = "/, /v1/status, /v1/live, /v1/live/{client}, /v1/sql, /v1/verify, /v1/reload, /v1/events, \
                 /v1/openapi.json, /v1/streams/{name}/events, /v1/streams/{name}/import, /v1/views/{name}/explain, changes, diff, rebuild and swap, /v1/retention, \
                 /v1/sealing/pause, /v1/sealing/resume, /healthz, /metrics";
    Refusal::new(StatusCode::NOT_FOUND, format!("nothing is served at {}; there are {known}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
}
