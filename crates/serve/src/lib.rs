//! HTTP: the dashboard, SQL, the push gateway, status, health and metrics.
//!
//! The last floor below the binary. It asks the engine and decides nothing about events; it writes nothing but what a
//! push brings. Everything that comes from outside is bounded in size and time, and the page asks for nothing from
//! outside. What the routes are stands in `app.rs`; what the dashboard asks of the lake, in `panels.rs`.

mod answer;
mod app;
mod arriving;
mod assets;
mod bodies;
mod body;
mod chart_library;
mod coding;
mod error;
mod guard;
mod headers;
mod health;
mod import;
mod listen;
mod live;
mod metrics;
mod panels;
mod places;
mod push;
mod refusal;
mod reload;
pub mod routes;
mod sign_in;
mod sql;
mod turns;
mod upkeep;
mod verify;
mod views;

use std::{future::Future, sync::Arc};

use lakehead_engine::{Engine, sql::Workers};
use tokio::net::TcpListener;

pub use error::Error;
pub use reload::{NotReloaded, Reload, Reloading};

use crate::app::{App, Stopping};

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
        served = listen::serve(listener, Arc::clone(&app), app::router(Arc::clone(&app)), stopping) => {
            served.map_err(|source| Error::Listen { address, source })
        }
        () = app.live.push_status(&engine) => Ok(()),
        () = app.live.push_panels(&engine) => Ok(()),
        () = until_shutdown => Ok(()),
    }
}
