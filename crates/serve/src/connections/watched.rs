//! A connection's socket and the bodies that go over it, each of which reports what it does.
//!
//! What they report tells [`Places`] what every connection waits for. They change nothing of what goes over them, but
//! for the end of what a peer sends: while a request of the peer is being answered the end is held back for two seconds.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

use super::{
    connection::{Connection, Phase},
    places::{Places, UnderWay},
};

/// How long a request goes on whose peer has closed its side: either it has left, or it only says that it has sent
/// everything and still reads; nobody can tell. Small questions are answered within it, long ones end soon after.
const HALF_CLOSED_TIME_MAX: Duration = Duration::from_secs(2);

/// A request's body: reports how it comes and when it is whole.
pub(super) struct RequestBody {
    body: Incoming,
    connection: Arc<Connection>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, connection: Arc<Connection>) -> Self {
        Self { body, connection }
    }
}

impl HttpBody for RequestBody {
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
pub(super) struct ResponseBody {
    body: Body,
    by_piece: bool,
    places: Arc<Places>,
    connection: Arc<Connection>,
    _under_way: Option<UnderWay>,
}

impl ResponseBody {
    pub(super) fn new(
        body: Body,
        places: Arc<Places>,
        connection: Arc<Connection>,
        under_way: Option<UnderWay>,
    ) -> Self {
        // What is whole already is held in memory until it is read; what comes piece by piece is counted as it comes.
        let whole = body.size_hint().exact();
        places.made(&connection, whole.unwrap_or(0));
        Self { body, by_piece: whole.is_none(), places, connection, _under_way: under_way }
    }
}

impl HttpBody for ResponseBody {
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

/// A socket that reports what goes over it.
pub(super) struct Socket {
    socket: TcpStream,
    connection: Arc<Connection>,
    places: Arc<Places>,
    /// The peer has closed its side while its request is being answered: how long that goes on.
    left: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(socket: TcpStream, connection: Arc<Connection>, places: Arc<Places>) -> Self {
        Self { socket, connection, places, left: None }
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.places.wrote(&self.connection, *bytes as u64),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.connection.blocked(),
        }
        written
    }
}

impl AsyncRead for Socket {
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

impl AsyncWrite for Socket {
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
