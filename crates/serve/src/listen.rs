//! Takes connections and serves each, within bounds that a stranger cannot stretch.
//!
//! How many there are at once and who gives way stands in [`places`](crate::places). Here a connection's socket and its
//! requests are watched, so that it is known there what each waits for. A connection that fails concerns nobody else.

use std::{
    convert::Infallible,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::ConnectInfo,
    http::{HeaderValue, Method, Request, Response, header},
    response::IntoResponse,
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, Sleep, interval},
};

use crate::{
    app::{App, Stopping},
    guard,
    places::{ARRIVING, Connection, Full, Phase, Places, Seat},
    refusal::Refusal,
};

/// A head of so many bytes is always taken: addresses and cookies of ours are short. Of a longer one it depends on how it
/// arrives: the HTTP library counts what it has read when the head is not whole yet.
pub(crate) const HEAD_BYTES_MAX: usize = 32 << 10;
/// How long a request goes on whose peer has closed its side: either it has left, or it only says that it has sent
/// everything and still reads; nobody can tell. Small questions are answered within it, long ones end soon after.
const HALF_CLOSED_TIME_MAX: Duration = Duration::from_secs(2);
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
    let socket = Watched { socket, connection: Arc::clone(&watched), places, left: None };
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        // Ours, which knows a slow head from an idle connection.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service);
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        why = watched.cut() => {
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
) -> Result<Response<Outgoing>, Infallible> {
    let light = matches!(request.uri().path(), "/healthz" | "/metrics")
        && matches!(*request.method(), Method::GET | Method::HEAD);
    let trusted = guard::carries_token(app.token.as_ref(), request.headers());
    let under_way = app.places.begin(connection, light, trusted);
    let response = if under_way.is_some() {
        let mut request = request.map(|body| Coming { body, connection: Arc::clone(connection) });
        request.extensions_mut().insert(ConnectInfo(peer));
        let Ok(response) = routes.call(request).await;
        response
    } else {
        let mut response = Refusal::busy("every place is taken by a request; ask again", BUSY_SECONDS).into_response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    };
    // What is whole already is held in memory until it is read; what comes piece by piece is counted as it comes.
    let whole = response.body().size_hint().exact();
    app.places.made(connection, whole.unwrap_or(0));
    let (places, connection) = (Arc::clone(&app.places), Arc::clone(connection));
    let by_piece = whole.is_none();
    Ok(response.map(|body| Outgoing { body, by_piece, places, connection, _under_way: under_way }))
}

/// A request's body, which tells how it comes and when it is whole.
struct Coming {
    body: Incoming,
    connection: Arc<Connection>,
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            this.connection.starved();
            return Poll::Pending;
        };
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            this.connection.fed(data.len() as u64);
        }
        if frame.is_none() || this.body.is_end_stream() {
            this.connection.enter(Phase::Work);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body; when it is handed over, the request is done.
struct Outgoing {
    body: Body,
    by_piece: bool,
    places: Arc<Places>,
    connection: Arc<Connection>,
    _under_way: Option<crate::places::Request>,
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if this.by_piece
            && let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.places.made(&this.connection, data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that tells what goes over it.
struct Watched {
    socket: TcpStream,
    connection: Arc<Connection>,
    places: Arc<Places>,
    /// The peer has closed its side while its request is being answered: how long that goes on.
    left: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.places.wrote(&self.connection, *bytes as u64),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.connection.blocked(),
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.left.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
            if buffer.filled().len() > before {
                this.connection.read();
                return Poll::Ready(Ok(()));
            }
            this.left = Some(Box::pin(tokio::time::sleep(HALF_CLOSED_TIME_MAX)));
        }
        // A body that lacks its end is told from a whole one only by who reads it, so both have this time.
        if let Some(left) = &mut this.left
            && matches!(this.connection.phase(), Phase::Body | Phase::Work)
        {
            ready!(left.as_mut().poll(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.written(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write_vectored(cx, pieces);
        this.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
