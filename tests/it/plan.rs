//! `lakehead plan` on real sources and sinks: what it says of good ones and of broken ones, and that it leaves no trace, neither on
//! disk nor at the other side.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::{
    lakehead::{Ended, Lakehead, query, run, run_with, text},
    whom::listed,
};

/// A target of an `http` sink that answers everything with `status`, and the lines of what it was asked.
fn target(status: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&asked);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                lines.lock().expect("nobody panics with it").push(line.trim_end().to_owned());
                line.clear();
            }
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (address, asked)
}

/// A pipeline that reads `dump/*.jsonl` and delivers to a folder and to `address`.
fn pipeline(folder: &Path, address: &str) -> PathBuf {
    let (path, dump, out) = (folder.join("p.toml"), folder.join("dump/*.jsonl"), folder.join("out"));
    let (dump, out) = (text(&dump), text(&out));
    let toml = format!(
        r#"[stream.visits]
event_time = {{ path = "at", format = "unix_seconds" }}
columns = {{ user = "user", ms = {{ path = "ms", type = "int64" }}, agent = "agent" }}

[source.dump]
kind = "file"
paths = ["{dump}"]
stream = "visits"

[view.by_user]
sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, \"user\", count(*) AS visits FROM visits GROUP BY 1, 2"

[sink.files]
kind = "file"
from = "visits"
path = "{out}"

[sink.hook]
kind = "http"
from = "by_user"
url = "http://{address}/hook?key=${{HOOK_KEY}}"
headers = {{ Authorization = "Bearer ${{HOOK_TOKEN}}" }}
"#
    );
    fs::write(&path, toml).expect("a file");
    path
}

fn visits(folder: &Path) {
    fs::create_dir_all(folder.join("dump")).expect("a folder");
    let line = |n: u64| json!({"user": format!("u{}", n % 4), "ms": n, "at": 1_795_865_400 + n, "page": "/"});
    let mut lines: String = (0..8).map(|n| format!("{}\n", line(n))).collect();
    lines += "{\"user\": 7, \"ms\": \"slow\", \"at\": 1795865408}\nno event\n{\"ms\": 5}\n";
    fs::write(folder.join("dump/a.jsonl"), lines).expect("a file");
}

fn plan(folder: &Path, pipeline: &Path, more: &[&str]) -> Ended {
    let data = folder.join("data");
    let words = ["plan", text(pipeline), "--data", text(&data), "--listen", "127.0.0.1:0"];
    run_with(&[&words, more].concat(), |command| {
        command.env("HOOK_TOKEN", "s3cret-token").env("HOOK_KEY", "s3cret-key").current_dir(folder);
    })
}

#[test]
fn everything_is_looked_at_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (address, asked) = target("204 No Content");
    let pipeline = pipeline(folder.path(), &address);
    visits(folder.path());
    let before = listed(folder.path());
    let ended = plan(folder.path(), &pipeline, &["--json"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(listed(folder.path()), before, "nothing was written");
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let source = &found["sources"]["dump"];
    assert_eq!((&source["state"], &source["events"], &source["rejects"]), (&"read".into(), &10.into(), &1.into()));
    let stream = &found["streams"]["visits"];
    assert_eq!((&stream["event_time"]["found"], &stream["event_time"]["without"]), (&9.into(), &1.into()));
    let column = |at: usize| {
        let column = &stream["columns"][at];
        [&column["name"], &column["found"], &column["missing"], &column["mistyped"]].map(Value::to_string).join(" ")
    };
    let columns = [column(0), column(1), column(2)];
    assert!(columns.contains(&"\"user\" 8 1 1".to_owned()), "{columns:?}");
    assert!(
        columns.contains(&"\"ms\" 9 0 1".to_owned()) && columns.contains(&"\"agent\" 0 10 0".to_owned()),
        "{columns:?}"
    );
    assert_eq!(stream["other_keys"], json!(["page"]));
    let view = &found["views"]["by_user"];
    assert_eq!((&view["in_view"], &view["without_time"], &view["groups"]), (&9.into(), &1.into(), &5.into()));
    // Nine events in nine seconds: an hour has 3,600, and half of the ten made a row of their own.
    assert_eq!((&view["hourly"]["rows_least"], &view["hourly"]["rows_most"]), (&300.into(), &1_800.into()), "{view}");
    assert!(found["sinks"]["files"]["found"][0].as_str().is_some_and(|text| text.ends_with("can be made")));
    let asked = asked.lock().expect("nobody panics with it").clone();
    let methods: Vec<_> = asked.iter().filter(|line| line.contains("HTTP/1.1")).collect();
    assert!(methods.len() == 1 && methods[0].starts_with("OPTIONS /hook?key=s3cret-key "), "{asked:?}");
    assert!(asked.iter().any(|line| line.ends_with("Bearer s3cret-token")), "the rights are tried: {asked:?}");

    let told = plan(folder.path(), &pipeline, &[]);
    assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
    for says in [
        "dump    file  visits  anew    read     10      1",
        "event time: in 9 of 10, from 2026-11-28T11:30:00Z to 2026-11-28T11:30:08Z; by at (unix_seconds) 9",
        "column agent: no event has anything at agent",
        "view by_user: an hour adds 300 to 1,800 rows, some ",
        "source dump: refused at ",
        "nothing that was looked at would fail",
    ] {
        assert!(told.stdout.contains(says), "{says:?} is not in: {}", told.stdout);
    }
    for said in [ended.stdout, ended.stderr, told.stdout, told.stderr] {
        assert!(!said.contains("s3cret"), "{said}");
    }
    assert_eq!(listed(folder.path()), before, "nothing was written");
}

#[test]
fn what_would_fail_is_told_and_ends_with_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (address, _) = target("401 Unauthorized");
    let pipeline = pipeline(folder.path(), &address);
    fs::write(folder.path().join("out"), "no folder").expect("a file");
    fs::create_dir(folder.path().join("data")).expect("a folder");
    fs::write(folder.path().join("data/photo.jpg"), "x").expect("a file");
    let before = listed(folder.path());
    let ended = plan(folder.path(), &pipeline, &[]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    for says in [
        "would fail: data directory: ",
        "would fail: source dump: paths: nothing is there",
        "would fail: sink files: ",
        "would fail: sink hook: http://",
        "answered 401; set headers to what it knows Lakehead by",
    ] {
        assert!(ended.stdout.contains(says), "{says:?} is not in: {}", ended.stdout);
    }
    assert!(ended.stderr.contains("4 things would fail; nothing was written"), "{}", ended.stderr);
    assert_eq!(listed(folder.path()), before);

    for (words, says) in [
        (vec!["plan", "none.toml"], "none.toml"),
        (vec!["plan", text(&pipeline), "--wait", "1h"], "expected from 100ms to 10m, found 1h"),
        (vec!["plan", text(&pipeline), "--events", "0"], "--events"),
        (vec!["plan", text(&pipeline)], "HOOK_TOKEN"),
        (vec!["plan", text(&pipeline), "--url", "http://127.0.0.1:1"], "plan"),
    ] {
        let ended = run(&words);
        assert_eq!(ended.code, Some(2), "{words:?}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(says), "{words:?}: {}", ended.stderr);
    }
}

#[test]
fn a_look_in_between_takes_nothing_from_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let upstream =
        Lakehead::start(&["simulate", "--events", "900", "--rate", "300", "--seed", "7", "--listen", "127.0.0.1:0"]);
    let url = format!("http://{}/v2/stream/recentchange", upstream.address);
    let words = ["plan", "--upstream", &url, "--data", text(&data), "--listen", "127.0.0.1:0", "--json", "--wait"];
    let look = |wait: &'static str| {
        let ended = run(&[&words[..], &[wait]].concat());
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        serde_json::from_str::<Value>(&ended.stdout).expect("JSON")
    };
    let found = look("60s");
    assert_eq!((&found["sources"]["wikimedia"]["events"], &found["data"]["exists"]), (&10.into(), &false.into()));
    assert!(!data.exists(), "no data directory was made");

    let lakehead = Lakehead::run_on(&upstream, &data);
    lakehead.until("some events", |status| status["streams"]["recentchange"]["events"].as_u64() > Some(100));
    lakehead.kill();
    let before = listed(&data);
    let found = look("60s");
    assert_eq!(found["sources"]["wikimedia"]["resumed"], true, "{found}");
    assert!(found["failures"].as_array().is_some_and(Vec::is_empty), "{found}");
    assert_eq!(listed(&data), before, "nothing was written");

    let lakehead = Lakehead::run_on(&upstream, &data);
    // Live from the moment of the first start on; all have come a while after the last one was made.
    lakehead.until("silence", |status| status["streams"]["recentchange"]["freshness_seconds"].as_f64() > Some(2.0));
    // Everything was read, so nothing comes.
    let beside = look("500ms");
    assert!(beside["data"]["held_by"].is_u64(), "it is told that a process runs there: {beside}");
    assert!(lakehead.finish().success());
    let rows = query(
        &data,
        "SELECT max(meta_offset) - min(meta_offset) + 1 - count(*) AS missing, count(*) - count(DISTINCT meta_offset) AS doubled, \
         count(*) > 100 AS many FROM recentchange",
    );
    assert_eq!(rows, [json!({ "missing": 0, "doubled": 0, "many": true })]);
}
