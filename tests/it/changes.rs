//! Views that are changed while events come, killed on the way, and damaged: what they say is their present SQL over the log.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    http,
    lakehead::{Lakehead, eventually, memory, query, run, text},
};

/// One event a second from 12:00:00 on; every seventh is 40 s late, and corrects a minute that may be closed.
fn events(from: u64, count: u64) -> Vec<u8> {
    let event = |n: u64| {
        let second = n.saturating_sub(if n % 7 == 6 { 40 } else { 0 });
        let dt = format!(
            "2026-09-{:02}T{:02}:{:02}:{:02}Z",
            1 + second / 86_400,
            second / 3_600 % 24,
            second / 60 % 60,
            second % 60
        );
        let k = ["a", "b", "c"][usize::try_from(n % 3).expect("small")];
        format!("{}\n", json!({ "n": n, "dt": dt, "k": k }))
    };
    (from..from + count).map(event).collect::<String>().into_bytes()
}

fn by(aggregate: &str) -> String {
    format!("SELECT tumble(event_time, INTERVAL '1 minute') AS w, k, {aggregate} AS x FROM s GROUP BY 1, 2")
}

/// A data directory and the pipeline that runs on it.
struct Bench {
    _folder: tempfile::TempDir,
    file: PathBuf,
    data: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (file, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
        Self { _folder: folder, file, data }
    }

    /// Writes the pipeline: replaced by rename, as editors do. `more` stands before the views.
    fn write(&self, more: &str, views: &[(&str, &str)]) {
        let mut pipeline =
            format!("[stream.s]\ncolumns = {{ n = {{ path = \"n\", type = \"int64\" }}, k = \"k\" }}\n{more}\n");
        for (view, sql) in views {
            pipeline.push_str(&format!("[view.{view}]\nsql = \"{sql}\"\nwatermark_delay = \"10s\"\n"));
        }
        self.write_text(&pipeline);
    }

    fn write_text(&self, pipeline: &str) {
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, pipeline).expect("the pipeline can be written");
        fs::rename(&fresh, &self.file).expect("the pipeline can be replaced");
    }

    fn start(&self) -> Lakehead {
        Lakehead::run_pipeline(&self.file, &self.data)
    }

    fn reload(&self) {
        let ended = run(&["reload", "--data", text(&self.data)]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    fn state(&self, view: &str) -> PathBuf {
        self.data.join("views").join(view).join(".state")
    }

    fn quarantined(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data.join("quarantine")).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        found.sort();
        found
    }
}

/// Waits until nothing is built and every view has counted everything.
fn until_settled(lakehead: &Lakehead, events: u64) -> Value {
    lakehead.until(&format!("{events} events in every view"), |status| {
        let views = status["views"].as_object().expect("views");
        views.values().all(|view| view["next"].is_null() && view["offset"].as_u64() >= Some(events))
    })
}

/// Every row of an answer; the same row twice is a row too many.
fn rows(lakehead: &Lakehead, sql: &str) -> BTreeSet<String> {
    let answer = http::request(&lakehead.address, "POST", "/v1/sql", &[], sql.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
    distinct(answer.json().as_array().expect("rows"))
}

fn distinct(rows: &[Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for row in rows {
        assert!(found.insert(row.to_string()), "a row stands twice: {row}");
    }
    found
}

fn equals_its_sql(lakehead: &Lakehead, view: &str, sql: &str, told: &str) {
    let (found, expected) = (rows(lakehead, &format!("SELECT * FROM {view}")), rows(lakehead, sql));
    let differ: Vec<_> = found.symmetric_difference(&expected).take(5).collect();
    assert!(differ.is_empty() && !found.is_empty(), "{told}: {view} differs: {differ:#?}\n{}", lakehead.said());
}

/// Pushes five events every 20 ms until told to stop, or for a minute or two.
fn keep_pushing(lakehead: &Lakehead, pushed: &AtomicU64, stop: &AtomicBool) {
    for _ in 0..5_000 {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let from = pushed.load(Ordering::Relaxed);
        assert_eq!(lakehead.push("s", &events(from, 5)).status, 201);
        pushed.store(from + 5, Ordering::Relaxed);
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn fifteen_changes_while_events_come_leave_each_what_the_present_sql_says() {
    let bench = Bench::new();
    let texts = ["sum(n)", "count(*)", "string_agg(k, ',' ORDER BY n)", "max(n)", "avg(n)"].map(by);
    let over = |aggregate: &str| {
        format!("SELECT tumble(w, INTERVAL '10 minutes') AS w, k, {aggregate} AS x FROM m GROUP BY 1, 2")
    };
    let overs = ["max(x)", "count(*)", "min(x)"].map(over);
    let write = |turn: usize| {
        bench.write("", &[("h", &overs[turn % 3]), ("m", &by("sum(n)")), ("v", &texts[turn % 5])]);
    };
    write(0);
    let lakehead = bench.start();
    let pushed = AtomicU64::new(0);
    for turn in 0..=15 {
        write(turn);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let pushing = scope.spawn(|| keep_pushing(&lakehead, &pushed, &stop));
            bench.reload();
            let before = pushed.load(Ordering::Relaxed);
            until_settled(&lakehead, before + 10);
            stop.store(true, Ordering::Relaxed);
            pushing.join().expect("every push was taken");
        });
        let status = until_settled(&lakehead, pushed.load(Ordering::Relaxed));
        let views = status["views"].as_object().expect("views");
        assert!(views.values().all(|view| view["failed"].is_null()), "{views:#?}");
        equals_its_sql(&lakehead, "v", &texts[turn % 5], &format!("turn {turn}"));
        let over = overs[turn % 3].replace("FROM m", &format!("FROM ({}) AS m", by("sum(n)")));
        equals_its_sql(&lakehead, "h", &over, &format!("turn {turn}"));
    }
    assert!(lakehead.finish().success());
    assert_eq!(run(&["verify", "--data", text(&bench.data)]).code, Some(0));
}

#[test]
fn a_view_over_a_view_that_is_changed_there_and_back_twice_is_answered_right() {
    let bench = Bench::new();
    let over = |size: &str, x: &str| {
        format!("SELECT tumble(w, INTERVAL '{size}') AS w, k, sum(x) AS x, {x} AS y FROM m GROUP BY 1, 2")
    };
    let day = "SELECT tumble(event_time, INTERVAL '1 day', 'Europe/Berlin') AS w, k, sum(CAST(n AS DECIMAL(20, 2))) AS x FROM s \
               WHERE k <> 'b' GROUP BY 1, 2";
    let pairs = [(day.to_owned(), over("1 day", "max(x)")), (by("sum(n)"), over("10 minutes", "min(x)"))];
    let write = |(base, over): &(String, String)| bench.write("", &[("h", over), ("m", base)]);
    // Six events an hour over eight days, so that there are result files; then ten more beside each change.
    let spread = |n: u64| events(n * 600, 1);
    write(&pairs[0]);
    let lakehead = bench.start();
    for n in 0..480 {
        assert_eq!(lakehead.push("s", &spread(n * 2)).status, 201);
    }
    let mut pushed = 480;
    for turn in 1..=4 {
        let (base, sql) = &pairs[turn % 2];
        write(&pairs[turn % 2]);
        bench.reload();
        assert_eq!(lakehead.push("s", &events(960 * 600 + pushed, 10)).status, 201);
        pushed += 10;
        if turn % 2 == 0 {
            // A change that is still under way is changed back.
            until_settled(&lakehead, pushed);
        }
        let sql = sql.replace("FROM m", &format!("FROM ({base}) AS m"));
        let is_right = || rows(&lakehead, "SELECT * FROM h") == rows(&lakehead, &sql);
        assert!(eventually(is_right), "turn {turn}: {}", lakehead.said());
    }
    assert!(lakehead.finish().success());
    assert_eq!(run(&["verify", "--data", text(&bench.data)]).code, Some(0));
}

#[test]
fn lists_of_structures_do_not_grow_with_each_commit() {
    let bench = Bench::new();
    let sql = "SELECT tumble(event_time, INTERVAL '1 minute') AS w, \
               array_agg(named_struct('t', concat('a text longer than twelve bytes ', k)) ORDER BY event_offset) AS x FROM s GROUP BY 1";
    bench.write("", &[("v", sql)]);
    let lakehead = bench.start();
    // Each push is a round of its own, and merged with those before.
    for n in 0..400 {
        assert_eq!(lakehead.push("s", &events(n * 60 % 3_600, 1)).status, 201);
    }
    until_settled(&lakehead, 400);
    let counted = "SELECT sum(cardinality(x)) AS events FROM v";
    assert_eq!(rows(&lakehead, counted), BTreeSet::from([json!({ "events": 400 }).to_string()]));
    let resident = memory(lakehead.pid());
    assert!(resident < 300 << 20, "{resident} bytes");
}

#[test]
fn a_kill_at_any_point_of_a_change_leaves_what_the_present_sql_says() {
    let bench = Bench::new();
    let texts = ["sum(n)", "count(*)", "string_agg(k, ',' ORDER BY n)"].map(by);
    let over = |aggregate: &str| {
        format!("SELECT tumble(w, INTERVAL '10 minutes') AS w, k, {aggregate} AS x FROM m GROUP BY 1, 2")
    };
    let overs = ["max(x)", "count(*)"].map(over);
    let write = |turn: usize| {
        bench.write("", &[("h", &overs[turn % 2]), ("m", &by("sum(n)")), ("v", &texts[turn % 3])]);
    };
    write(0);
    let (lakehead, mut pushed) = (bench.start(), 600);
    assert_eq!(lakehead.push("s", &events(0, 600)).status, 201);
    until_settled(&lakehead, 600);
    lakehead.kill();
    let points = [
        "view.swap:1",
        "view.swapped:1",
        "view.swap:2",
        "view.swapped:2",
        "checkpoint.files:1",
        "checkpoint.written:3",
        "checkpoint.renamed:2",
        "checkpoint.renamed:4",
        "checkpoint.published:5",
    ];
    for (turn, point) in points.into_iter().enumerate() {
        // Some of what comes is committed by the old SQL, some not.
        write(turn);
        let lakehead = Lakehead::run_pipeline_to_its_end(&bench.file, &bench.data, point);
        until_settled(&lakehead, pushed);
        assert_eq!(lakehead.push("s", &events(pushed, 30)).status, 201);
        pushed += 30;
        write(turn + 1);
        // Its answer may never come.
        run(&["reload", "--data", text(&bench.data)]);
        lakehead.ended_by(point);
        let offline = distinct(&query(&bench.data, &texts[(turn + 1) % 3]));
        let found = distinct(&query(&bench.data, "SELECT * FROM v"));
        // Without a process the directory's catalog says which SQL is the present one.
        assert!(found == offline || found == distinct(&query(&bench.data, &texts[turn % 3])), "{point}");

        let lakehead = bench.start();
        until_settled(&lakehead, pushed);
        equals_its_sql(&lakehead, "v", &texts[(turn + 1) % 3], point);
        let over = overs[(turn + 1) % 2].replace("FROM m", &format!("FROM ({}) AS m", by("sum(n)")));
        equals_its_sql(&lakehead, "h", &over, point);
        lakehead.kill();
    }
    assert_eq!(run(&["verify", "--data", text(&bench.data)]).code, Some(0));
}

#[test]
fn kills_and_changes_between_the_commits_of_a_view_that_is_behind_leave_what_the_present_sql_says() {
    /// Hours in one push, each a result period: a commit closes 1,000 of them.
    const HOURS: u64 = 2_300;
    let bench = Bench::new();
    let texts = ["sum(n)", "max(n)", "count(*)"].map(by);
    let over =
        |aggregate: &str| format!("SELECT tumble(w, INTERVAL '1 day') AS w, k, {aggregate} AS x FROM v GROUP BY 1, 2");
    let overs = ["max(x)", "sum(x)"].map(over);
    // Event times as numbers: what is an hour apart goes over many months.
    let write = |turn: usize| {
        let time = "event_time = { path = \"at\", format = \"unix_seconds\" }\n";
        bench.write(time, &[("h", &overs[turn % 2]), ("v", &texts[turn % 3])]);
    };
    let hours = |from: u64, count: u64| {
        let event = |n: u64| format!("{}\n", json!({ "n": n, "at": 1_700_000_000 + n * 3_600, "k": "a" }));
        (from..from + count).map(event).collect::<String>().into_bytes()
    };
    let is_right = |lakehead: &Lakehead, turn: usize, told: &str| {
        equals_its_sql(lakehead, "v", &texts[turn % 3], told);
        let over = overs[turn % 2].replace("FROM v", &format!("FROM ({}) AS v", texts[turn % 3]));
        equals_its_sql(lakehead, "h", &over, told);
    };
    write(0);
    // Of either view's commits: the second and third are of the push, and more of it is due after them.
    let points = ["checkpoint.files:2", "checkpoint.renamed:3", "checkpoint.written:4"];
    let mut pushed = 0;
    for (turn, point) in points.into_iter().enumerate() {
        let lakehead = Lakehead::run_pipeline_to_its_end(&bench.file, &bench.data, point);
        let answer = http::push(&lakehead.address, "s", &hours(pushed, HOURS));
        // What is not answered is not known to be kept: the same once more would be other events.
        assert_eq!(answer.expect("the first commit of a view comes after the answer").status, 201, "{point}");
        pushed += HOURS;
        lakehead.ended_by(point);
        let files = fs::read_dir(bench.data.join("views/v")).into_iter().flatten().count() as u64;
        assert!(files < pushed, "{point}: nothing was due any more, {files} files");

        // It is behind when it starts, and its SQL is another, before the start or while it catches up.
        if turn % 2 == 0 {
            write(turn + 1);
        }
        let lakehead = bench.start();
        if turn % 2 == 1 {
            write(turn + 1);
            bench.reload();
        }
        until_settled(&lakehead, pushed);
        is_right(&lakehead, turn + 1, point);
        assert!(lakehead.finish().success());
    }
    assert_eq!(run(&["verify", "--data", text(&bench.data)]).code, Some(0));
}

#[test]
fn results_that_the_log_cannot_give_again_are_set_aside_at_a_change_and_at_a_rebuild() {
    for change in ["sql", "lateness", "rebuild"] {
        let bench = Bench::new();
        let write = |stream: &str, aggregate: &str, view: &str| {
            let sql = by(aggregate);
            bench.write_text(&format!(
                "[store]\nblock_bytes = \"1 KiB\"\nsegment_bytes = \"4 KiB\"\nseal.enabled = false\n[stream.s]\n{stream}\n\
                 columns = {{ n = {{ path = \"n\", type = \"int64\" }}, k = \"k\" }}\n\
                 [view.v]\nsql = \"{sql}\"\nwatermark_delay = \"10s\"\n{view}"
            ));
        };
        write("", "sum(n)", "");
        let lakehead = bench.start();
        for turn in 0..12 {
            assert_eq!(lakehead.push("s", &events(turn * 600, 600)).status, 201);
        }
        until_settled(&lakehead, 7_200);
        assert!(lakehead.finish().success());
        let retained = "retention_bytes = \"4 KiB\"";
        write(retained, "sum(n)", "");
        let lakehead = bench.start();
        let status = lakehead.until("retention", |status| status["streams"]["s"]["start"].as_u64() > Some(0));
        let start = status["streams"]["s"]["start"].as_u64();
        let entries = fs::read_dir(bench.data.join("views/v")).expect("a folder").flatten();
        let before: Vec<(String, Vec<u8>)> = entries
            .filter(|entry| entry.path().is_file())
            .map(|file| (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).expect("reads")))
            .collect();
        assert!(!before.is_empty() && bench.quarantined().is_empty());
        match change {
            "rebuild" => assert_eq!(run(&["view", "rebuild", "v", "--data", text(&bench.data)]).code, Some(0)),
            "sql" => write(retained, "max(n)", ""),
            _ => write(retained, "sum(n)", "lateness = \"48h\"\n"),
        }
        bench.reload();
        let status = until_settled(&lakehead, 7_200);
        let aside = bench.quarantined();
        assert_eq!(aside.len(), 1, "{change}: {aside:?}\n{}", lakehead.said());
        assert_eq!(status["views"]["v"]["set_aside"], json!(["quarantine/view-v.0"]), "{change}");
        for (name, bytes) in before {
            assert!(fs::read(aside[0].join(&name)).is_ok_and(|kept| kept == bytes), "{change}: {name} is kept");
        }
        let about = fs::read(aside[0].join("about.json")).expect("it is marked");
        let about: Value = serde_json::from_slice(&about).expect("JSON");
        assert_eq!((&about["view"], about["log_began_at"].as_u64() >= start), (&json!("v"), true), "{about}");
        assert!(about["sql"].as_str().is_some_and(|sql| sql.contains("sum(n)")), "{about}");
        assert!(lakehead.finish().success());
    }
}

/// Changes one bit of a file, in place.
fn damage(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("reads");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("writes");
}

#[test]
fn what_is_damaged_of_a_view_is_never_believed_and_made_again_from_the_log() {
    let bench = Bench::new();
    let (sum, rows_of) = (by("sum(n)"), "SELECT event_time, n FROM s WHERE n % 2 = 0".to_owned());
    let over = "SELECT tumble(w, INTERVAL '10 minutes') AS w, k, sum(x) AS x FROM v GROUP BY 1, 2".to_owned();
    bench.write("", &[("clean", &rows_of), ("over", &over), ("v", &sum)]);
    let lakehead = bench.start();
    assert_eq!(lakehead.push("s", &events(0, 8_000)).status, 201);
    until_settled(&lakehead, 8_000);
    assert!(lakehead.finish().success());
    // Once more, so that there is a file of what a commit changed.
    let lakehead = bench.start();
    assert_eq!(lakehead.push("s", &events(8_000, 1_000)).status, 201);
    until_settled(&lakehead, 9_000);
    assert!(lakehead.finish().success());

    let kinds = [
        ("v", "result"),
        ("v", "partial"),
        ("v", "arrow"),
        ("clean", "part"),
        ("over", "result"),
        ("v", "json"),
        ("over", "json"),
    ];
    for (view, kind) in kinds {
        let state = bench.state(view);
        let of_kind = |kind: &str| -> Vec<PathBuf> {
            let entries = fs::read_dir(&state).expect("a folder").flatten().map(|entry| entry.path());
            let mut found: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == kind)).collect();
            found.sort();
            found
        };
        for path in of_kind(kind) {
            if !path.exists() {
                continue;
            }
            let bytes = fs::read(&path).expect("reads");
            let at = match kind {
                // A digit of a size, as is found in no other way.
                "json" => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let key = text.find("\"bytes\": ").or_else(|| text.find("\"rows\": ")).expect("a number");
                    key + text[key..].find(|c: char| c.is_ascii_digit()).expect("a digit")
                }
                _ => bytes.len() / 2,
            };
            damage(&path, at);
            let told = format!("{} at {at}", path.display());
            let offline = distinct(&query(&bench.data, &format!("SELECT * FROM {view}")));
            let lakehead = bench.start();
            until_settled(&lakehead, 9_000);
            equals_its_sql(&lakehead, "v", &sum, &told);
            equals_its_sql(&lakehead, "clean", &rows_of, &told);
            equals_its_sql(&lakehead, "over", &over.replace("FROM v", &format!("FROM ({sum}) AS v")), &told);
            assert_eq!(offline, rows(&lakehead, &format!("SELECT * FROM {view}")), "without a process: {told}");
            assert!(lakehead.finish().success());
            break;
        }
    }
    // While it runs: no answer is better than a wrong one, and a rebuild mends it.
    let lakehead = bench.start();
    until_settled(&lakehead, 9_000);
    let entries = fs::read_dir(bench.state("v")).expect("a folder").flatten().map(|entry| entry.path());
    let result = entries.filter(|path| path.extension().is_some_and(|e| e == "result")).max().expect("a result");
    damage(&result, 100);
    let answer = http::request(&lakehead.address, "POST", "/v1/sql", &[], b"SELECT sum(x) FROM v").expect("an answer");
    assert!(answer.status != 200 && answer.body.contains("damaged"), "{} {}", answer.status, answer.body);
    assert_eq!(run(&["view", "rebuild", "v", "--data", text(&bench.data)]).code, Some(0));
    until_settled(&lakehead, 9_000);
    assert!(eventually(|| {
        http::request(&lakehead.address, "POST", "/v1/sql", &[], b"SELECT sum(x) FROM v")
            .is_ok_and(|answer| answer.status == 200)
    }));
    equals_its_sql(&lakehead, "v", &sum, "rebuilt");
    assert!(lakehead.finish().success());
}
