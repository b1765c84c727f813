//! Takes connections and serves each, within bounds that a stranger cannot stretch.
//!
//! How many there are at once, how long a request's head may take, and how long the last answers may take when the
//! server stops: all are limited here, below the routes. A connection that fails concerns nobody else.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router, extract::ConnectInfo};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use crate::app::Stopping;

/// How many connections there are at once; more wait to be taken. A quarter of the 1,024 open files that a process is
/// commonly allowed; the log and the views need the rest.
const CONNECTIONS_MAX: usize = 256;
/// How long a request's head may take, and a connection may rest between two requests.
const HEAD_TIME_MAX: Duration = Duration::from_secs(15);
/// The longest head: addresses and cookies of ours are short.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// How long requests that are under way may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait after the system refused a connection, most likely for want of open files.
const REST: Duration = Duration::from_secs(1);
/// After so many refusals in a row, a minute's, the socket is taken for broken.
const REFUSALS_MAX: u32 = 60;

/// Serves `routes` on `listener` until `stopping`, then lets what is under way finish for at most [`GRACE`].
pub(crate) async fn serve(listener: TcpListener, routes: Router, mut stopping: Stopping) -> io::Result<()> {
    let mut refusals = 0;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.wait() => break,
            accepted = async { (Arc::clone(&places).acquire_owned().await, listener.accept().await) } => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            (place, Ok((socket, peer))) => {
                refusals = 0;
                let (routes, stopping) = (routes.clone(), stopping.clone());
                connections.spawn(async move {
                    connection(socket, peer, routes, stopping).await;
                    drop(place);
                });
            }
            (_, Err(error)) if refusals == REFUSALS_MAX => return Err(error),
            (_, Err(error)) => {
                refusals += 1;
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!("some requests did not finish within {GRACE:?} and are cut off");
    }
    Ok(())
}

/// Serves one connection to its end; when the server stops, to the end of the request that is under way.
async fn connection(socket: TcpStream, peer: SocketAddr, routes: Router, mut stopping: Stopping) {
    // Frames of the live page are small and must not wait for each other; if the system cannot, it is only slower.
    let _ = socket.set_nodelay(true);
    let service = TowerToHyperService::new(routes.layer(Extension(ConnectInfo(peer))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopping.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}
