//! What the handlers share: the engine, and what bounds their work.

use std::sync::Arc;

use lakehead_engine::{Engine, pipeline::Token, sql::Workers};
use tokio::sync::Semaphore;

use crate::{
    answers::Turns, bodies::BodyMemory, connections::Places, live::Live, page::Assets, reload::Reload,
    stopping::Stopping,
};

/// How many questions about views are answered at once; more wait. Each may take a core, and the stream needs the machine too.
const QUERIES_MAX: usize = 4;

/// What the handlers share.
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    /// Reads the pipeline again.
    pub(crate) reload: Arc<dyn Reload>,
    /// The token of the pipeline that the server was started with.
    pub(crate) token: Option<Token>,
    /// The files of the dashboard.
    pub(crate) assets: Assets,
    /// What is pushed to dashboards.
    pub(crate) live: Arc<Live>,
    /// The processes that answer SQL.
    pub(crate) sql: Workers,
    /// Permits to ask about views.
    pub(crate) queries: Semaphore,
    /// Turns at reading the changes of views.
    pub(crate) changes: Arc<Turns>,
    /// The memory for bodies that are being read.
    pub(crate) body_memory: Arc<BodyMemory>,
    /// The places for connections.
    pub(crate) places: Arc<Places>,
    /// The permit to audit: one audit runs at a time, since it keeps a disk and cores busy.
    pub(crate) audits: Semaphore,
    /// Tells that the server stops.
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
            queries: Semaphore::new(QUERIES_MAX),
            changes: Arc::default(),
            body_memory: Arc::default(),
            places: Arc::default(),
            audits: Semaphore::new(1),
            stopping,
        }
    }
}
