//! The routes, and what they share.
//!
//! ```text
//! GET  /                          the dashboard         GET  /v1/status   all that goes on, JSON
//! GET  /assets/{hash}/{name}      its files             GET  /v1/live     the same pushed, with the panels' rows
//! POST /v1/sql                    a query               GET  /healthz     200, or 503 with reasons
//! POST /v1/streams/{name}/events  the push gateway      GET  /metrics     Prometheus
//! POST /v1/verify                 the audit, now        POST /v1/reload   the pipeline file, read again
//! POST /v1/views/{name}/…         the events behind its rows, what has changed, what would change; see views.rs
//! POST /v1/live/{client}          the panels that one who listens sees
//! GET  /v1/streams/{name}/import  where an import stands, and POST, its next lines
//! ```
//!
//! Around all of them stand the [`guard`](crate::guard) and the [`headers`](crate::headers); every refusal is JSON.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use lakehead_engine::{Engine, pipeline::Token, sql::Workers, status::Status};
use tokio::sync::{Semaphore, watch};

use crate::{
    assets, assets::Assets, bodies::Bodies, guard, headers, health, import, live, live::Live, metrics, places::Places,
    push, refusal::Refusal, reload, reload::Reload, sign_in, sql, turns::Turns, upkeep, verify, views,
};

/// What the routes share.
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) reload: Arc<dyn Reload>,
    pub(crate) token: Option<Token>,
    pub(crate) assets: Assets,
    pub(crate) live: Arc<Live>,
    pub(crate) sql: Workers,
    pub(crate) queries: Semaphore,
    pub(crate) changes: Arc<Turns>,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) places: Arc<Places>,
    pub(crate) audits: Semaphore,
    pub(crate) stopping: Stopping,
}

impl App {
    pub(crate) fn new(engine: Arc<Engine>, reload: Arc<dyn Reload>, sql: Workers, stopping: Stopping) -> Self {
        Self {
            token: engine.pipeline().token.clone(),
            assets: Assets::new(engine.pipeline().dashboard.simulated),
            engine,
            reload,
            live: Arc::new(Live::new()),
            sql,
            queries: Semaphore::new(views::QUERIES_MAX),
            changes: Arc::default(),
            bodies: Arc::default(),
            places: Arc::default(),
            audits: Semaphore::new(1),
            stopping,
        }
    }
}

/// Tells that the server stops, so that answers without an end can end.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// The signal, and what gives it: set it to true.
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (give, take) = watch::channel(false);
        (give, Self(take))
    }

    /// Returns when the server stops.
    pub(crate) async fn wait(&mut self) {
        // An error means that the one who would tell is gone: that is stopping, too.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }

    #[cfg(test)]
    pub(crate) fn never() -> Self {
        let (give, take) = Self::new();
        std::mem::forget(give);
        take
    }
}

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
        .route("/v1/streams/{name}/events", post(push::post))
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
    let known = "/, /v1/status, /v1/live, /v1/live/{client}, /v1/sql, /v1/verify, /v1/reload, /v1/streams/{name}/events, \
                 /v1/streams/{name}/import, /v1/views/{name}/explain, changes, diff, rebuild and swap, /v1/retention, \
                 /v1/sealing/pause, /v1/sealing/resume, /healthz, /metrics";
    Refusal::new(StatusCode::NOT_FOUND, format!("nothing is served at {}; there are {known}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
}
