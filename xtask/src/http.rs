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
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

/// `GET path`.
pub(crate) fn get(address: &str, path: &str) -> Result<Answer> {
    request(address, "GET", path, &[], b"")
}

/// `POST path` with a body.
pub(crate) fn post(address: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    request(address, "POST", path, headers, body)
}

/// Any method, with headers and a body.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
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
    parse(&String::from_utf8_lossy(&answer)).with_context(asking)
}

/// The last answer in what a server sent: some send `100 Continue` first, asked or not.
fn parse(mut sent: &str) -> Result<Answer> {
    loop {
        let (head, body) = sent.split_once("\r\n\r\n").context("no head in the answer")?;
        let status: Option<u16> = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.context("no status in the answer")?;
        if !(100..200).contains(&status) {
            return Ok(Answer { status, head: head.to_owned(), body: body.to_owned() });
        }
        sent = body;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_behind_a_continue() {
        let sent =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 307 Elsewhere\r\nlocation: http://a/b\r\n\r\nbody\r\n\r\nmore";
        let answer = parse(sent).expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (307, "body\r\n\r\nmore"));
        assert_eq!(answer.header("Location"), Some("http://a/b"));
        assert!(parse("HTTP/1.1 200 cut").is_err());
    }
}
