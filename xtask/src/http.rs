//! HTTP in a few lines, on a plain socket: what curl would do.
//!
//! It speaks HTTP/1.0, so that an answer ends where its connection ends and nothing has to be unframed.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result};

/// Longest silence of a server that is alive.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// `GET path`.
pub(crate) fn get(address: &str, path: &str) -> Result<Answer> {
    request(address, "GET", path, &[], b"")
}

/// `POST path` with a body.
pub(crate) fn post(address: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    request(address, "POST", path, headers, body)
}

fn request(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let mut socket = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    let mut text = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let asking = || format!("asking for {path}");
    socket.write_all(text.as_bytes()).and_then(|()| socket.write_all(body)).with_context(asking)?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).with_context(asking)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("no head in the answer to {path}"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("no status in the answer to {path}"))?;
    Ok(Answer { status, body: body.to_owned() })
}
