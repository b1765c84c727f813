//! Event time: one rule for all that brings events, one range, and a word where there is none.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    http,
    lakehead::{Lakehead, eventually, query, run, text},
};

/// Writes a pipeline with one stream `s`, which has these settings, and a view over its event time by the hour.
fn pipeline(folder: &Path, stream: &str, more: &str) -> std::path::PathBuf {
    let path = folder.join("pipeline.toml");
    let text = format!(
        "[stream.s]\n{stream}\n\n[view.hours]\nsql = \"SELECT tumble(event_time, INTERVAL '1 hour') AS hour, count(*) AS \
         events, sum(n) AS sum FROM s GROUP BY 1\"\nlateness = \"3650000d\"\n{more}"
    );
    fs::write(&path, text).expect("the pipeline can be written");
    path
}

const N: &str = "columns = { n = { path = \"n\", type = \"int64\" } }";

fn ask(lakehead: &Lakehead, sql: &str) -> Vec<Value> {
    let answer = http::request(&lakehead.address, "POST", "/v1/sql", &[], sql.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
    answer.json().as_array().expect("rows").clone()
}

fn push(lakehead: &Lakehead, events: &[Value]) -> Value {
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let answer = lakehead.push("s", lines.as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()
}

/// The n-th event: by `a` one an hour of November, by `b` a year before and backwards.
fn two_times(n: u64) -> Value {
    let (day, hour) = (1 + n / 24 % 28, n % 24);
    let (back_day, back_hour) = (1 + (671 - n % 672) / 24, (671 - n % 672) % 24);
    json!({ "n": n, "a": format!("2026-11-{day:02}T{hour:02}:30:00Z"), "b": format!("2025-02-{back_day:02}T{back_hour:02}:30:00Z") })
}

/// Whatever skips by event time finds what the column has, and the view has what the column has.
fn skipping_is_right(data: &Path, field: &str, days: &[&str]) {
    let all = query(data, &format!("SELECT count(*) AS n FROM s WHERE data ->> '{field}' <> ''"));
    let counted = query(data, "SELECT coalesce(sum(events), 0) AS n FROM hours");
    assert_eq!(counted, all, "the view counts by {field}");
    for day in days {
        let by_text = format!("SELECT count(*) AS n, sum(n) AS sum FROM s WHERE data ->> '{field}' >= '{day}'");
        let by_time = format!("SELECT count(*) AS n, sum(n) AS sum FROM s WHERE event_time >= '{day}T00:00:00Z'");
        assert_eq!(query(data, &by_time), query(data, &by_text), "{field} from {day} on");
        let (by_text, by_time) = (by_text.replace(">=", "<"), by_time.replace(">=", "<"));
        assert_eq!(query(data, &by_time), query(data, &by_text), "{field} up to {day}");
    }
    for day in days {
        let out = run(&[
            "export",
            "--stream",
            "s",
            "--from",
            &format!("{day}T00:00:00Z"),
            "--to",
            "9999-12-31T00:00:00Z",
            "--data",
            text(data),
        ]);
        let lines = out.stdout.lines().filter(|line| line.contains("\"n\"")).count();
        let rows = query(data, &format!("SELECT count(*) AS n FROM s WHERE data ->> '{field}' >= '{day}'"));
        assert_eq!(json!(lines), rows[0]["n"], "export from {day} on: {}", out.stderr);
    }
}

fn verified(data: &Path) {
    let said = run(&["verify", "--data", text(data)]);
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
}

/// A reload that changes the event time, while events flow; a kill; and back. Blocks of either rule lie side by side.
#[test]
fn a_changed_event_time_is_read_from_what_lay_there_before_too() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let rule = |field: &str| pipeline(folder.path(), &format!("event_time = \"{field}\"\n{N}"), "");
    let file = rule("a");
    let mut lakehead = Lakehead::run_pipeline(&file, &data);
    let mut n = 0_u64;
    let more = |lakehead: &Lakehead, n: &mut u64, batches: u64| {
        for _ in 0..batches {
            push(lakehead, &(*n..*n + 24).map(two_times).collect::<Vec<_>>());
            *n += 24;
        }
    };
    more(&lakehead, &mut n, 6);
    let days = ["2025-02-10", "2025-02-27", "2026-11-02", "2026-11-06", "2026-11-20"];
    for field in ["b", "a", "b"] {
        rule(field);
        std::thread::scope(|scope| {
            let flowing = scope.spawn(|| more(&lakehead, &mut n, 8));
            let said = run(&["reload", "--data", text(&data)]);
            assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
            flowing.join().expect("events flow");
        });
        more(&lakehead, &mut n, 2);
        lakehead.until_counted("s", n);
        lakehead.until("the view that was counted again", |status| status["views"]["hours"]["next"].is_null());
        skipping_is_right(&data, field, &days);
        verified(&data);
        lakehead.kill();
        skipping_is_right(&data, field, &days);
        lakehead = Lakehead::run_pipeline(&file, &data);
        more(&lakehead, &mut n, 1);
        lakehead.until_counted("s", n);
        skipping_is_right(&data, field, &days);
        verified(&data);
    }
    assert!(lakehead.finish().success());
    skipping_is_right(&data, "b", &days);
}

/// The source knows `timestamp`, in whole seconds; the stream says `meta.dt`, in milliseconds.
#[test]
fn a_source_with_a_time_of_its_own_does_not_hide_events_from_the_stream_s() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let upstream = Lakehead::start(&["simulate", "--rate", "200", "--listen", "127.0.0.1:0"]);
    let data = folder.path().join("data");
    let source = format!(
        "\n[source.w]\nkind = \"eventstreams\"\nurl = \"http://{}/v2/stream/recentchange\"\nstream = \"s\"\n",
        upstream.address
    );
    let file = pipeline(
        folder.path(),
        "event_time = \"meta.dt\"\ncolumns = { n = { path = \"id\", type = \"int64\" } }",
        &source,
    );
    let lakehead = Lakehead::run_pipeline(&file, &data);
    lakehead.until_counted("s", 400);
    for _ in 0..3 {
        let last = ask(&lakehead, "SELECT max(event_offset) AS o FROM s")[0]["o"].as_u64().expect("an offset");
        let pinned = format!("event_offset <= {last}");
        let rows = ask(&lakehead, &format!("SELECT max(event_time) AS t FROM s WHERE {pinned}"));
        let newest = rows[0]["t"].as_str().expect("a time").to_owned();
        let found = ask(&lakehead, &format!("SELECT count(*) AS n FROM s WHERE event_time >= '{newest}' AND {pinned}"));
        assert!(found[0]["n"].as_u64() >= Some(1), "{newest}: {found:?}");
        let by_text = ask(
            &lakehead,
            &format!(
                "SELECT count(*) AS n FROM s WHERE event_time = CAST(data -> 'meta' ->> 'dt' AS TIMESTAMP) AND {pinned}"
            ),
        );
        assert_eq!(by_text[0]["n"].as_u64(), Some(last + 1));
        lakehead.until_counted("s", last + 100);
    }
    verified(&data);
    let status = lakehead.status();
    assert!(status["sources"]["w"]["progress"].is_string(), "it tells progress by meta.dt: {status:#}");
    assert!(lakehead.finish().success());
}

#[test]
fn an_import_with_an_event_time_of_its_own_is_refused_with_what_to_write() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let own = "{ path = \"a\", formats = [\"rfc3339\", \"unix_ms\"] }";
    let file = pipeline(folder.path(), &format!("event_time = {own}\n{N}"), "");
    let lines: String = (0..672).map(|n| format!("{}\n", two_times(n))).collect();
    fs::write(folder.path().join("lines.jsonl"), lines).expect("a file");
    let from = folder.path().join("lines.jsonl");
    let words = ["import", "s", text(&from), "--pipeline", text(&file), "--data", text(&data)];
    let to_write = format!("event_time = [\"b\", {own}]");
    let is_refused = || {
        let refused = run(&[&words[..], &["--event-time", "b"]].concat());
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(&to_write), "{}", refused.stderr);
    };
    is_refused();
    assert!(!data.exists(), "what is refused makes nothing");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    is_refused();
    let taken = run(&[&words[..], &["--event-time", "a"]].concat());
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    lakehead.until_counted("s", 672);
    skipping_is_right(&data, "a", &["2026-11-01", "2026-11-20"]);
    // Before anything is said of the file, which was imported by now.
    is_refused();
    assert!(lakehead.finish().success());
    is_refused();
    let checked = run(&["check", text(&pipeline(folder.path(), &format!("{to_write}\n{N}"), ""))]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

/// Times that RFC 3339 has and event time has not; each beside one that is.
#[test]
fn times_outside_of_the_range_are_no_event_times_and_break_no_answer() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let columns = "columns = { n = { path = \"n\", type = \"int64\" }, at = { path = \"at\", type = \"timestamp\" } }";
    let more = "\n[view.centuries]\nsql = \"SELECT tumble(event_time, INTERVAL '36525 days') AS c, count(*) AS events FROM s GROUP BY 1\"\nlateness = \"3650000d\"\n";
    let file = pipeline(
        folder.path(),
        &format!("event_time = {{ path = \"dt\", formats = [\"rfc3339\", \"unix_seconds\"] }}\n{columns}"),
        more,
    );
    let lakehead = Lakehead::run_pipeline(&file, &data);
    let outside = [
        json!("0001-01-01T00:00:00Z"),
        json!("0000-01-01T00:00:00+01:00"),
        json!("1677-12-31T23:59:59.999999Z"),
        json!("2262-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:59Z"),
        json!(9_223_372_036_854_775_807_i64),
        json!(-9_223_372_036_854_775_807_i64),
        json!(1e18),
    ];
    let inside = [
        json!("1678-01-01T00:00:00Z"),
        json!("1700-02-28T01:00:00Z"),
        json!("2261-12-31T23:59:59.999999Z"),
        json!(1_795_865_400),
    ];
    let events: Vec<Value> =
        outside.iter().chain(&inside).enumerate().map(|(n, dt)| json!({ "n": n, "dt": dt, "at": dt })).collect();
    let answer = push(&lakehead, &events);
    assert_eq!(answer["without_event_time"]["count"], 8, "{answer}");
    assert!(
        answer["without_event_time"]["reason"].as_str().expect("one").contains("outside of the years 1678 to 2261"),
        "{answer}"
    );
    let status = lakehead.until_counted("s", 12);
    assert_eq!(status["views"]["hours"]["without_time"], 8);
    assert!(
        status["views"]["hours"]["failed"].is_null() && status["views"]["centuries"]["failed"].is_null(),
        "{status:#}"
    );
    let one = |sql: &str| ask(&lakehead, sql)[0].clone();
    assert_eq!(
        one("SELECT count(*) AS n, count(event_time) AS t, count(at) AS a FROM s"),
        json!({ "n": 12, "t": 4, "a": 4 })
    );
    let always = "SELECT count(*) AS n FROM s WHERE event_time";
    for (condition, n) in [
        ("< TIMESTAMP '9999-12-31'", 4),
        ("< TIMESTAMP '9999-12-31T00:00:00Z'", 4),
        ("<= '9999-12-31T00:00:00Z'", 4),
        ("< DATE '9999-12-31'", 4),
        ("> DATE '0001-01-01'", 4),
        ("> TIMESTAMP '0001-01-01'", 4),
        ("BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31'", 4),
        ("BETWEEN DATE '0001-01-01' AND DATE '2000-01-01'", 2),
        ("> TIMESTAMP '9999-12-31'", 0),
        ("< CAST('0001-01-01' AS TIMESTAMP)", 0),
        ("> now() - INTERVAL '1000 years'", 4),
        ("< now() + INTERVAL '1000 years'", 4),
        ("> to_timestamp(-62135596800)", 4),
        ("< to_timestamp(253402300799)", 4),
        ("< to_timestamp('9999-12-31')", 4),
        ("< to_timestamp(9223372036854775807)", 0),
        ("< to_timestamp(1e300)", 0),
        ("IN (DATE '9999-12-31', DATE '1678-01-01')", 1),
        ("+ INTERVAL '1000 years' > event_time", 4),
    ] {
        assert_eq!(one(&format!("{always} {condition}")), json!({ "n": n }), "{condition}");
    }
    for unit in ["second", "minute", "hour", "day", "week", "month", "quarter", "year"] {
        let rows =
            ask(&lakehead, &format!("SELECT date_trunc('{unit}', event_time) AS t, count(*) AS n FROM s GROUP BY 1"));
        assert_eq!(rows.len(), 5, "{unit}: {rows:?}");
        ask(
            &lakehead,
            &format!("SELECT date_trunc('{unit}', at) AS t, date_trunc('{unit}', c) AS c FROM s, centuries"),
        );
    }
    let far = one(
        "SELECT date_trunc('month', TIMESTAMP '9999-12-31T12:00:00') AS far, date_trunc('week', TIMESTAMP '0001-01-10') AS old",
    );
    assert_eq!(far, json!({ "far": "9999-12-01T00:00:00", "old": "0001-01-08T00:00:00" }));
    assert_eq!(
        one("SELECT CAST(1795865400 AS TIMESTAMP) AS t"),
        json!({ "t": "2026-11-28T11:30:00" }),
        "seconds, as ever"
    );
    assert_eq!(one("SELECT sum(events) AS n FROM hours"), json!({ "n": 4 }));
    assert_eq!(
        one("SELECT sum(events) AS n, count(date_trunc('day', c)) AS c FROM centuries"),
        json!({ "n": 4, "c": 3 }),
        "the first two share a window, whose start is before 1678"
    );
    ask(&lakehead, "SELECT date_trunc('day', hour) AS d, hour, events FROM hours");
    ask(&lakehead, "SELECT * FROM s");
    // A time that no text can hold is refused before a byte of the answer.
    for sql in [
        "SELECT arrow_cast(9223372036854775807, 'Timestamp(Microsecond, None)') AS t",
        "SELECT event_time + INTERVAL '290000 years' AS t FROM s",
    ] {
        let answer = http::request(&lakehead.address, "POST", "/v1/sql", &[], sql.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 400, "{sql}: {}", answer.body);
        answer.json();
    }
    for bounds in [["--from", "0001-01-01T00:00:00Z"], ["--to", "9999-12-31T23:59:59Z"]] {
        let out = run(&[&["export", "--stream", "s", "--data", text(&data)], &bounds[..]].concat());
        assert_eq!((out.code, out.stdout.lines().count()), (Some(0), 4), "{}", out.stderr);
    }
    verified(&data);
    assert!(lakehead.finish().success());
    verified(&data);
    assert_eq!(query(&data, "SELECT sum(events) AS n FROM hours"), [json!({ "n": 4 })]);
}

fn health(lakehead: &Lakehead) -> String {
    http::get(&lakehead.address, "/healthz").expect("an answer").body
}

#[test]
fn events_without_a_time_are_told_everywhere_with_what_would_give_them_one() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let file = pipeline(folder.path(), &format!("event_time = \"ts\"\n{N}"), "");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    let answer = push(&lakehead, &[json!({ "n": 1, "ts": "2026-11-28T11:30:00Z" })]);
    assert!(answer.get("without_event_time").is_none(), "{answer}");
    let cure = "looks like Unix milliseconds: set event_time = { path = \"ts\", formats = [\"rfc3339\", \"unix_ms\"] }";
    let answer = push(&lakehead, &(0..9).map(|n| json!({ "n": n, "ts": 1_795_865_400_000_i64 })).collect::<Vec<_>>());
    assert_eq!(answer["without_event_time"]["count"], 9);
    assert!(answer["without_event_time"]["reason"].as_str().expect("one").contains(cure), "{answer}");
    let told = json!(cure).to_string();
    assert!(health(&lakehead).contains(told.trim_matches('"')), "{}", health(&lakehead));
    let status = lakehead.status();
    assert_eq!(
        (&status["streams"]["s"]["event_times"]["without"], &status["streams"]["s"]["event_times"]["events"]),
        (&json!(9), &json!(10))
    );
    let metrics = http::get(&lakehead.address, "/metrics").expect("an answer").body;
    assert!(metrics.contains("lakehead_stream_events_without_time_total{stream=\"s\"} 9"), "{metrics}");
    let said = run(&["streams", "--data", text(&data)]);
    assert!(said.stdout.contains("9 of 10 since the start"), "{}", said.stdout);
    let said = run(&["check", text(&file), "--data", text(&folder.path().join("nowhere"))]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stderr.contains("nowhere, so its events were not looked at"), "{}", said.stderr);
    let said = run(&["check", text(&file), "--data", text(&data)]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(
        said.stderr.contains("9 of its last 10 events") && said.stderr.contains(cure),
        "{}{}",
        said.stdout,
        said.stderr
    );
    let said = run(&["streams", "s", "--data", text(&data)]);
    assert!(said.stdout.contains("9 of the last 10") && said.stderr.contains(cure), "{}{}", said.stdout, said.stderr);

    // The cure cures, of what is there as well.
    pipeline(
        folder.path(),
        &format!("event_time = {{ path = \"ts\", formats = [\"rfc3339\", \"unix_ms\"] }}\n{N}"),
        "",
    );
    let said = run(&["reload", "--data", text(&data)]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(!health(&lakehead).contains("no event time"), "{}", health(&lakehead));
    lakehead.until("the view that was counted again", |status| {
        status["views"]["hours"]["next"].is_null() && status["views"]["hours"]["without_time"] == 0
    });
    assert_eq!(
        ask(&lakehead, "SELECT hour, events FROM hours"),
        [json!({ "hour": "2026-11-28T11:00:00Z", "events": 10 })]
    );
    // A list, and a guess.
    pipeline(
        folder.path(),
        &format!("event_time = {{ path = \"ts\", format = \"auto\", zone = \"Europe/Berlin\" }}\n{N}"),
        "",
    );
    assert_eq!(run(&["reload", "--data", text(&data)]).code, Some(0));
    let forms = [
        "2026-11-28 12:30:00",
        "Sat, 28 Nov 2026 11:30:00 GMT",
        "1795865400",
        "1795865400000000",
        "2026-11-28T12:30:00+01:00",
    ];
    let answer = push(&lakehead, &forms.map(|ts| json!({ "n": 1, "ts": ts })));
    assert!(answer.get("without_event_time").is_none(), "{answer}");
    lakehead.until_counted("s", 15);
    lakehead.until("the view that was counted again", |status| status["views"]["hours"]["next"].is_null());
    assert_eq!(
        ask(&lakehead, "SELECT hour, events FROM hours"),
        [json!({ "hour": "2026-11-28T11:00:00Z", "events": 15 })]
    );
    verified(&data);
    assert!(lakehead.finish().success());
}

#[test]
fn a_change_that_takes_the_event_time_from_what_lies_there_is_told_after_a_reload_and_after_a_start() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let rule = |format: &str| {
        pipeline(folder.path(), &format!("event_time = {{ path = \"at\", format = \"{format}\" }}\n{N}"), "")
    };
    let file = rule("unix_ms");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    push(&lakehead, &(0..50).map(|n| json!({ "n": n, "at": 1_795_865_400_000_i64 })).collect::<Vec<_>>());
    let told =
        |lakehead: &Lakehead| health(lakehead).contains("most of the last events of stream s have no event time");
    assert!(!told(&lakehead));
    rule("iso");
    assert_eq!(run(&["reload", "--data", text(&data)]).code, Some(0));
    assert!(eventually(|| told(&lakehead)), "after the reload: {}", health(&lakehead));
    rule("unix_ms");
    assert_eq!(run(&["reload", "--data", text(&data)]).code, Some(0));
    assert!(eventually(|| !told(&lakehead)), "and back: {}", health(&lakehead));
    assert!(lakehead.finish().success());
    rule("iso");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    assert!(eventually(|| told(&lakehead)), "after the start: {}", health(&lakehead));
}

#[test]
fn mistyped_values_are_counted_by_column_and_whole_numbers_are_integers() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let file = pipeline(folder.path(), &format!("event_time = \"ts\"\n{N}"), "");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    let body =
        "{\"n\":7.0,\"ts\":\"2026-11-28T11:30:00Z\"}\n{\"n\":70e-1}\n{\"n\":7.5}\n{\"n\":\"7\"}\n{\"n\":null}\n{}\n";
    assert_eq!(lakehead.push("s", body.as_bytes()).status, 201);
    assert_eq!(
        ask(&lakehead, "SELECT n, count(*) AS c FROM s GROUP BY 1 ORDER BY 2"),
        [json!({ "n": 7, "c": 2 }), json!({ "n": null, "c": 4 })]
    );
    lakehead.until("two values that do not fit", |status| status["streams"]["s"]["columns"]["mistyped"]["n"] == 2);
    let metrics = http::get(&lakehead.address, "/metrics").expect("an answer").body;
    assert!(metrics.contains("lakehead_stream_mistyped_values_total{stream=\"s\",column=\"n\"} 2"), "{metrics}");
    let said = run(&["streams", "s", "--data", text(&data)]);
    assert!(said.stdout.contains("2 of the last 6"), "{}", said.stdout);
    assert!(lakehead.finish().success());
}

#[test]
fn event_times_that_cannot_be_are_refused_by_check_with_their_line() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (event_time, says) in [
        ("{ path = \"ts\", format = \"unix\", formats = [\"auto\"] }", "either `format` or `formats`"),
        ("{ path = \"ts\", formats = [] }", "at least one format"),
        ("{ path = \"ts\", format = \"unix_ms\", zone = \"UTC\" }", "a zone is for text that names none"),
        ("{ path = \"ts\", format = \"iso\", zone = \"Mars\" }", "no time zone \"Mars\""),
        ("{ path = \"ts\", format = \"soon\" }", "\"soon\" is unknown"),
        ("7", "write a path as in"),
    ] {
        let file = pipeline(folder.path(), &format!("event_time = {event_time}\n{N}"), "");
        let said = run(&["check", text(&file)]);
        assert_eq!(said.code, Some(2), "{event_time}: {}", said.stderr);
        assert!(
            said.stderr.contains(says) && said.stderr.contains("pipeline.toml:2:"),
            "{event_time}: {}",
            said.stderr
        );
    }
}

#[test]
fn check_says_of_a_view_that_its_stream_has_no_event_time_to_read() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let received = "[view.received]\nsql = \"SELECT tumble(received_time, INTERVAL '1 hour') AS h, count(*) AS c FROM s GROUP BY 1\"";
    for (event_time, is_told) in [("[]", true), ("\"dt\"", false)] {
        let file = pipeline(folder.path(), &format!("event_time = {event_time}\n{N}"), received);
        let said = run(&["check", text(&file)]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        let told = "view hours: it reads event_time, which no event of stream s has";
        assert_eq!(said.stderr.contains(told), is_told, "{}", said.stderr);
        assert!(!said.stderr.contains("view received"), "{}", said.stderr);
    }
}
