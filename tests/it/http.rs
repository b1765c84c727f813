//! HTTP in a few lines, on a plain socket: what curl would do.
//!
//! It speaks HTTP/1.0, so that an answer ends where its connection ends and nothing has to be unframed.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Longest silence of a server that is alive.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }
}

/// Sends one request and reads the whole answer; an error where the connection fails or is cut.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes())?;
    // A server may refuse a large body before it has read it all; what it answered is what counts.
    let sent = socket.write_all(body);
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        sent?;
        read?;
        return Err(std::io::Error::other(format!("the answer has no head: {text:?}")));
    };
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status in {head:?}")))?;
    Ok(Answer { status, body: body.to_owned() })
}

/// `GET path`.
pub(crate) fn get(address: &str, path: &str) -> std::io::Result<Answer> {
    request(address, "GET", path, &[], b"")
}

/// `POST` of JSON (or JSON lines) to a stream.
pub(crate) fn push(address: &str, stream: &str, body: &[u8]) -> std::io::Result<Answer> {
    let content = [("Content-Type", "application/json")];
    request(address, "POST", &format!("/v1/streams/{stream}/events"), &content, body)
}
