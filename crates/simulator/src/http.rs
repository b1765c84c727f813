//! As much of HTTP/1.1 as the service needs, by hand, so that every byte and every cut is ours to choose.
//!
//! A server library would finish what this one must be able to leave unfinished: a chunk that ends inside a character, a
//! response without its last chunk, a reason phrase that is the error's own text. Bodies of requests are refused.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longest request head. A `Last-Event-ID` for all public streams takes about 4 KiB.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A request's head.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As sent: path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    keep_alive: bool,
}

/// What came from the client.
pub(crate) enum Received {
    Request(Request),
    /// It is no HTTP request, or one too long.
    Malformed,
    Closed,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// Whether the key stands in the query, and its decoded value.
    pub(crate) fn query(&self, key: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, true) == key).then(|| decode(value, true))
        })
    }

    pub(crate) fn keep_alive(&self) -> bool {
        self.keep_alive && self.header("content-length").is_none_or(|length| length.trim() == "0")
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target, version) = (first.next()?, first.next()?, first.next()?);
        if first.next().is_some() || !target.starts_with('/') || !version.starts_with("HTTP/1.") {
            return None;
        }
        let mut headers = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self { method: method.to_owned(), target: target.to_owned(), headers, keep_alive: false };
        let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        request.keep_alive = version == "HTTP/1.1" && !close;
        Some(request)
    }
}

/// Decodes percent-encoding; in a query a plus is a space.
pub(crate) fn decode(text: &str, query: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |place: usize| bytes.get(place).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', _, _) if query => out.push(b' '),
            (byte, _, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads one request head; `left` keeps what came after it.
pub(crate) async fn receive(socket: &mut TcpStream, left: &mut Vec<u8>) -> io::Result<Received> {
    loop {
        if let Some(end) = memchr::memmem::find(left, b"\r\n\r\n") {
            let request = Request::parse(&left[..end]);
            left.drain(..end + 4);
            return Ok(request.map_or(Received::Malformed, Received::Request));
        }
        if left.len() > HEAD_BYTES_MAX {
            return Ok(Received::Malformed);
        }
        if socket.read_buf(left).await? == 0 {
            return Ok(Received::Closed);
        }
    }
}

/// Headers that every answer has (EVENTSTREAMS.md, section 1.3).
const COMMON: &str = "access-control-allow-origin: *\r\n\
    access-control-allow-headers: accept, x-requested-with, content-type\r\n\
    access-control-expose-headers: etag\r\n\
    x-xss-protection: 1; mode=block\r\n\
    x-content-type-options: nosniff\r\n\
    x-frame-options: SAMEORIGIN\r\n\
    content-security-policy: default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; frame-ancestors 'self'\r\n\
    x-content-security-policy: default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; frame-ancestors 'self'\r\n\
    x-webkit-csp: default-src 'self'; object-src 'none'; media-src *; img-src *; style-src *; frame-ancestors 'self'\r\n";

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let reason = match status {
            200 => "OK",
            301 => "Moved Permanently",
            303 => "See Other",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            429 => "Too Many Requests",
            503 => "Service Unavailable",
            _ => "Error",
        };
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, reason: reason.to_owned(), headers, body: body.into() }
    }

    pub(crate) async fn send(self, socket: &mut TcpStream, head_only: bool, keep_alive: bool) -> io::Result<()> {
        // A reason phrase is one line of visible characters.
        let reason: String = self.reason.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
        let mut text = format!("HTTP/1.1 {} {reason}\r\n{COMMON}", self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let connection = if keep_alive { "keep-alive" } else { "close" };
        text.push_str(&format!("content-length: {}\r\nconnection: {connection}\r\n\r\n", self.body.len()));
        let mut bytes = text.into_bytes();
        if !head_only {
            bytes.extend_from_slice(&self.body);
        }
        socket.write_all(&bytes).await
    }
}

/// The head of a stream.
pub(crate) fn stream_head(content_type: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\n{COMMON}content-type: {content_type}\r\ncache-control: no-cache\r\n\
         connection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n"
    )
}

/// A buffer that is one chunk of the chunked coding: `xxxxxxxx\r\n`, the bytes, `\r\n`.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
}

/// Eight hexadecimal digits and a line break. Leading zeros are allowed (RFC 9112, section 7.1).
const SIZE_BYTES: usize = 10;

impl Chunk {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(b"00000000\r\n");
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(SIZE_BYTES)
    }

    /// Completes the chunk; what is to be sent.
    pub(crate) fn finish(&mut self) -> &[u8] {
        let size = format!("{:08x}", self.len());
        self.bytes[..8].copy_from_slice(size.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_query() {
        let request =
            Request::parse(b"GET /v2/stream/a%2Cb?since=2021-08-27T10%3A00+x&y HTTP/1.1\r\nHost: h\r\nACCEPT: */*");
        let request = request.expect("a request");
        assert_eq!(request.path(), "/v2/stream/a%2Cb");
        assert_eq!(decode(request.path(), false), "/v2/stream/a,b");
        assert_eq!(request.query("since").as_deref(), Some("2021-08-27T10:00 x"));
        assert_eq!(request.query("y").as_deref(), Some(""));
        assert_eq!(request.query("z"), None);
        assert_eq!(request.header("accept"), Some("*/*"));
        assert!(request.keep_alive());
        assert!(Request::parse(b"GET\r\n").is_none() && Request::parse(b"GET http://x HTTP/1.1").is_none());
    }

    #[test]
    fn a_chunk_says_its_size() {
        let mut chunk = Chunk::default();
        chunk.clear();
        chunk.bytes.extend_from_slice(b"0123456789abcdefg");
        assert_eq!(chunk.finish(), b"00000011\r\n0123456789abcdefg\r\n");
    }
}
