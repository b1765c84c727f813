//! The hostile server of the feed and the API: one thread for each connection, each with a turn of its own at misbehaving.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    api,
    events::{CITIES, PACE},
    feed,
};
use crate::torture::random::{Random, mix};

/// How long a state of a city lasts, in milliseconds.
const STATE_MILLIS: u64 = 1_700;

/// What an upstream does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Cut,
    Silence,
    TooMany,
    Unavailable,
    Html,
    Reset,
    Repeat,
    Huge,
}

impl Fault {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cut => "connections and bodies cut anywhere",
            Self::Silence => "silences",
            Self::TooMany => "answers 429",
            Self::Unavailable => "answers 503",
            Self::Html => "pages of HTML in place of the answer",
            Self::Reset => "connections closed without a word",
            Self::Repeat => "events sent again, up to 20 at once",
            Self::Huge => "answers of 1 MiB where 64 KiB are allowed",
        }
    }
}

/// What all connections share.
pub(super) struct Shared {
    begun: Instant,
    calm: AtomicBool,
    over: AtomicBool,
    /// What was produced when it was told to be calm.
    total: AtomicU64,
    faults: Mutex<BTreeMap<Fault, u64>>,
}

impl Shared {
    /// Events that the feed has issued by now.
    pub(super) fn produced(&self) -> u64 {
        match self.total.load(Ordering::SeqCst) {
            0 => u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(0) * PACE / 1_000,
            total => total,
        }
    }

    /// The state of a city by now.
    pub(super) fn state(&self, city: usize) -> u64 {
        // In the feed's events, which stand still at the end.
        self.produced() * 1_000 / PACE / STATE_MILLIS + city as u64
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// One connection's chance to misbehave.
pub(super) struct Turn {
    pub(super) random: Random,
}

impl Turn {
    /// Whether `fault` happens, once in `n` times; never once the server is calm.
    pub(super) fn strikes(&mut self, fault: Fault, shared: &Shared, n: u64) -> bool {
        let strikes = self.random.once_in(n) && !shared.is_calm();
        if strikes {
            *shared.faults.lock().expect("no thread panics with it").entry(fault).or_default() += 1;
        }
        strikes
    }

    /// Refuses a request now and then, in one of the ways of servers and what stands before them.
    pub(super) fn refuse(&mut self, socket: &mut TcpStream, shared: &Shared) -> io::Result<bool> {
        let answer: &[u8] = if self.strikes(Fault::TooMany, shared, 10) {
            b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        } else if self.strikes(Fault::Unavailable, shared, 10) {
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlater"
        } else if self.strikes(Fault::Html, shared, 10) {
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 27\r\nConnection: close\r\n\r\n<!DOCTYPE html><p>Sorry</p>"
        } else if self.strikes(Fault::Reset, shared, 10) {
            b""
        } else {
            return Ok(false);
        };
        socket.write_all(answer)?;
        Ok(true)
    }
}

/// What was issued in all.
pub(super) struct Issued {
    pub(super) ticks: u64,
    /// The last state of each city.
    pub(super) cities: Vec<u64>,
}

/// The running server.
pub(super) struct Server {
    pub(super) address: String,
    shared: Arc<Shared>,
}

impl Server {
    pub(super) fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            calm: AtomicBool::new(false),
            over: AtomicBool::new(false),
            total: AtomicU64::new(0),
            faults: Mutex::default(),
        });
        let of_all = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, socket) in (0_u64..).zip(listener.incoming().flatten()) {
                if of_all.is_over() {
                    return;
                }
                let shared = Arc::clone(&of_all);
                let turn = Turn { random: Random::new(mix(seed ^ (number << 20))) };
                // What a connection says at its end is the client's to notice.
                thread::spawn(move || serve(socket, &shared, turn).ok());
            }
        });
        Ok(Self { address, shared })
    }

    /// From now on it behaves, and issues no more.
    pub(super) fn calm(&self) -> Issued {
        self.shared.total.store(self.shared.produced().max(1), Ordering::SeqCst);
        self.shared.calm.store(true, Ordering::SeqCst);
        Issued {
            ticks: self.shared.produced(),
            cities: (0..CITIES.len()).map(|city| self.shared.state(city)).collect(),
        }
    }

    /// What it did wrong, and how often.
    pub(super) fn faults(&self) -> BTreeMap<Fault, u64> {
        self.shared.faults.lock().expect("no thread panics with it").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(&self.address);
    }
}

fn serve(socket: TcpStream, shared: &Shared, turn: Turn) -> io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut last_id, mut tag) = (None, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("last-event-id") => {
                last_id = Some(value.trim().to_owned())
            }
            Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => tag = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    match path.split_once("?q=") {
        Some((_, city)) => api::serve(socket, &decoded(city), tag.as_deref(), shared, turn),
        None => feed::serve(socket, last_id.as_deref(), shared, turn),
    }
}

/// What stands percent-encoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
        bytes.push(match byte {
            b'%' => hex(rest.next().unwrap_or(b'0')) << 4 | hex(rest.next().unwrap_or(b'0')),
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_percent_encoded_is_decoded() {
        assert_eq!(decoded("Reykjav%C3%ADk"), "Reykjavík");
        assert_eq!(decoded("S%C3%A3o%20Paulo"), decoded("S%c3%a3o+Paulo"));
    }
}
