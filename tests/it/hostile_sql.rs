//! SQL that would take a process with it: the asker loses the answer, and nobody else loses anything.
//!
//! Each scenario runs while events are pushed and the health page is asked without pause. What is held to is in [`Beside`]:
//! every push is kept, every question about health is answered in time, by one and the same process.

use std::{
    io::Write,
    net::TcpStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    http,
    lakehead::{Lakehead, eventually, memory, query, run, text},
    push::pipeline,
};

/// What health may take on a machine that is busy with other tests; alone it is some milliseconds.
const HEALTH_WITHIN: Duration = Duration::from_secs(10);
/// What one query may take here.
const QUERY_SECONDS: u64 = 3;
/// What a small query may take on a machine that is busy with other tests, starting a worker included.
const SMALL_WITHIN: Duration = Duration::from_secs(30);
/// Events that the scenarios begin with.
const EVENTS: u64 = 20_000;

/// Pushes and questions about health, for as long as it is there.
struct Beside {
    stop: Arc<AtomicBool>,
    pushed: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Duration>>,
}

impl Beside {
    fn start(address: &str) -> Self {
        let (stop, pushed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let each = |work: Box<dyn Fn() + Send>| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut longest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    work();
                    longest = longest.max(begun.elapsed());
                    thread::park_timeout(Duration::from_millis(20));
                }
                longest
            })
        };
        let (to, count) = (address.to_owned(), Arc::clone(&pushed));
        let pushing = each(Box::new(move || {
            let event = json!({ "name": "beside", "age": 1, "dt": "2026-09-01T12:00:00Z" }).to_string();
            let answer = http::push(&to, "people", event.as_bytes()).expect("a push is answered");
            assert_eq!(answer.status, 201, "{}", answer.body);
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let to = address.to_owned();
        let asking = each(Box::new(move || {
            let answer = http::get(&to, "/healthz").expect("health is answered");
            assert_eq!(answer.status, 200, "{}", answer.body);
        }));
        Self { stop, pushed, threads: vec![pushing, asking] }
    }

    /// Ends it and holds what was seen against what must be.
    fn end(self, lakehead: &Lakehead) {
        self.stop.store(true, Ordering::Relaxed);
        let longest: Vec<Duration> =
            self.threads.into_iter().map(|thread| thread.join().expect("each was answered")).collect();
        assert!(longest[1] < HEALTH_WITHIN, "health took {:?}", longest[1]);
        let pushed = self.pushed.load(Ordering::Relaxed);
        assert!(pushed > 0, "something was pushed");
        assert_eq!(lakehead.status()["streams"]["people"]["events"], EVENTS + pushed);
    }
}

/// A process with events in it, whose queries may take [`QUERY_SECONDS`].
fn served(folder: &Path) -> Lakehead {
    let seconds = QUERY_SECONDS.to_string();
    let lakehead = Lakehead::run_pipeline_with(
        &pipeline(folder),
        &folder.join("data"),
        &[("LAKEHEAD_QUERY_SECONDS", seconds.as_str())],
    );
    let lines: String = (0..EVENTS)
        .map(|n| {
            let event =
                json!({ "name": format!("n{n}"), "age": n % 100, "dt": format!("2026-09-01T12:{:02}:00Z", n % 60) });
            format!("{event}\n")
        })
        .collect();
    assert_eq!(lakehead.push("people", lines.as_bytes()).status, 201);
    lakehead
}

/// Asks, and says how it went: the status and the body, or `None` where the connection was cut within the answer.
fn ask(address: &str, sql: &str) -> Option<http::Answer> {
    http::request(address, "POST", "/v1/sql", &[("Accept", "application/json")], sql.as_bytes()).ok()
}

/// A small query is answered, if it has to ask again when it is told to.
fn small_is_answered(address: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let answer = ask(address, "SELECT 1 AS one").expect("an answer");
        if answer.status == 200 {
            assert_eq!(answer.json(), json!([{ "one": 1 }]));
            return begun.elapsed();
        }
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(begun.elapsed() < SMALL_WITHIN, "it was sent away for {:?}", begun.elapsed());
        thread::park_timeout(Duration::from_millis(200));
    }
}

/// Each with a name.
fn hostile() -> Vec<(&'static str, String)> {
    let repeated =
        |before: &str, n: usize, inner: &str, after: &str| format!("{}{inner}{}", before.repeat(n), after.repeat(n));
    let doubling: String = (1..=20).fold("WITH c0 AS (SELECT 1 AS n)".to_owned(), |sql, n| {
        format!("{sql}, c{n} AS (SELECT a.n FROM c{0} a JOIN c{0} b ON a.n = b.n)", n - 1)
    });
    let columns = (0..20).map(|n| format!("(age + {n})")).collect::<Vec<_>>().join(", ");
    let list = (0..9_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    vec![
        ("a sum of 2.6 kB", format!("SELECT 1{}", "+1".repeat(1_300))),
        ("a sum as long as may be", format!("SELECT 1{}", "+1".repeat(32_760))),
        ("deep parentheses", format!("SELECT {}", repeated("(", 20_000, "1", ")"))),
        ("deep CASE", format!("SELECT {}", repeated("CASE WHEN true THEN ", 1_500, "1", " END"))),
        ("deep NOT", format!("SELECT {} true", "NOT ".repeat(15_000))),
        ("nested subqueries", format!("SELECT * FROM {}", repeated("(SELECT * FROM ", 1_500, "people", ") AS t"))),
        ("nested upper", format!("SELECT {} FROM people", repeated("upper(", 20, "name", ")"))),
        ("nested concat", format!("SELECT {} FROM people", repeated("concat(name, ", 300, "name", ")"))),
        ("CUBE", format!("SELECT count(*) FROM people GROUP BY CUBE ({columns})")),
        ("doubling CTEs", format!("{doubling} SELECT count(*) FROM c20")),
        ("a long list", format!("SELECT count(*) FROM people WHERE age IN ({list})")),
        (
            "recursion without end",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r".into(),
        ),
        ("one text of 2 GiB", "SELECT repeat('x', 2147483647)".into()),
        ("a text of 1 GiB twice", "SELECT concat(repeat('x', 1000000000), repeat('y', 1000000000))".into()),
        ("lpad", "SELECT lpad('x', 2147483647, 'y')".into()),
        ("rpad of each", "SELECT rpad(name, 1000000, 'y') FROM people".into()),
        ("a list of 10^9", "SELECT range(1, 1000000000)".into()),
        ("a series of 10^12", "SELECT count(*) FROM generate_series(1, 1000000000000)".into()),
        ("a series of 10^9 kept", "SELECT array_agg(value) FROM generate_series(1, 1000000000)".into()),
        ("array_agg over a cross join", "SELECT array_agg(a.data) FROM people a, people b".into()),
        ("string_agg of everything", "SELECT string_agg(a.data, ',') FROM people a, people b".into()),
        ("a cross join", "SELECT count(*) FROM people a, people b, people c".into()),
        ("a cross join sorted", "SELECT a.data FROM people a, people b ORDER BY a.data || b.data".into()),
        ("a pattern", format!("SELECT count(*) FROM people WHERE regexp_like(data, '{}x$')", "(a?)".repeat(2_000))),
        ("a great pattern", "SELECT regexp_replace(data, '(((a{1,100}){1,100}){1,100})', 'x') FROM people".into()),
        ("gigabytes", "SELECT a.data, repeat(b.data, 1000) AS r FROM people a, people b".into()),
    ]
}

#[test]
fn hostile_sql_costs_its_asker_the_answer_and_nobody_anything() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = served(folder.path());
    let beside = Beside::start(&lakehead.address);
    for (name, sql) in hostile() {
        let begun = Instant::now();
        let answer = ask(&lakehead.address, &sql);
        let (status, said) = answer.map_or((0, "cut off".to_owned()), |answer| (answer.status, answer.body));
        let said: String = said.chars().take(300).collect();
        println!("{name}: {status} after {:.1} s, {said}", begun.elapsed().as_secs_f64());
        assert!([0, 200, 400, 422, 503].contains(&status), "{name}: {status} {said}");
        if status >= 400 {
            assert!(said.contains("error"), "{name}: {said}");
        }
        let took = small_is_answered(&lakehead.address);
        assert!(took < SMALL_WITHIN, "after {name} a small query took {took:?}");
    }
    beside.end(&lakehead);
}

#[test]
fn a_condition_in_explain_cannot_cost_more_either() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = served(folder.path());
    lakehead.until_counted("people", EVENTS);
    let beside = Beside::start(&lakehead.address);
    let explain = |condition: &str| {
        let body = json!({ "where": condition, "rows": 1, "events": 1 }).to_string();
        let path = "/v1/views/people_per_minute/explain";
        http::request(&lakehead.address, "POST", path, &[], body.as_bytes()).expect("an answer")
    };
    for condition in [
        format!("1{} > 0", "+1".repeat(30_000)),
        "length(repeat('x', 2147483647)) > 0".into(),
        "people > 0) OR (1 = 1".into(),
    ] {
        let answer = explain(&condition);
        assert!([200, 400, 422].contains(&answer.status), "{}: {}", answer.status, answer.body);
    }
    let one = explain("minute = TIMESTAMP '2026-09-01T12:07:00Z'").json();
    assert_eq!(one["rows"][0]["agrees"], true, "{one:#}");
    beside.end(&lakehead);
}

#[test]
fn a_small_query_does_not_wait_behind_long_ones() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = served(folder.path());
    let beside = Beside::start(&lakehead.address);
    let address = lakehead.address.as_str();
    thread::scope(|scope| {
        let long: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| ask(address, "SELECT count(*) FROM people a, people b, people c").expect("an answer"))
            })
            .collect();
        while !long.iter().all(|asked| asked.is_finished()) {
            small_is_answered(address);
        }
        for asked in long {
            let answer = asked.join().expect("it does not panic");
            assert!([400, 422, 503].contains(&answer.status), "{}", answer.body);
        }
    });
    beside.end(&lakehead);
}

#[test]
fn a_hundred_hostile_queries_at_once_keep_no_one_out() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = served(folder.path());
    let beside = Beside::start(&lakehead.address);
    let (address, queries) = (lakehead.address.as_str(), hostile());
    thread::scope(|scope| {
        for n in 0..100 {
            let sql = &queries[n % queries.len()].1;
            scope.spawn(move || {
                let answer = ask(address, sql);
                assert!(answer.is_none_or(|answer| [200, 400, 422, 503].contains(&answer.status)), "{sql:.100}");
            });
        }
        thread::park_timeout(Duration::from_millis(100));
        let took = small_is_answered(address);
        println!("a small query beside a hundred: {took:?}");
    });
    beside.end(&lakehead);
}

/// The workers of a process, by id.
fn workers(pid: u32) -> Vec<u32> {
    let folders = std::fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let ids = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let is_alive = fields.next().is_some_and(|state| state != "Z");
        is_alive && fields.next().and_then(|parent| parent.parse().ok()) == Some(pid)
    };
    ids.filter(is_child).collect()
}

fn signal(what: &str, pid: u32) {
    let asked = std::process::Command::new("kill").args([what, &pid.to_string()]).status().expect("kill is there");
    assert!(asked.success(), "{pid} was there");
}

#[test]
fn answers_that_nobody_reads_cost_little_and_give_way() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = served(folder.path());
    small_is_answered(&lakehead.address);
    let before = memory(lakehead.pid());
    let beside = Beside::start(&lakehead.address);
    // About 50 MB each.
    let sql = "SELECT data, repeat(name, 400) AS r FROM people LIMIT 20000";
    let idle: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut socket = TcpStream::connect(&lakehead.address).expect("a connection");
            let head = format!(
                "POST /v1/sql HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{sql}",
                lakehead.address,
                sql.len()
            );
            socket.write_all(head.as_bytes()).expect("it is taken");
            socket
        })
        .collect();
    for _ in 0..5 {
        small_is_answered(&lakehead.address);
    }
    let grown = memory(lakehead.pid()).saturating_sub(before);
    assert!(grown < 150 << 20, "it has grown by {} MiB", grown >> 20);
    drop(idle);
    assert!(eventually(|| workers(lakehead.pid()).len() <= 2), "their workers have gone");
    beside.end(&lakehead);
}

#[test]
fn a_worker_ends_when_its_client_leaves() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = served(folder.path());
    let sql = "SELECT count(*) FROM people a, people b, people c";
    let mut socket = TcpStream::connect(&lakehead.address).expect("a connection");
    let head =
        format!("POST /v1/sql HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{sql}", lakehead.address, sql.len());
    socket.write_all(head.as_bytes()).expect("it is taken");
    assert!(eventually(|| !workers(lakehead.pid()).is_empty()), "a worker has begun");
    drop(socket);
    assert!(eventually(|| workers(lakehead.pid()).is_empty()), "it has ended");
    small_is_answered(&lakehead.address);
}

#[test]
fn a_worker_that_is_killed_or_stopped_from_outside_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = served(folder.path());
    let beside = Beside::start(&lakehead.address);
    for how in ["-KILL", "-STOP"] {
        // One that has nothing to do.
        small_is_answered(&lakehead.address);
        let idle = workers(lakehead.pid());
        assert!(!idle.is_empty(), "it is kept warm");
        idle.iter().for_each(|pid| signal(how, *pid));
        small_is_answered(&lakehead.address);
        // One that is at work.
        let address = lakehead.address.clone();
        let asked = thread::spawn(move || ask(&address, "SELECT count(*) FROM people a, people b, people c"));
        let idle: Vec<u32> = workers(lakehead.pid());
        assert!(eventually(
            || asked.is_finished() || workers(lakehead.pid()).iter().any(|pid| busy(*pid) || !idle.contains(pid))
        ));
        workers(lakehead.pid()).iter().for_each(|pid| signal(how, *pid));
        let answer = asked.join().expect("it does not panic").expect("an answer");
        assert!([400, 422, 503].contains(&answer.status), "{}", answer.body);
        assert!(answer.body.contains("again") || answer.body.contains("stopped"), "{}", answer.body);
        small_is_answered(&lakehead.address);
    }
    beside.end(&lakehead);
}

/// Whether a process uses its processor right now.
fn busy(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let ticks = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(11)?.parse::<u64>().ok());
    ticks.unwrap_or(0) > 30
}

#[test]
fn workers_end_with_the_process_that_started_them() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = served(folder.path());
    small_is_answered(&lakehead.address);
    let warm = workers(lakehead.pid());
    assert!(!warm.is_empty(), "one is kept warm");
    lakehead.kill();
    let is_there = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    assert!(eventually(|| !warm.iter().any(is_there)), "none is left");
}

#[test]
fn a_stream_and_its_view_are_of_one_moment_and_a_push_is_seen_at_once() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let lakehead = served(folder.path());
    lakehead.until_counted("people", EVENTS);
    let mut events = EVENTS;
    for n in 0..100 {
        let event = json!({ "name": "more", "age": n, "dt": format!("2026-09-01T12:{:02}:00Z", n % 60) }).to_string();
        assert_eq!(lakehead.push("people", event.as_bytes()).status, 201);
        events += 1;
        let sql =
            "SELECT (SELECT count(*) FROM people) AS events, (SELECT sum(people) FROM people_per_minute) AS counted";
        let both = ask(&lakehead.address, sql).expect("an answer").json();
        assert_eq!(both[0]["events"], both[0]["counted"], "after {events}: {both}");
        let alone = ask(&lakehead.address, "SELECT count(*) AS events FROM people").expect("an answer").json();
        assert_eq!(alone, json!([{ "events": events }]));
    }
}

#[test]
fn the_command_line_is_told_of_limits_too_with_and_without_a_process() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let lakehead = served(folder.path());
    let deep = format!("SELECT 1{}", "+1".repeat(32_000));
    let hold = |is_running: bool| {
        for (sql, code, told) in [("SELECT repeat('x', 2147483647)", 2, "16 MiB"), (deep.as_str(), 1, "the query")] {
            let ended = run(&["query", sql, "--data", text(&data)]);
            assert_eq!(ended.code, Some(code), "running {is_running}: {}", ended.stderr);
            assert!(ended.stderr.contains(told), "running {is_running}: {}", ended.stderr);
        }
        assert_eq!(query(&data, "SELECT count(*) AS n FROM people"), [json!({ "n": EVENTS })]);
    };
    hold(true);
    assert!(lakehead.finish().success());
    hold(false);
}
