//! Accepts connections and serves each, within bounds that a stranger cannot stretch.
//!
//! How many there are at once and who gives way stands in [`places`](super::places). A connection that fails concerns
//! nobody else.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::HttpBody,
    extract::ConnectInfo,
    http::{HeaderValue, Method, Request, Response, header},
    response::IntoResponse,
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    connection::{Connection, Phase},
    eviction::ARRIVING,
    places::{Full, Places, Seat},
    watched::{RequestBody, ResponseBody, Socket},
};
use crate::{access::carries_token, answers::Refusal, app::App, stopping::Stopping};

/// A head of so many bytes is always taken: addresses and cookies of ours are short. Of a longer one it depends on how it
/// arrives: the HTTP library counts what it has read when the head is not whole yet.
pub(crate) const HEAD_BYTES_MAX: usize = 32 << 10;
/// How often it is looked who has been waited for too long.
const SWEEP_EVERY: Duration = Duration::from_millis(250);
/// How long requests that are under way may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait after the system refused a connection, most likely for want of open files.
const REST: Duration = Duration::from_secs(1);
/// After so many refusals in a row, a minute's, the socket is taken for broken.
const REFUSALS_MAX: u32 = 60;
/// After how many seconds one may come again for whom there was no room.
const BUSY_SECONDS: u32 = 1;

/// Serves `routes` on `listener` until `stopping`, then lets what is under way finish for at most [`GRACE`].
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    routes: Router,
    mut stopping: Stopping,
) -> io::Result<()> {
    let mut refusals = 0;
    let places = Arc::clone(&app.places);
    let mut sweeps = interval(SWEEP_EVERY);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopping.wait() => break,
            _ = sweeps.tick() => {
                places.sweep();
                while connections.try_join_next().is_some() {}
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                refusals = 0;
                if let Some(seat) = seat(&places, peer, &mut stopping).await {
                    connections.spawn(connection(
                        socket,
                        peer,
                        seat,
                        Arc::clone(&app),
                        routes.clone(),
                        stopping.clone(),
                    ));
                }
            }
            Err(error) if refusals == REFUSALS_MAX => return Err(error),
            Err(error) => {
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

/// A place for who has come. Nobody gives way when all are being answered: who comes then is let go at once, not left to
/// wait. When others came a moment ago, it is worth waiting until they have asked or can give way.
async fn seat(places: &Arc<Places>, peer: SocketAddr, stopping: &mut Stopping) -> Option<Seat> {
    let since = Instant::now();
    loop {
        match places.take(peer.ip()) {
            Ok(seat) => return Some(seat),
            Err(Full::Soon) if since.elapsed() <= 2 * ARRIVING => tokio::select! {
                () = stopping.wait() => return None,
                () = tokio::time::sleep(ARRIVING / 10) => {}
            },
            Err(_) => {
                places.turn_away();
                return None;
            }
        }
    }
}

/// Serves one connection to its end; when the server stops, to the end of the request that is under way.
async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    app: Arc<App>,
    routes: Router,
    mut stopping: Stopping,
) {
    // Frames of the live page are small and must not wait for each other; if the system cannot, it is only slower.
    let _ = socket.set_nodelay(true);
    let (watched, places) = (Arc::clone(&seat.connection), Arc::clone(&seat.places));
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(|request: Request<Incoming>| {
        // At once, not when the answer is first worked on: in between the end of what the peer sends may be read.
        watched.enter(if request.body().is_end_stream() { Phase::Work } else { Phase::Body });
        answer(request, peer, &app, &watched, routes.clone())
    });
    let socket = Socket::new(socket, Arc::clone(&watched), places);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        // Ours, which knows a slow head from an idle connection.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service);
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        why = watched.told_to_close() => {
            tracing::debug!(%peer, ?why, "a connection is closed");
            return;
        }
        () = stopping.wait() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

/// Answers one request, in its place.
async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    app: &Arc<App>,
    connection: &Arc<Connection>,
    routes: TowerToHyperService<Router>,
) -> Result<Response<ResponseBody>, Infallible> {
    let light = matches!(request.uri().path(), "/healthz" | "/metrics")
        && matches!(*request.method(), Method::GET | Method::HEAD);
    let trusted = carries_token(app.token.as_ref(), request.headers());
    let under_way = app.places.begin(connection, light, trusted);
    let response = if under_way.is_some() {
        let mut request = request.map(|body| RequestBody::new(body, Arc::clone(connection)));
        request.extensions_mut().insert(ConnectInfo(peer));
        let Ok(response) = routes.call(request).await;
        response
    } else {
        let mut response = Refusal::busy("every place is taken by a request; ask again", BUSY_SECONDS).into_response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    };
    let (places, connection) = (Arc::clone(&app.places), Arc::clone(connection));
    Ok(response.map(|body| ResponseBody::new(body, places, connection, under_way)))
}
