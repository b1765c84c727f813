//! One request with a limit on its time, however the other side behaves.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// What was answered, and how long that took.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

/// Connects within a time.
pub(crate) fn connect(address: &str, within: Duration) -> Result<TcpStream> {
    let address: SocketAddr = address.parse().with_context(|| format!("{address} is no address"))?;
    let socket = TcpStream::connect_timeout(&address, within).context("connecting")?;
    socket.set_write_timeout(Some(within))?;
    socket.set_read_timeout(Some(within))?;
    Ok(socket)
}

/// Sends a request and reads its answer, all within a time.
pub(crate) fn ask(
    address: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
    within: Duration,
) -> Result<Answered> {
    let begun = Instant::now();
    let mut socket = connect(address, within)?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\r\n");
    socket.write_all(head.as_bytes()).context("sending the head")?;
    // What is refused need not be read to its end.
    let sent = socket.write_all(body);
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        if begun.elapsed() > within {
            bail!("no answer within {} s", within.as_secs());
        }
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) if answer.is_empty() => {
                sent.context("sending the body")?;
                return Err(error).context("reading the answer");
            }
            Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no head")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("the answer has no status")?;
    Ok(Answered { status, body: body.to_owned(), took: begun.elapsed() })
}
