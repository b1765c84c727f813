//! The hostile server of the feed and the API: one thread for each connection, each with a turn of its own at misbehaving.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    api,
    events::CITIES,
    feed,
    hostility::{Fault, Shared, Turn},
};
use crate::torture::random::{Random, mix};

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
        let shared = Arc::new(Shared::new());
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

    /// Whether the last state of each city was answered.
    pub(super) fn is_all_answered(&self) -> bool {
        self.shared.is_all_answered()
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
