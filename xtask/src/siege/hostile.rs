//! The hostile: each kind a thread, each bounded in how much it does at once, all of them ended by a flag.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{JoinHandle, sleep, spawn},
    time::{Duration, Instant},
};

use super::{client, pipeline::RUBBISH, sql};
use crate::torture::random::Random;

/// How long a hostile client waits for anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// After so long one that asks what explodes leaves, as a person would.
const LEAVES_AFTER: Duration = Duration::from_secs(4);

/// A body of the largest size.
const BODY_BYTES: usize = 16 << 20;

/// How often each kind was done.
pub(crate) type Thrown = BTreeMap<&'static str, u64>;

/// A siege that goes on.
pub(crate) struct Siege {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    thrown: Arc<Mutex<Thrown>>,
}

struct Place {
    address: String,
    stop: Arc<AtomicBool>,
    thrown: Arc<Mutex<Thrown>>,
}

/// Begins all kinds.
pub(crate) fn begin(address: &str, seed: u64, with_sql: bool) -> Siege {
    let (stop, thrown) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Thrown::new())));
    let place = || Place { address: address.to_owned(), stop: Arc::clone(&stop), thrown: Arc::clone(&thrown) };
    let kinds: [fn(&Place); 9] = [
        idle_connections,
        slow_heads,
        slow_bodies,
        never_readers,
        bad_bodies,
        tiny_events,
        bombs,
        broken_requests,
        bodies_without_end,
    ];
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for kind in kinds {
        let place = place();
        threads.push(spawn(move || kind(&place)));
    }
    if with_sql {
        for asker in 0..4 {
            let (place, mut random) = (place(), Random::new(seed + asker));
            threads.push(spawn(move || explosions(&place, &mut random)));
        }
        let place = place();
        threads.push(spawn(move || unread_answers(&place)));
    }
    Siege { stop, threads, thrown }
}

impl Siege {
    /// Ends it, and says what was done.
    pub(crate) fn end(self) -> Thrown {
        self.stop.store(true, Relaxed);
        for thread in self.threads {
            // One that panicked has done what it could.
            let _ = thread.join();
        }
        self.thrown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Place {
    fn goes_on(&self) -> bool {
        !self.stop.load(Relaxed)
    }

    fn did(&self, what: &'static str, times: u64) {
        *self.thrown.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += times;
    }

    /// Waits, but not past the end.
    fn rest(&self, time: Duration) {
        let begun = Instant::now();
        while self.goes_on() && begun.elapsed() < time {
            sleep(Duration::from_millis(50));
        }
    }

    fn send(&self, text: impl AsRef<[u8]>) -> Option<TcpStream> {
        let mut socket = client::connect(&self.address, PATIENCE).ok()?;
        socket.write_all(text.as_ref()).ok()?;
        Some(socket)
    }

    fn push(&self, headers: &str, body: &[u8]) {
        let path = format!("/v1/streams/{RUBBISH}/events");
        // Whatever is answered: the honest are who counts.
        let _ = client::ask(&self.address, "POST", &path, headers, body, 6 * PATIENCE);
    }

    fn head(&self, more: &str) -> String {
        format!("POST /v1/streams/{RUBBISH}/events HTTP/1.1\r\nHost: {}\r\n{more}\r\n", self.address)
    }
}

fn idle_connections(place: &Place) {
    while place.goes_on() {
        let sockets: Vec<_> = (0..300).map_while(|_| client::connect(&place.address, PATIENCE).ok()).collect();
        place.did("idle connections", sockets.len() as u64);
        place.rest(Duration::from_secs(3));
    }
}

fn slow_heads(place: &Place) {
    while place.goes_on() {
        let mut sockets: Vec<_> = (0..60).filter_map(|_| place.send("GET / HTTP/1.1\r\nX-Slow: ")).collect();
        place.did("slow heads", sockets.len() as u64);
        for _ in 0..30 {
            sockets.retain_mut(|socket| socket.write_all(b"x").is_ok());
            place.rest(Duration::from_millis(200));
        }
    }
}

fn slow_bodies(place: &Place) {
    while place.goes_on() {
        let head = place.head("Content-Length: 1000000\r\n");
        let mut sockets: Vec<_> = (0..60).filter_map(|_| place.send(&head)).collect();
        place.did("slow bodies", sockets.len() as u64);
        for _ in 0..30 {
            sockets.retain_mut(|socket| socket.write_all(b"{").is_ok());
            place.rest(Duration::from_millis(200));
        }
    }
}

/// Asks for much and reads nothing.
fn never_readers(place: &Place) {
    let asks = format!("GET /v1/status HTTP/1.1\r\nHost: {}\r\n\r\n", place.address).repeat(200);
    while place.goes_on() {
        let mut sockets = Vec::new();
        for _ in 0..20 {
            let Some(mut socket) = place.send(&asks) else { continue };
            let _ = socket.set_write_timeout(Some(Duration::from_millis(100)));
            while place.goes_on() && socket.write_all(asks.as_bytes()).is_ok() {}
            sockets.push(socket);
        }
        place.did("clients that never read", sockets.len() as u64);
        place.rest(Duration::from_secs(5));
    }
}

fn bad_bodies(place: &Place) {
    let body = b"x\n".repeat(BODY_BYTES / 2);
    while place.goes_on() {
        place.push("Content-Type: application/x-ndjson\r\n", &body);
        place.did("bodies of 16 MiB of bad lines", 1);
        place.rest(Duration::from_secs(2));
    }
}

/// Few, since each of them is eight million events that are kept.
fn tiny_events(place: &Place) {
    let bodies = [
        b"1\n".repeat(BODY_BYTES / 2),
        [&b"[[]"[..], &b",[]".repeat(BODY_BYTES / 3 - 2), b"]"].concat(),
        b"[".repeat(BODY_BYTES),
        [&b"{\"a\":\""[..], &b"\\u0000".repeat(600_000), b"\"}"].concat(),
    ];
    for body in bodies {
        if place.goes_on() {
            place.push("", &body);
            place.did("bodies of tiny, deep or escaped events", 1);
            place.rest(Duration::from_secs(3));
        }
    }
}

/// 16 KiB of gzip that become 16 MiB and more; a stored block and then copies of it, by hand, would be smaller still.
fn bombs(place: &Place) {
    // A zstd frame (RFC 8878) of run-length blocks: 128 KiB of one byte in four bytes each, 200 MiB in all.
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for block in 0..1_600_u32 {
        let header = (0x2_0000_u32 << 3) | (1 << 1) | u32::from(block == 1_599);
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.push(b' ');
    }
    while place.goes_on() {
        place.push("Content-Encoding: zstd\r\n", &bomb);
        place.push("Content-Encoding: gzip\r\n", &bomb);
        place.push("Content-Encoding: br\r\n", &bomb);
        place.did("compressed bombs, and bodies in unknown codings", 3);
        place.rest(Duration::from_millis(500));
    }
}

fn broken_requests(place: &Place) {
    let host = &place.address;
    let texts = [
        format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "X: y\r\n".repeat(10_000)),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n".to_owned(),
        place.head("Content-Length: -5\r\n"),
        place.head("Transfer-Encoding: chunked\r\n") + "zzzz\r\n",
        place.head("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") + "1\r\n1\r\n0\r\n\r\n",
        place.head("Content-Length: 16777216\r\nExpect: 100-continue\r\n"),
        format!("POST /v1/views/edits/explain HTTP/1.1\r\nHost: {host}\r\nContent-Length: 60000\r\n\r\n{{"),
    ];
    while place.goes_on() {
        for text in &texts {
            if let Some(mut socket) = place.send(text) {
                let _ = socket.set_read_timeout(Some(Duration::from_millis(20)));
                let _ = socket.read(&mut [0; 512]);
            }
        }
        place.did("broken requests", texts.len() as u64);
        place.rest(Duration::from_millis(100));
    }
}

fn bodies_without_end(place: &Place) {
    let piece = [&b"10000\r\n"[..], &b"1,".repeat(0x8000), b"\r\n"].concat();
    while place.goes_on() {
        if let Some(mut socket) = place.send(place.head("Transfer-Encoding: chunked\r\n") + "1\r\n[\r\n") {
            // At most 64 MiB: it is to be stopped at 16.
            for _ in 0..1_000 {
                if !place.goes_on() || socket.write_all(&piece).is_err() {
                    break;
                }
            }
        }
        place.did("chunked bodies without an end", 1);
        place.rest(Duration::from_secs(2));
    }
}

fn explosions(place: &Place, random: &mut Random) {
    let mut all = sql::all();
    while place.goes_on() {
        random.shuffle(&mut all);
        for (_, sql) in &all {
            if !place.goes_on() {
                return;
            }
            let _ = client::ask(&place.address, "POST", "/v1/sql", "", sql.as_bytes(), LEAVES_AFTER);
            place.did("SQL that explodes", 1);
        }
    }
}

/// Asks for large answers, takes the first bytes, and no more.
fn unread_answers(place: &Place) {
    let sql = "SELECT * FROM recentchange";
    let ask = format!("POST /v1/sql HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{sql}", place.address, sql.len());
    while place.goes_on() {
        let sockets: Vec<_> = (0..20).filter_map(|_| place.send(&ask)).collect();
        place.did("large answers that nobody reads", sockets.len() as u64);
        place.rest(Duration::from_secs(8));
    }
}
