//! Bad input: each kind gets a message that says what is wrong and what to do, and costs nothing that was acknowledged.

use std::{fs, net::TcpListener};

use serde_json::Value;

use crate::{
    disk::Disk,
    lakehead::{Ended, Lakehead, query, run, skip, stored, text},
    push::pipeline,
};

/// A running pipeline with one event in it that was acknowledged.
struct Running {
    lakehead: Lakehead,
    folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let lakehead = Lakehead::run_pipeline(&pipeline(folder.path()), &folder.path().join("data"));
        let kept = lakehead.push("people", br#"{"name": "kept before", "age": 1, "dt": "2026-09-01T12:00:00Z"}"#);
        assert_eq!(kept.status, 201, "{}", kept.body);
        Self { lakehead, folder }
    }

    fn query(&self, sql: &str) -> Vec<Value> {
        query(&self.folder.path().join("data"), sql)
    }

    /// Kills it and looks what is there.
    fn names_after_a_kill(self) -> Vec<String> {
        let data = self.folder.path().join("data");
        self.lakehead.kill();
        let rows = query(&data, "SELECT coalesce(name, '-') AS name FROM people ORDER BY event_offset");
        rows.iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
    }
}

/// Whether a text says all of these words, and what it says where it does not.
fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[test]
fn a_bad_line_is_kept_apart_and_its_neighbours_are_kept() {
    let running = Running::start();
    let answer =
        running.lakehead.push("people", b"{\"name\": \"left\"}\n{\"name\": \"broken\"\n{\"name\": \"right\"}\n");
    assert_eq!(answer.status, 207, "{}", answer.body);
    assert_eq!(answer.json()["accepted"], 2);
    assert_eq!(answer.json()["invalid"][0]["index"], 1);
    let reason = answer.json()["invalid"][0]["reason"].as_str().expect("a reason").to_owned();
    assert_says(&reason, &["JSON"]);

    let rejects = running.query("SELECT stream, reason, payload FROM rejects");
    assert_eq!(rejects.len(), 1);
    assert_eq!(rejects[0]["stream"], "people");
    assert_eq!(rejects[0]["reason"], reason.as_str());
    assert_says(rejects[0]["payload"].as_str().expect("its payload"), &["broken"]);
    assert_eq!(running.names_after_a_kill(), ["kept before", "left", "right"]);
}

#[test]
fn an_event_of_ten_megabytes_is_refused_with_the_limit() {
    let running = Running::start();
    let event = format!(r#"{{"name": "{}"}}"#, "x".repeat(10_000_000));
    let answer = running.lakehead.push("people", event.as_bytes());
    assert!([400, 413].contains(&answer.status), "{} {}", answer.status, answer.body);
    assert_says(&answer.body, &["4 MiB"]);
    let status = running.lakehead.status();
    assert_eq!((stored(&status, "people"), stored(&status, "rejects")), (1, 1));
    assert_eq!(running.names_after_a_kill(), ["kept before"]);
}

#[test]
fn a_body_over_the_limit_is_refused_whole() {
    let running = Running::start();
    let line = format!("{{\"name\": \"{}\"}}\n", "x".repeat(1 << 20));
    let answer = running.lakehead.push("people", line.repeat(17).as_bytes());
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert_says(&answer.body, &["send it in parts"]);
    assert_eq!(running.names_after_a_kill(), ["kept before"]);
}

#[test]
fn an_event_without_a_time_is_kept_and_counted_apart() {
    let running = Running::start();
    assert_eq!(running.lakehead.push("people", br#"{"name": "timeless"}"#).status, 201);
    let status = running.lakehead.until_counted("people", 2);
    assert_eq!(status["views"]["people_per_minute"]["without_time"], 1);
    let rows = running.query("SELECT name, event_time FROM people WHERE event_time IS NULL");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["name"], "timeless");
    let counted = running.query("SELECT sum(people) AS people FROM people_per_minute");
    assert_eq!(counted[0]["people"], 1);
    assert_eq!(running.names_after_a_kill(), ["kept before", "timeless"]);
}

#[test]
fn a_wrong_type_in_a_field_is_null_and_loses_nothing() {
    let running = Running::start();
    let body = br#"[{"name": "text for age", "age": "old"}, {"name": 7, "age": 7}, {"name": "huge", "age": 1e300}, 5, "text", null]"#;
    assert_eq!(running.lakehead.push("people", body).status, 201);
    let rows = running.query("SELECT name, age, data FROM people WHERE event_offset > 0 ORDER BY event_offset");
    let seen: Vec<_> = rows.iter().map(|row| (row["name"].clone(), row["age"].clone())).collect();
    let null = Value::Null;
    let text = |text: &str| Value::from(text);
    assert_eq!(seen[0], (text("text for age"), null.clone()));
    assert_eq!(seen[1], (null.clone(), Value::from(7)));
    assert_eq!(seen[2], (text("huge"), null.clone()));
    assert_eq!(seen.len(), 6);
    assert_eq!(rows[3]["data"], "5");
    assert_eq!(running.names_after_a_kill().len(), 7);
}

#[test]
fn an_unknown_stream_is_named_with_those_that_there_are() {
    let running = Running::start();
    let answer = running.lakehead.push("poeple", b"{}");
    assert_eq!(answer.status, 404, "{}", answer.body);
    assert_says(&answer.body, &["poeple", "people"]);
    let sql = run(&["query", "SELECT * FROM poeple", "--data", text(&running.folder.path().join("data"))]);
    assert_eq!(sql.code, Some(2));
    assert_says(&sql.stderr, &["poeple", "people"]);
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let pipeline = pipeline(folder.path());
    let data = folder.path().join("data");
    let ended = run(&["run", text(&pipeline), "--data", text(&data), "--listen", &address]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(&ended.stderr, &[&address, "in use", "--listen"]);
}

#[test]
fn an_upstream_that_is_away_is_said_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    // Below 1024 no port is handed out by chance, and nobody has run tcpmux for decades.
    let nobody = "127.0.0.1:1";
    let url = format!("http://{nobody}/v2/stream/recentchange");
    let words = ["run", "--upstream", &url, "--data", text(folder.path()), "--listen", "127.0.0.1:0"];
    let lakehead = Lakehead::start(&words);
    let status = lakehead.until("the source to be away", |status| status["sources"]["wikimedia"]["state"] == "away");
    assert_says(status["sources"]["wikimedia"]["error"].as_str().expect("a reason"), &[nobody]);
    assert_eq!(lakehead.push("recentchange", br#"{"type": "edit", "wiki": "enwiki"}"#).status, 201);
    let rows = query(folder.path(), "SELECT wiki FROM recentchange");
    assert_eq!(rows[0]["wiki"], "enwiki");
    assert!(lakehead.finish().success());
}

#[test]
fn a_second_process_on_one_data_directory_is_refused() {
    let running = Running::start();
    let pipeline = running.folder.path().join("pipeline.toml");
    let data = running.folder.path().join("data");
    let ended = run(&["run", text(&pipeline), "--data", text(&data), "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(&ended.stderr, &[&running.lakehead.pid().to_string(), &running.lakehead.address]);
    assert_eq!(running.lakehead.push("people", br#"{"name": "after"}"#).status, 201, "the first goes on");
    assert_eq!(running.names_after_a_kill(), ["kept before", "after"]);
}

#[test]
fn a_foreign_directory_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let pipeline = pipeline(folder.path());
    let foreign = folder.path().join("photos");
    fs::create_dir(&foreign).expect("a folder");
    fs::write(foreign.join("cat.jpg"), "a cat").expect("a file");
    let ended = run(&["run", text(&pipeline), "--data", text(&foreign), "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(&ended.stderr, &["photos", "empty"]);
    let names: Vec<_> =
        fs::read_dir(&foreign).expect("a folder").map_while(Result::ok).map(|e| e.file_name()).collect();
    assert_eq!(names, ["cat.jpg"], "nothing was added");
}

#[test]
fn a_read_only_directory_is_refused_by_name() {
    let name = "bad_input::a_read_only_directory_is_refused_by_name";
    let folder = tempfile::tempdir().expect("a folder for the test");
    // Root may write whatever the mode says, so the disk itself has to be read-only.
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "ro") else {
        return skip(name, "mounting a small disk needs root");
    };
    let data = disk.path().join("data");
    let ended = run(&["run", text(&pipeline(folder.path())), "--data", text(&data), "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_says(&ended.stderr, &[text(&data), "Read-only"]);
    assert_eq!(ended.stderr.matches("Read-only").count(), 1, "said once: {}", ended.stderr);
}

#[test]
fn an_option_that_cannot_be_read_says_what_one_looks_like() {
    for (words, said) in [
        (&["simulate", "--rate", "x"][..], "as in 36.1"),
        (&["simulate", "--start", "soon"], "as in 2026-11-24T10:00:00Z"),
        (&["run", "--listen", "localhost"], "as in 127.0.0.1:8080"),
    ] {
        let ended = run(words);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert_says(&ended.stderr, &[said]);
    }
}

/// What `check` says of a pipeline; `run` must refuse it in the same words.
fn checked(text_of_it: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("mine.toml");
    fs::write(&path, text_of_it).expect("the pipeline can be written");
    let checked = run(&["check", text(&path)]);
    let data = folder.path().join("data");
    let ran = run(&["run", text(&path), "--data", text(&data), "--listen", "127.0.0.1:0"]);
    assert_eq!((checked.code, ran.code), (Some(2), Some(2)), "{checked:?} {ran:?}");
    assert!(!data.exists(), "a bad pipeline starts nothing");
    checked
}

#[test]
fn a_broken_pipeline_names_file_line_key_and_what_would_be_valid() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("not TOML", "[stream.people\n", &["mine.toml", "1"]),
        ("a misspelt table", "[straem.people]\nschema = \"json\"\n", &["mine.toml", "straem", "stream"]),
        ("a misspelt key", "[stream.people]\nshema = \"json\"\n", &["mine.toml", "2", "shema", "schema"]),
        (
            "an unknown schema",
            "[stream.people]\nschema = \"jsn\"\n",
            &["mine.toml", "2", "jsn", "mediawiki/recentchange"],
        ),
        (
            "an unknown kind",
            "[stream.s]\nschema = \"json\"\n[source.a]\nkind = \"evenstreams\"\nstream = \"s\"\n",
            &["mine.toml", "4", "evenstreams", "eventstreams"],
        ),
        (
            "a stream that is not there",
            "[stream.s]\nschema = \"json\"\n[source.a]\nkind = \"eventstreams\"\nurl = \"http://127.0.0.1:1/v2/stream/x\"\nstream = \"t\"\n",
            &["mine.toml", "6", "\"t\"", "s"],
        ),
        (
            "bad SQL",
            "[stream.s]\nschema = \"json\"\n[view.v]\nsql = \"SELECT cuont(*) FROM s GROUP BY tumble(event_time, INTERVAL '1 minute')\"\n",
            &["mine.toml", "4", "cuont"],
        ),
        (
            "a name that is none",
            "[stream.\"My Stream\"]\nschema = \"json\"\n",
            &["mine.toml", "My Stream", "lower-case"],
        ),
    ];
    for (what, text, words) in cases {
        let checked = checked(text);
        for word in *words {
            assert!(checked.stderr.contains(word), "{what}: {word:?} is not in: {}", checked.stderr);
        }
    }
}
