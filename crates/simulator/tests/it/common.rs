//! What the tests share: a simulator on a port of its own, and an HTTP client that shows every byte.

use std::{sync::Arc, time::Duration};

use lakehead_model::{Clock, Timestamp};
use lakehead_simulator::{Generator, Options, Simulator};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// 2026-09-01T00:00:00Z, where events begin in these tests.
pub(crate) const START: Timestamp = Timestamp(1_788_220_800_000_000);
pub(crate) const EQIAD: &str = "eqiad.mediawiki.recentchange";
pub(crate) const CODFW: &str = "codfw.mediawiki.recentchange";
pub(crate) const STREAM: &str = "/v2/stream/mediawiki.recentchange";

/// Nothing here takes this long; a test that waits longer fails.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct FixedClock(pub(crate) Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// All events at once, `events` of them.
pub(crate) fn at_once(events: u64) -> Options {
    Options { rate: 0.0, events: Some(events), start: Some(START), ..Options::default() }
}

pub(crate) fn generator() -> Generator {
    Generator::new(7, START, 0.0)
}

pub(crate) fn event(generator: &Generator, n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    generator.write_event(n, &mut out);
    out
}

pub(crate) struct Upstream {
    pub(crate) simulator: Arc<Simulator>,
    address: std::net::SocketAddr,
}

/// Starts a simulator whose clock stands still at `now`.
pub(crate) async fn start_at(options: Options, now: Timestamp) -> Upstream {
    let simulator = Arc::new(Simulator::new(options, Arc::new(FixedClock(now))).expect("the options are right"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(Arc::clone(&simulator).serve(listener, std::future::pending()));
    Upstream { simulator, address }
}

pub(crate) async fn start(options: Options) -> Upstream {
    start_at(options, START).await
}

/// A response, read as far as a test wants.
pub(crate) struct Response {
    socket: TcpStream,
    raw: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) head: String,
    body_from: usize,
    /// Whether the other side has closed.
    pub(crate) closed: bool,
}

impl Upstream {
    pub(crate) async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        let mut socket = TcpStream::connect(self.address).await.expect("the simulator listens");
        let mut request = format!("GET {target} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        socket.write_all((request + "\r\n").as_bytes()).await.expect("a request is sent");
        let mut response = Response {
            socket,
            raw: Vec::new(),
            status: 0,
            reason: String::new(),
            head: String::new(),
            body_from: 0,
            closed: false,
        };
        while response.head.is_empty() {
            response.more().await;
            assert!(!response.closed, "closed before the head ended");
            if let Some(end) = memchr::memmem::find(&response.raw, b"\r\n\r\n") {
                response.head = String::from_utf8_lossy(&response.raw[..end]).into_owned();
                response.body_from = end + 4;
            }
        }
        let mut first = response.head.lines().next().unwrap_or_default().splitn(3, ' ');
        response.status = first.nth(1).and_then(|status| status.parse().ok()).expect("a status");
        response.reason = first.next().unwrap_or_default().to_owned();
        response
    }

    /// The events of the stream, until there are `count`.
    pub(crate) async fn events(&self, target: &str, headers: &[(&str, &str)], count: usize) -> Vec<Frame> {
        self.get(target, headers).await.frames(count).await
    }
}

/// One frame of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) data: Vec<u8>,
}

impl Frame {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.data).expect("data is JSON")
    }

    pub(crate) fn offset(&self) -> u64 {
        self.json()["meta"]["offset"].as_u64().expect("an offset")
    }

    pub(crate) fn topic(&self) -> String {
        self.json()["meta"]["topic"].as_str().expect("a topic").to_owned()
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    async fn more(&mut self) {
        let read =
            tokio::time::timeout(PATIENCE, self.socket.read_buf(&mut self.raw)).await.expect("an answer in time");
        self.closed = !matches!(read, Ok(1..));
    }

    /// The body of an answer with a length.
    pub(crate) async fn body(&mut self) -> Value {
        let length: usize = self.header("content-length").and_then(|text| text.parse().ok()).expect("a length");
        while self.raw.len() < self.body_from + length {
            self.more().await;
        }
        let body = &self.raw[self.body_from..];
        serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
    }

    /// What came of a chunked body, and whether its last chunk came.
    pub(crate) fn stream(&self) -> (Vec<u8>, bool) {
        let mut rest = &self.raw[self.body_from..];
        let mut body = Vec::new();
        loop {
            let Some(line) = memchr::memmem::find(rest, b"\r\n") else { return (body, false) };
            let size = std::str::from_utf8(&rest[..line]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
            let size = size.expect("a chunk begins with its size");
            rest = &rest[line + 2..];
            if size == 0 {
                return (body, true);
            }
            body.extend_from_slice(&rest[..size.min(rest.len())]);
            if rest.len() < size + 2 {
                return (body, false);
            }
            rest = &rest[size + 2..];
        }
    }

    /// Reads until the other side closes.
    pub(crate) async fn until_closed(&mut self) -> (Vec<u8>, bool) {
        while !self.closed {
            self.more().await;
        }
        self.stream()
    }

    /// Reads until there are `count` frames.
    pub(crate) async fn frames(&mut self, count: usize) -> Vec<Frame> {
        loop {
            let frames = frames(&self.stream().0);
            if frames.len() >= count || self.closed {
                return frames;
            }
            self.more().await;
        }
    }

    /// Reads until the body has `length` bytes.
    pub(crate) async fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.stream().0.len() < length {
            self.more().await;
        }
        self.stream().0
    }

    /// Whether nothing comes for a moment although the connection is open.
    pub(crate) async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.socket.read_buf(&mut self.raw)).await.is_err()
    }
}

/// The whole frames of a stream, as the standard dispatches them.
pub(crate) fn frames(body: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut rest = body;
    while let Some(end) = memchr::memmem::find(rest, b"\n\n") {
        let frame = &rest[..end];
        rest = &rest[end + 2..];
        if frame == b":ok" {
            continue;
        }
        let mut lines = frame.splitn(3, |byte| *byte == b'\n');
        let mut field = |name: &str| {
            let line = lines.next().unwrap_or_default();
            line.strip_prefix(format!("{name}: ").as_bytes()).unwrap_or_else(|| panic!("expected {name}")).to_vec()
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("utf-8");
        frames.push(Frame { event: text(field("event")), id: text(field("id")), data: field("data") });
    }
    frames
}
