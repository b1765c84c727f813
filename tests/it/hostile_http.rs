//! Clients that are slow, greedy, broken or malicious, over plain sockets: they cost themselves their answer and nobody else
//! anything. What is waited for is what the process itself does, not a time.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::{
    http,
    lakehead::{Lakehead, eventually, query, stored},
    push::pipeline,
};

/// Where events go.
const EVENTS: &str = "/v1/streams/people/events";

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(120);

struct Running {
    lakehead: Lakehead,
    folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        Self::start_on(pipeline)
    }

    /// Starts with the pipeline file that is written into the folder.
    fn start_on(pipeline: impl FnOnce(&Path) -> PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let lakehead = Lakehead::run_pipeline(&pipeline(folder.path()), &folder.path().join("data"));
        Self { lakehead, folder }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.lakehead.address).expect("it listens");
        socket.set_read_timeout(Some(SOON)).expect("a limit");
        socket
    }

    fn send(&self, text: impl AsRef<[u8]>) -> TcpStream {
        let mut socket = self.connect();
        // It may hang up in the middle of what it does not want.
        let _ = socket.write_all(text.as_ref());
        socket
    }

    /// A push whose body is announced and hardly begun.
    fn slow_push(&self) -> TcpStream {
        self.send(format!(
            "POST {EVENTS} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n{{",
            self.lakehead.address
        ))
    }

    /// A request of HTTP/1.1 after which the connection ends; all that is answered.
    fn ask(&self, method: &str, path: &str, more: &str, body: &[u8]) -> String {
        let host = &self.lakehead.address;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
        answer(self.send([head.as_bytes(), body].concat()))
    }

    fn push_encoded(&self, coding: &str, body: &[u8]) -> http::Answer {
        let headers = [("Content-Encoding", coding), ("Content-Type", "application/x-ndjson")];
        http::request(&self.lakehead.address, "POST", EVENTS, &headers, body).expect("an answer")
    }

    fn stored(&self) -> u64 {
        stored(&self.lakehead.status(), "people")
    }

    /// A value of `/metrics`.
    fn metric(&self, name: &str) -> f64 {
        let page = http::get(&self.lakehead.address, "/metrics").expect("metrics").body;
        let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}: {page}"));
        line.trim().parse().expect("a number")
    }

    /// The most memory that it had, in bytes.
    fn memory_peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.lakehead.pid())).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// That an honest client is served.
    fn serves(&self) {
        assert_eq!(self.lakehead.push("people", br#"{"name": "honest"}"#).status, 201);
        assert_eq!(http::get(&self.lakehead.address, "/healthz").expect("an answer").status, 200);
    }
}

/// All that comes on a connection until it ends.
fn answer(mut socket: TcpStream) -> String {
    let mut bytes = Vec::new();
    // One that is reset after its answer has answered all the same.
    let _ = socket.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether nothing came and nobody hung up.
fn is_open(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).expect("a socket");
    let peeked = socket.peek(&mut [0]);
    socket.set_nonblocking(false).expect("a socket");
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn chunked(address: &str, more: &str) -> String {
    format!(
        "POST {EVENTS} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{more}\r\n"
    )
}

#[test]
fn three_hundred_idle_connections_keep_nobody_out_and_the_longest_idle_goes() {
    let running = Running::start();
    let idle: Vec<TcpStream> = (0..300).map(|_| running.connect()).collect();
    running.serves();
    // Nobody had to wait until they were closed for their age.
    assert!(idle[100..].iter().all(is_open), "all but the oldest are still there");
    assert!(eventually(|| !is_open(&idle[0])), "the oldest gave way");
}

#[test]
fn slow_bodies_delay_no_honest_push_and_are_given_up_in_the_end() {
    let running = Running::start();
    let slow: Vec<TcpStream> = (0..64).map(|_| running.slow_push()).collect();
    assert!(eventually(|| running.metric("lakehead_http_bodies ") >= 64.0));
    running.serves();
    assert!(slow.iter().all(is_open), "they are still on their way");
    assert!(running.metric("lakehead_http_bodies_bytes") < 64.0 * 1024.0, "they hold what they sent");
    for socket in slow {
        let answer = answer(socket);
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

#[test]
fn slow_bodies_in_every_place_give_way_to_those_who_come() {
    let running = Running::start();
    let slow: Vec<TcpStream> = (0..256).map(|_| running.slow_push()).collect();
    let pushed = |_: &()| {
        let answer = http::push(&running.lakehead.address, "people", br#"{"name": "honest"}"#);
        answer.is_ok_and(|answer| answer.status == 201)
    };
    assert!(eventually(|| pushed(&())), "a place was found");
    let health = http::get(&running.lakehead.address, "/healthz").expect("room is kept for it");
    assert_eq!(health.status, 200);
    assert!(slow.iter().filter(|socket| is_open(socket)).count() > 128, "not because all were given up");
}

#[test]
fn bodies_that_trickle_in_every_place_give_way_to_those_who_come() {
    let running = Running::start();
    let head = chunked(&running.lakehead.address, "Content-Type: application/x-ndjson\r\n");
    let trickling: Vec<TcpStream> = (0..256).map(|_| running.send(&head)).collect();
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                // A line of white space, which ends every pause of lines that last.
                for mut socket in &trickling {
                    let _ = socket.write_all(&chunk(b" \n"));
                }
                thread::park_timeout(Duration::from_millis(100));
            }
        });
        let pushed = || {
            let answer = http::push(&running.lakehead.address, "people", br#"{"name": "honest"}"#);
            answer.is_ok_and(|answer| answer.status == 201)
        };
        let served = (0..5).all(|_| eventually(pushed));
        let open = trickling.iter().filter(|socket| is_open(socket)).count();
        ends.store(true, Ordering::Relaxed);
        assert!(served, "places were found");
        assert!(open > 128, "not because all were given up: {open}");
    });
}

#[test]
fn who_asks_for_the_changes_of_a_large_view_and_does_not_read_takes_neither_memory_nor_the_turns() {
    const ROWS: usize = 50_000;
    const CHANGES: &str = "/v1/views/names/changes";
    let running = Running::start_on(|folder| {
        let path = folder.join("pipeline.toml");
        let sql =
            "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, name, count(*) AS n FROM people GROUP BY 1, 2";
        let text = format!(
            "[stream.people]\nschema = \"json\"\ncolumns = {{ name = \"name\" }}\n\n[view.names]\nsql = \"{sql}\"\n"
        );
        fs::write(&path, text).expect("the pipeline can be written");
        path
    });
    let long = "x".repeat(200);
    let event = |row: usize| format!("{{\"name\": \"{row} {long}\", \"dt\": \"2026-09-01T12:00:10Z\"}}\n");
    let events: String = (0..ROWS).map(event).collect();
    assert_eq!(running.lakehead.push("people", events.as_bytes()).status, 201);
    assert_eq!(running.lakehead.push("people", br#"{"name": "later", "dt": "2026-09-01T15:00:00Z"}"#).status, 201);
    running.lakehead.until("a file of closed windows", |status| status["views"]["names"]["files"].as_u64() > Some(0));
    let before = running.memory_peak();
    let ask = format!("GET {CHANGES} HTTP/1.1\r\nHost: {}\r\n\r\n", running.lakehead.address);
    // Some 12 MB of lines for each.
    let unread: Vec<TcpStream> = (0..60).map(|_| running.send(&ask)).collect();
    running.serves();
    let whole = || {
        let answer = http::get(&running.lakehead.address, CHANGES);
        answer.is_ok_and(|answer| answer.status == 200 && answer.body.lines().count() == ROWS)
    };
    assert!(eventually(whole), "who reads is served");
    let unsent = running.metric("lakehead_http_unsent_bytes ");
    assert!(unsent < f64::from(16 << 20), "{unsent} bytes wait to be read");
    let grown = running.memory_peak() - before;
    assert!(grown < 150 << 20, "it took {} MiB", grown >> 20);
    drop(unread);
    running.serves();
}

#[test]
fn a_head_that_drips_is_closed() {
    let running = Running::start();
    let mut socket = running.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
    let closed = eventually(|| {
        let _ = (&socket).write_all(b"x");
        matches!((&socket).read(&mut [0]), Ok(0)) || (&socket).write_all(b"x").is_err()
    });
    assert!(closed);
    running.serves();
    let _ = socket.flush();
}

#[test]
fn who_does_not_read_its_answers_is_closed() {
    let running = Running::start();
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", running.lakehead.address);
    let mut socket = running.connect();
    socket.set_write_timeout(Some(Duration::from_secs(1))).expect("a limit");
    let asks = ask.repeat(100);
    // Until neither side takes more.
    while socket.write_all(asks.as_bytes()).is_ok() {}
    running.serves();
    let name = "lakehead_http_connections_closed_total{reason=\"unread_answer\"}";
    assert!(eventually(|| running.metric(name) >= 1.0));
    running.serves();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let running = Running::start();
    let host = &running.lakehead.address;
    let ask = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
    let three = ask("/healthz", "") + &ask("/nothing", "") + &ask("/metrics", "Connection: close\r\n");
    let answers = answer(running.send(three));
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    assert_eq!(statuses, ["200", "404", "200"]);
}

#[test]
fn a_body_in_chunks_of_a_byte_is_a_body() {
    let running = Running::start();
    let mut text = chunked(&running.lakehead.address, "").into_bytes();
    for byte in br#"[{"name": "Ada"}, {"name": "Grace"}]"# {
        text.extend(chunk(&[*byte]));
    }
    text.extend(b"0\r\n\r\n");
    let answer = answer(running.send(text));
    assert!(answer.starts_with("HTTP/1.1 201") && answer.contains("\"accepted\":2"), "{answer}");
}

#[test]
fn a_chunked_body_without_an_end_is_too_large_in_the_end() {
    let running = Running::start();
    let mut socket = running.send(chunked(&running.lakehead.address, "") + "1\r\n[\r\n");
    let piece = chunk(&b"1,".repeat(32 << 10));
    let mut pieces = 0;
    while pieces < 4_000 && socket.write_all(&piece).is_ok() {
        pieces += 1;
    }
    assert!(pieces < 4_000, "it was stopped before 256 MiB");
    let answer = answer(socket);
    assert!(answer.starts_with("HTTP/1.1 413") || answer.is_empty(), "{answer}");
    running.serves();
}

#[test]
fn a_head_that_is_too_large_or_not_of_this_protocol_is_refused() {
    let running = Running::start();
    let host = &running.lakehead.address;
    for (what, text, statuses) in [
        (
            "a long header",
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(100_000)),
            &["431"][..],
        ),
        ("many", format!("GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "X: y\r\n".repeat(5_000)), &["431"]),
        ("a long address", format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(100_000)), &["414", "431"]),
        ("no host", "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), &["400"]),
        (
            "two hosts",
            format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            &["400"],
        ),
        ("no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n".to_owned(), &["400"]),
        (
            "a length that is none",
            format!("POST {EVENTS} HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n"),
            &["400"],
        ),
        (
            "two lengths",
            format!("POST {EVENTS} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12"),
            &["400"],
        ),
        ("a chunk that is none", chunked(host, "") + "zz\r\n", &["400"]),
    ] {
        let answer = answer(running.send(text));
        let status = answer.get(9..12).unwrap_or_default();
        assert!(statuses.contains(&status), "{what}: {answer}");
    }
    running.serves();
}

#[test]
fn a_body_is_asked_for_only_when_it_is_wanted() {
    let running = Running::start();
    let host = &running.lakehead.address;
    let head = |length: usize| {
        format!(
            "POST {EVENTS} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let mut socket = running.send(head(2));
    let mut first = [0; 25];
    socket.read_exact(&mut first).expect("it asks for the body");
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"{}").expect("it reads");
    assert!(answer(socket).starts_with("HTTP/1.1 201"));
    let refused = answer(running.send(head(100 << 20)));
    assert!(refused.starts_with("HTTP/1.1 413"), "without the body: {refused}");
}

#[test]
fn who_closes_its_sending_side_is_answered_all_the_same() {
    let running = Running::start();
    let socket = running
        .send(format!("POST {EVENTS} HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\n\r\n{{}}", running.lakehead.address));
    socket.shutdown(Shutdown::Write).expect("a socket");
    let answer = answer(socket);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer:?}");
}

#[test]
fn sixteen_megabytes_of_bad_lines_are_counted_and_the_good_ones_are_kept() {
    let running = Running::start();
    let mut body = String::with_capacity(16 << 20);
    let mut good = 0_u64;
    let mut bad = 0_u64;
    while body.len() < (16 << 20) - 100 {
        if body.len() / 16_000 > good as usize && good < 1_000 {
            body.push_str("{\"name\": \"good\"}\n");
            good += 1;
        } else {
            body.push_str("x\n");
            bad += 1;
        }
    }
    let before = running.memory_peak();
    let headers = [("Content-Type", "application/x-ndjson")];
    let answer =
        http::request(&running.lakehead.address, "POST", EVENTS, &headers, body.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 207, "{:.400}", answer.body);
    assert!(answer.body.len() < 100_000, "{} bytes of answer", answer.body.len());
    let answer = answer.json();
    assert_eq!((answer["accepted"].as_u64(), answer["rejected"].as_u64()), (Some(good), Some(bad)));
    assert_eq!(answer["invalid"].as_array().map(Vec::len), Some(100));
    let grown = running.memory_peak() - before;
    assert!(grown < 300 << 20, "it took {} MiB", grown >> 20);
    let data = running.folder.path().join("data");
    let rejects = query(&data, "SELECT count(*) AS n, max(reason) AS reason FROM rejects");
    assert_eq!(rejects[0]["n"], 1_001);
    let counted = query(&data, "SELECT reason FROM rejects WHERE reason LIKE '%only counted%'");
    assert!(counted[0]["reason"].as_str().is_some_and(|reason| reason.starts_with(&(bad - 1_000).to_string())));
}

#[test]
fn tiny_events_and_deep_ones_and_large_ones_take_memory_in_proportion() {
    let running = Running::start();
    let before = running.memory_peak();
    let half = (16 << 20) / 2 - 8;
    let bodies: [(&str, Vec<u8>, u16); 5] = [
        ("lines of one byte", b"1\n".repeat(half), 201),
        ("an array of numbers", [b"[1".to_vec(), b",1".repeat(half - 8), b"]".to_vec()].concat(), 201),
        ("an array of arrays", [b"[[]".to_vec(), b",[]".repeat(5_000_000), b"]".to_vec()].concat(), 201),
        ("nothing but brackets", b"[".repeat(16 << 20), 400),
        ("one text of escapes", [b"\"".to_vec(), b"\\u0000".repeat(2_700_000), b"\"".to_vec()].concat(), 400),
    ];
    for (what, body, status) in bodies {
        let kind = if what.starts_with("lines") { "application/x-ndjson" } else { "application/json" };
        let headers = [("Content-Type", kind)];
        let answer = http::request(&running.lakehead.address, "POST", EVENTS, &headers, &body).expect("an answer");
        assert_eq!(answer.status, status, "{what}: {:.400}", answer.body);
    }
    let grown = running.memory_peak().saturating_sub(before);
    assert!(grown < 700 << 20, "it took {} MiB", grown >> 20);
    running.serves();
}

#[test]
fn a_body_is_decoded_within_the_limit_and_what_is_not_known_is_named() {
    let running = Running::start();
    let text = b"{\"name\": \"Ada\"}\n{\"name\": \"Grace\"}\n";
    let gzip = |text: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(text).expect("into memory");
        gzip.finish().expect("into memory")
    };
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(text).expect("into memory");
    let codings = [
        ("gzip", gzip(text)),
        ("deflate", zlib.finish().expect("into memory")),
        ("zstd", zstd::encode_all(&text[..], 3).expect("into memory")),
    ];
    for (coding, body) in codings {
        let answer = running.push_encoded(coding, &body);
        assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (201, Some(2)), "{coding}: {}", answer.body);
    }
    assert_eq!(running.stored(), 6);
    let unknown = running.push_encoded("br", text);
    assert_eq!(unknown.status, 415, "{}", unknown.body);
    assert!(unknown.body.contains("gzip, deflate, zstd"), "{}", unknown.body);
    let bomb = running.push_encoded("gzip", &gzip(&vec![b' '; 200 << 20]));
    assert_eq!(bomb.status, 413, "{}", bomb.body);
    assert!(bomb.body.contains("16777216"), "{}", bomb.body);
    let cut = running.push_encoded("gzip", &gzip(text)[..20]);
    assert_eq!(cut.status, 400, "{}", cut.body);
    let sql = running.ask("POST", "/v1/sql", "Content-Encoding: gzip\r\nContent-Length: 1\r\n", b"x");
    assert!(sql.starts_with("HTTP/1.1 415"), "{sql}");
    assert_eq!(running.stored(), 6, "nothing of these was kept");
}

#[test]
fn a_byte_order_mark_before_a_body_is_passed_over() {
    let running = Running::start();
    let answer = running.lakehead.push("people", "\u{feff}{\"name\": \"Ada\"}".as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.body);
    let rows = query(&running.folder.path().join("data"), "SELECT name, data FROM people");
    assert_eq!((&rows[0]["name"], &rows[0]["data"]), (&"Ada".into(), &"{\"name\": \"Ada\"}".into()));
}

#[test]
fn lines_that_last_are_kept_as_they_come_and_counted_in_the_end() {
    let running = Running::start();
    let mut socket = running.send(chunked(&running.lakehead.address, "Content-Type: application/x-ndjson\r\n"));
    for line in 1..=3 {
        socket.write_all(&chunk(format!("{{\"name\": \"{line}\"}}\n{{\"na").as_bytes())).expect("it reads");
        assert!(eventually(|| running.stored() == 2 * line - 1), "line {line} is kept while the body goes on");
        socket.write_all(&chunk(b"me\": \"rest\"}\nx\n")).expect("it reads");
        assert!(eventually(|| running.stored() == 2 * line));
    }
    socket.write_all(&chunk(b"{\"name\": \"last\"}")).expect("it reads");
    socket.write_all(b"0\r\n\r\n").expect("it reads");
    let answer = answer(socket);
    assert!(answer.starts_with("HTTP/1.1 207"), "{answer}");
    assert!(answer.contains("\"accepted\":7") && answer.contains("\"rejected\":3"), "{answer}");
}

#[test]
fn of_lines_that_are_cut_everything_whole_is_kept() {
    let running = Running::start();
    let mut socket = running.send(chunked(&running.lakehead.address, ""));
    socket.write_all(&chunk(b"{\"name\": \"whole\"}\n{\"name\": \"cu")).expect("it reads");
    assert!(eventually(|| running.stored() == 1));
    drop(socket);
    assert!(eventually(|| running.metric("lakehead_http_bodies ") == 0.0), "it is given up");
    assert_eq!(running.stored(), 1);
    running.serves();
}

#[test]
fn a_stop_ends_lines_that_last_with_their_count() {
    let running = Running::start();
    let mut socket = running.send(chunked(&running.lakehead.address, "Content-Type: application/x-ndjson\r\n"));
    socket.write_all(&chunk(b"{\"name\": \"kept\"}\n")).expect("it reads");
    assert!(eventually(|| running.stored() == 1));
    assert!(running.lakehead.finish().success());
    let answer = answer(socket);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"accepted\":1"), "{answer}");
}
