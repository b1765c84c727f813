//! What the upstream issued: the same simulator without a fault, read in one go by a client of a few lines.
//!
//! The simulator's N-th event is a pure function of seed, start, rate and N, so a second process with the same words and
//! no cuts says, byte for byte and in order, what the log must hold.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{pipeline::CHANGES, upstream::Upstream};
use crate::process::Process;

/// Longest silence: the events asked for were all produced before.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The first `count` events of this upstream.
pub(crate) fn events(binary: &Path, upstream: &Upstream, count: usize) -> Result<Vec<Vec<u8>>> {
    let mut reference = Reference::open(binary, upstream)?;
    (0..count).map(|_| reference.next()).collect()
}

/// What was issued, event by event.
pub(crate) struct Reference {
    _upstream: Process,
    body: BufReader<Chunks<BufReader<TcpStream>>>,
    line: Vec<u8>,
}

impl Reference {
    /// Starts the simulator and asks for everything from its start on.
    pub(crate) fn open(binary: &Path, upstream: &Upstream) -> Result<Self> {
        let process = upstream.without_faults(binary)?;
        let address = &process.address;
        let mut socket = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        let path = format!("/v2/stream/{CHANGES}?since={}", upstream.start);
        write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n")?;
        let mut socket = BufReader::with_capacity(1 << 20, socket);
        head(&mut socket)?;
        let body = BufReader::with_capacity(1 << 20, Chunks { socket, left: 0 });
        Ok(Self { _upstream: process, body, line: Vec::new() })
    }

    /// The next event; waits for it where it has not been produced yet.
    pub(crate) fn next(&mut self) -> Result<Vec<u8>> {
        loop {
            self.line.clear();
            if self.body.read_until(b'\n', &mut self.line).context("reading the reference")? == 0 {
                bail!("the reference has ended");
            }
            if let Some(event) = self.line.strip_prefix(b"data: ") {
                return Ok(event.trim_ascii_end().to_vec());
            }
        }
    }
}

/// Reads the answer's head, which must be a good one.
fn head(socket: &mut impl BufRead) -> Result<()> {
    let mut status = String::new();
    socket.read_line(&mut status)?;
    if !status.contains(" 200 ") {
        bail!("the reference answered {status:?}");
    }
    let mut line = String::new();
    while socket.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(())
}

/// The content of a chunked body (RFC 9112, section 7.1).
struct Chunks<R> {
    socket: R,
    /// Bytes of the current chunk that were not read yet.
    left: usize,
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            // The line break after the chunk before, and then the size of this one.
            while line.trim().is_empty() {
                line.clear();
                if self.socket.read_line(&mut line)? == 0 {
                    return Ok(0);
                }
            }
            self.left = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            if self.left == 0 {
                return Ok(0);
            }
        }
        let room = into.len().min(self.left);
        let read = self.socket.read(&mut into[..room])?;
        self.left -= read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together() {
        let mut text = String::new();
        let body = b"5\r\ndata:\r\n4\r\n yes\r\n0\r\n\r\n".as_slice();
        Chunks { socket: body, left: 0 }.read_to_string(&mut text).expect("a whole body");
        assert_eq!(text, "data: yes");
    }
}
