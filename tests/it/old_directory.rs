//! A data directory that an older state wrote opens: with all events, where its sources and imports stood, and its views.
//!
//! `tests/fixtures/2026-11-25` was made by the state of that day: 500 simulated events came in by `eventstreams`, 200 by a push
//! with a line that is no JSON, 60 by an import from standard input, 20 by a push after a restart; then it was killed. `answers/` is
//! what it said of each view before.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use lakehead_simulator::Generator;
use serde_json::json;

use crate::{
    lakehead::{Lakehead, query, run, run_with, text},
    verify,
};

const VIEWS: [&str; 6] = ["edits_per_minute", "per_hour", "per_minute", "sliding", "slow", "visits"];
const SEED: u64 = 7;
const START: &str = "2026-09-01T00:00:00Z";
/// Of the simulated events, those before the time that the source was told to begin at.
const BEFORE: u64 = 2;
const REQUESTS: u64 = 280;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/2026-11-25")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a file");
        }
    }
}

/// What a view says, and what it said.
fn answers(data: &Path, view: &str) -> [BTreeSet<String>; 2] {
    let said = fs::read_to_string(fixture().join(format!("answers/{view}.ndjson"))).expect("an answer");
    let said = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON").to_string());
    let says = query(data, &format!("SELECT * FROM {view}"));
    [says.iter().map(ToString::to_string).collect(), said.collect()]
}

#[test]
fn a_directory_of_2026_11_25_opens_with_its_events_cursors_and_views() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    copy(&fixture().join("directory"), &data);

    // Before anything has been written to it.
    let fsck = run(&["fsck", "--data", text(&data)]);
    assert_eq!(fsck.code, Some(0), "{}{}", fsck.stdout, fsck.stderr);
    for view in VIEWS {
        let [says, said] = answers(&data, view);
        assert_eq!(says, said, "{view}, without a process");
    }

    // The upstream goes on with what it had, and more.
    let upstream = Lakehead::start(&[
        "simulate",
        "--events",
        "800",
        "--rate",
        "0",
        "--seed",
        "7",
        "--start",
        START,
        "--listen",
        "127.0.0.1:0",
    ]);
    let pipeline = folder.path().join("pipeline.toml");
    let written = fs::read_to_string(fixture().join("pipeline.toml")).expect("a pipeline");
    fs::write(&pipeline, written.replace("127.0.0.1:18321", &upstream.address)).expect("a file");
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    lakehead.until_counted("recentchange", 800 - BEFORE);
    lakehead.until_counted("requests", REQUESTS);
    for view in VIEWS.iter().filter(|view| **view != "edits_per_minute") {
        let [says, said] = answers(&data, view);
        assert_eq!(says, said, "{view}, while it runs");
    }

    // Every event once, as it was made: the cursor of before stood.
    let generator = Generator::new(SEED, START.parse().expect("a time"), 0.0);
    let kept = query(&data, "SELECT data FROM recentchange ORDER BY event_offset");
    assert_eq!(kept.len() as u64, 800 - BEFORE);
    let kept: BTreeSet<&str> = kept.iter().map(|row| row["data"].as_str().expect("text")).collect();
    for n in BEFORE..800 {
        let mut made = Vec::new();
        generator.write_event(n, &mut made);
        let made = String::from_utf8(made).expect("JSON is UTF-8");
        assert!(kept.contains(made.trim_end()), "event {n} is missing: {made}");
    }

    // The import is known to be done.
    let history = fs::File::open(fixture().join("history.jsonl")).expect("a file");
    let again = run_with(&["import", "requests", "--name", "history", "--data", text(&data)], |command| {
        command.stdin(Stdio::from(history));
    });
    assert!(again.stderr.contains("already imported"), "{}{}", again.stdout, again.stderr);
    let rejects = query(&data, "SELECT count(*) AS n FROM rejects");
    assert_eq!(rejects, [json!({ "n": 1 })]);

    // What comes now is counted with what came then.
    let event = r#"{"n": 1000, "dt": "2026-09-01T12:52:30Z", "user": {"name": "Ada"}, "ms": 95.5}"#;
    assert_eq!(lakehead.push("requests", event.as_bytes()).status, 201);
    lakehead.until_counted("requests", REQUESTS + 1);
    let sums = "SELECT sum(requests) AS requests, sum(n) AS n, max(slowest) AS slowest FROM per_minute";
    let expected = json!({ "requests": 281, "n": (0..280).sum::<u64>() + 1_000, "slowest": 99.25 });
    assert_eq!(query(&data, sums), [expected]);
    verify::adds_up(&data);
    assert!(lakehead.finish().success());
    verify::adds_up(&data);
}
