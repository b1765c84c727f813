//! What an upstream does wrong, when, and until when: a connection's turn at misbehaving, and what all connections share.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use super::events::{CITIES, PACE};
use crate::torture::random::Random;

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
    pub(super) calm: AtomicBool,
    pub(super) over: AtomicBool,
    /// What was produced when it was told to be calm.
    pub(super) total: AtomicU64,
    /// The last state of each city that was answered in full.
    answered: Mutex<[Option<u64>; CITIES.len()]>,
    pub(super) faults: Mutex<BTreeMap<Fault, u64>>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            calm: AtomicBool::new(false),
            over: AtomicBool::new(false),
            total: AtomicU64::new(0),
            answered: Mutex::default(),
            faults: Mutex::default(),
        }
    }

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

    /// The state of a city was answered in full.
    pub(super) fn note_answered(&self, city: usize, state: u64) {
        self.answered.lock().expect("no thread panics with it")[city] = Some(state);
    }

    /// Whether each city was answered in the state that it has now: whoever failed before may ask again only after a pause.
    pub(super) fn is_all_answered(&self) -> bool {
        let answered = self.answered.lock().expect("no thread panics with it");
        answered.iter().enumerate().all(|(city, state)| *state == Some(self.state(city)))
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
