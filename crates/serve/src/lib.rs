//! HTTP: the dashboard, SQL, the push gateway, status, health and metrics.
//!
//! The last floor below the binary. It asks the engine and decides nothing about events; it writes nothing but what a
//! push brings. Everything that comes from outside is bounded in size and time, and the page asks for nothing from
//! outside. Which paths there are stands in `router.rs`, for people in `routes.rs`. A request's way through the folders:
//!
//! ```text
//! connections/ ──▶ access/ ──▶ router.rs ──▶ handlers/ ──▶ answers/
//!  a place          the token                 │ bodies/     as the client takes it
//!                                             │ page/ panels/ live/: the dashboard; openapi/: the routes for programs
//!                                             ▼
//!                                            engine
//! ```

mod access;
mod answers;
mod app;
mod bodies;
mod connections;
mod error;
mod handlers;
mod live;
mod openapi;
mod page;
mod panels;
mod reload;
mod router;
pub mod routes;
mod stopping;

use std::{future::Future, sync::Arc};

use lakehead_engine::{Engine, sql::Workers};
use tokio::net::TcpListener;

pub use answers::retention_document;
pub use error::Error;
pub use reload::{Reload, ReloadError, ReloadFuture};

use crate::{app::App, stopping::Stopping};

/// Serves `engine` on `listener` until `shutdown` resolves, then lets requests that are under way finish for at most
/// five seconds. `reload` reads the pipeline again when somebody asks for it, `sql` answers queries. A connection that fails concerns nobody else.
///
/// # Errors
/// `Unavailable` when the listening socket itself fails, for a minute on end.
pub async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    reload: Arc<dyn Reload>,
    sql: Workers,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let address = listener.local_addr().map_or_else(|_| "an unknown address".to_owned(), |a| a.to_string());
    let (stop, stopping) = Stopping::new();
    let app = Arc::new(App::new(Arc::clone(&engine), reload, sql, stopping.clone()));
    let until_shutdown = async move {
        shutdown.await;
        stop.send_replace(true);
        std::future::pending().await
    };
    tokio::select! {
        served = connections::serve(listener, Arc::clone(&app), router::router(Arc::clone(&app)), stopping) => {
            served.map_err(|source| Error::Listen { address, source })
        }
        () = app.live.push_status(&engine) => Ok(()),
        () = app.live.push_panels(&engine) => Ok(()),
        () = until_shutdown => Ok(()),
    }
}
