//! Views that read views, a view whose SQL is changed while it runs, and the events behind a number.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    http,
    lakehead::{Ended, Lakehead, eventually, query, run, text},
};

/// One event each second from 12:00:00 on, by one of three wikis.
fn events(from: u64, count: u64) -> Vec<u8> {
    let event = |n: u64| {
        let dt = format!("2026-09-01T{:02}:{:02}:{:02}Z", 12 + n / 3_600, n / 60 % 60, n % 60);
        let wiki = ["a", "b", "c"][usize::try_from(n % 3).expect("below three")];
        format!("{}\n", json!({ "n": n, "dt": dt, "wiki": wiki, "deep": { "x": n } }))
    };
    (from..from + count).map(event).collect::<String>().into_bytes()
}

/// A pipeline with a view by the minute, one by the hour over it, hops, sessions and a projection.
fn write(path: &Path, condition: &str, more: &str) {
    let pipeline = format!(
        r#"
[stream.s]
columns = {{ n = {{ path = "n", type = "int64" }}, wiki = "wiki" }}

[view.by_minute]
sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS minute, wiki, count(*) AS events FROM s WHERE {condition} GROUP BY 1, 2"
{more}

[view.by_quarter]
sql = "SELECT tumble(minute, INTERVAL '15 minutes') AS quarter, wiki, sum(events) AS events FROM by_minute GROUP BY 1, 2"

[view.hops]
sql = "SELECT hop(event_time, INTERVAL '5 minutes', INTERVAL '20 minutes') AS w, count(*) AS events FROM s GROUP BY 1"

[view.sessions]
sql = "SELECT session(event_time, INTERVAL '2 minutes') AS began, wiki, count(*) AS events, max(n) AS last FROM s GROUP BY 1, 2"

[view.clean]
sql = "SELECT event_time, wiki, data -> 'deep' ->> 'x' AS x FROM s WHERE wiki <> 'c'"
"#
    );
    let fresh = path.with_extension("new");
    fs::write(&fresh, pipeline).expect("the pipeline can be written");
    fs::rename(&fresh, path).expect("the pipeline can be replaced");
}

fn view(words: &[&str], data: &Path) -> Ended {
    run(&[&["view"], words, &["--data", text(data)]].concat())
}

fn sum(data: &Path, name: &str) -> Value {
    query(data, &format!("SELECT sum(events) AS events FROM {name}"))[0]["events"].clone()
}

fn adds_up(data: &Path) {
    let ended = run(&["verify", "--data", text(data)]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn views_of_every_kind_add_up_live_after_a_kill_and_when_late_events_come() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    write(&file, "n >= 0", "");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    assert_eq!(lakehead.push("s", &events(0, 4_000)).status, 201);
    lakehead.until_counted("s", 4_000);
    assert_eq!((sum(&data, "by_minute"), sum(&data, "by_quarter")), (json!(4_000), json!(4_000)));
    // Every event is in four windows of twenty minutes.
    assert_eq!((sum(&data, "hops"), sum(&data, "sessions")), (json!(16_000), json!(4_000)));
    assert_eq!(query(&data, "SELECT count(*) AS rows, max(x) AS x FROM clean"), [json!({ "rows": 2_667, "x": "999" })]);
    adds_up(&data);
    lakehead.kill();
    adds_up(&data);

    // Late by an hour: windows that were closed are corrected, also in the view over the view.
    let lakehead = Lakehead::run_pipeline(&file, &data);
    assert_eq!(lakehead.push("s", &events(100, 60)).status, 201);
    lakehead.until_counted("s", 4_060);
    assert_eq!((sum(&data, "by_minute"), sum(&data, "by_quarter")), (json!(4_060), json!(4_060)));
    assert_eq!(sum(&data, "hops"), json!(16_240));
    adds_up(&data);
    assert!(lakehead.finish().success());
    assert_eq!((sum(&data, "by_quarter"), sum(&data, "sessions")), (json!(4_060), json!(4_060)));
    adds_up(&data);
}

#[test]
fn a_changed_view_is_built_beside_the_old_one_compared_and_put_in_its_place() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    write(&file, "n >= 0", "swap = \"ask\"");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    assert_eq!(lakehead.push("s", &events(0, 3_000)).status, 201);
    lakehead.until_counted("s", 3_000);
    let ended = view(&["diff", "by_minute"], &data);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("no view is built beside by_minute"), "{}", ended.stderr);

    write(&file, "wiki <> 'b'", "swap = \"ask\"");
    let reloaded = run(&["reload", "--data", text(&data)]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    let waits = |status: &Value| status["views"]["by_minute"]["next"]["waits"] == true;
    lakehead.until("the new view", waits);
    assert_eq!(
        (sum(&data, "by_minute"), sum(&data, "by_quarter")),
        (json!(3_000), json!(3_000)),
        "the old one answers"
    );
    let ended = view(&["diff", "by_minute", "--format", "json"], &data);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&found["added"], &found["changed"]), (&json!(0), &json!(0)), "{found}");
    assert!(found["removed"].as_u64().is_some_and(|removed| removed > 20), "{found}");

    // What waits is there after a kill, too.
    lakehead.kill();
    let lakehead = Lakehead::run_pipeline(&file, &data);
    lakehead.until("the new view", waits);
    assert_eq!(sum(&data, "by_minute"), json!(3_000));
    let ended = view(&["swap", "by_minute"], &data);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!((sum(&data, "by_minute"), sum(&data, "by_quarter")), (json!(2_000), json!(2_000)));
    adds_up(&data);
    lakehead.kill();
    assert_eq!(sum(&data, "by_quarter"), json!(2_000));

    // Without being asked, and with the same SQL: nothing changes, and it is done at once.
    write(&file, "n >= 0", "");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    assert!(eventually(|| sum(&data, "by_minute") == json!(3_000)), "{}", lakehead.said());
    assert_eq!(view(&["rebuild", "by_minute"], &data).code, Some(0));
    lakehead.until("the rebuild", |status| status["views"]["by_minute"]["next"].is_null());
    assert_eq!((sum(&data, "by_minute"), sum(&data, "by_quarter")), (json!(3_000), json!(3_000)));
    let ended = view(&["rebuild", "by_quarter"], &data);
    assert!(ended.stderr.contains("rebuild that one"), "{}", ended.stderr);
    adds_up(&data);
    assert!(lakehead.finish().success());
    let state = data.join("views/by_minute/.state");
    let names = fs::read_dir(&state).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let builds: std::collections::BTreeSet<String> = names
        .filter_map(|name| Some(name.to_string_lossy().strip_suffix(".result")?.rsplit('.').nth(1)?.to_owned()))
        .collect();
    assert_eq!(builds.len(), 1, "one set of files is live: {builds:?}");
}

#[test]
fn a_number_leads_to_the_events_behind_it() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    write(&file, "n >= 0", "");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    assert_eq!(lakehead.push("s", &events(0, 1_000)).status, 201);
    lakehead.until_counted("s", 1_000);
    let one = "minute = '2026-09-01T12:03:00Z' AND wiki = 'b'";
    let explained = |name: &str, filter: &str| -> Value {
        let ended = view(&["explain", name, "--where", filter, "--events", "500", "--format", "json"], &data);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        serde_json::from_str(&ended.stdout).expect("JSON")
    };
    let found = explained("by_minute", one);
    let row = &found["rows"][0];
    assert_eq!((row["events"].as_u64(), &row["agrees"], &row["recount"]), (Some(20), &json!(true), &row["row"]));
    let numbers: Vec<u64> = row["shown"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["event"]["n"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, (180..240).filter(|n| n % 3 == 1).collect::<Vec<_>>());
    let quarter = explained("by_quarter", "quarter = '2026-09-01T12:00:00Z' AND wiki = 'a'");
    assert_eq!((&quarter["rows"][0]["events"], &quarter["rows"][0]["by_way_of"]), (&json!(300), &json!(15)));
    let hop = explained("hops", "w = '2026-09-01T12:10:00Z'");
    assert_eq!((&hop["rows"][0]["events"], &hop["rows"][0]["agrees"]), (&json!(400), &json!(true)));
    let session = explained("sessions", "wiki = 'c'");
    assert_eq!((&session["rows"][0]["events"], &session["rows"][0]["agrees"]), (&json!(333), &json!(true)));
    let clean = explained("clean", "x = '7'");
    assert_eq!((&clean["rows"][0]["shown"][0]["offset"], &clean["rows"][0]["row"]["wiki"]), (&json!(7), &json!("b")));

    let wrong = view(&["explain", "by_minute", "--where", "wikki = 'b'"], &data);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("line 1, column 1"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("wikki"), "{}", wrong.stderr);
    let body = format!("{{\"where\": \"{one}\"}}");
    let answer = http::request(&lakehead.address, "POST", "/v1/views/by_minute/explain", &[], body.as_bytes());
    assert_eq!(answer.expect("an answer").json()["rows"][0]["events"], json!(20));

    // What changes in closed windows, from a position on.
    assert!(lakehead.finish().success());
    let lakehead = Lakehead::run_pipeline(&file, &data);
    let all = view(&["changes", "by_minute"], &data);
    let position = all.stderr.trim().rsplit(' ').next().expect("a position").to_owned();
    assert!(
        all.stdout.lines().count() > 30 && all.stdout.lines().all(|line| line.contains("\"_op\":\"insert\"")),
        "{}",
        all.stdout
    );
    assert_eq!(view(&["changes", "by_minute", "--after", &position], &data).stdout, "");
    assert_eq!(lakehead.push("s", &events(181, 1)).status, 201);
    lakehead.until_counted("s", 1_001);
    let late = || view(&["changes", "by_minute", "--after", &position], &data).stdout;
    assert!(eventually(|| !late().is_empty()), "{}", lakehead.said());
    let change: Value = serde_json::from_str(late().trim()).expect("one change");
    assert_eq!((&change["_op"], &change["wiki"], &change["events"]), (&json!("update"), &json!("b"), &json!(21)));

    // Without a process the files are read.
    lakehead.kill();
    assert_eq!(explained("by_minute", one)["rows"][0]["events"], json!(21));
}
