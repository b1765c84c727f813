//! A pipeline file that is edited while Lakehead runs: SIGHUP and `lakehead reload`, good files and bad ones, with pushes
//! all the while and kills in between.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::{
    http,
    kills::Moments,
    lakehead::{Ended, Lakehead, query, run, stored, text},
    verify,
};

/// Seconds of the events' own time that pass before it begins again.
const SECONDS: u64 = 7_200;

/// A pipeline file that the test edits.
struct Edited {
    path: PathBuf,
}

impl Edited {
    /// One stream `s`, and these views of it, each of which counts events.
    fn new(folder: &Path, views: &[&str]) -> Self {
        let edited = Self { path: folder.join("pipeline.toml") };
        edited.write("", views);
        edited
    }

    fn write(&self, more: &str, views: &[&str]) {
        self.write_keyed(more, views, 3);
    }

    /// Another number of `keys` is another SQL.
    fn write_keyed(&self, more: &str, views: &[&str], keys: u64) {
        let view = |name: &&str| {
            format!(
                "[view.{name}]\nsql = \"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, n % {keys} AS k, count(*) \
                 AS events FROM s GROUP BY 1, 2\"\nlateness = \"48h\"\n"
            )
        };
        let views: String = views.iter().map(view).collect();
        self.write_text(&format!(
            "{more}[stream.s]\ncolumns = {{ n = {{ path = \"n\", type = \"int64\" }} }}\n{views}"
        ));
    }

    /// Replaced by rename, as editors do, so that nobody reads half of it.
    fn write_text(&self, text: &str) {
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, text).expect("the pipeline can be written");
        fs::rename(&fresh, &self.path).expect("the pipeline can be replaced");
    }
}

/// `count` events, the first of which is number `from`.
fn events(from: u64, count: u64) -> Vec<u8> {
    let event = |n: u64| {
        let (second, day) = (n % SECONDS, "2026-09-01");
        let dt = format!("{day}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60);
        format!("{}\n", json!({ "n": n, "dt": dt }))
    };
    (from..from + count).map(event).collect::<String>().into_bytes()
}

fn reload(data: &Path) -> Ended {
    run(&["reload", "--data", text(data)])
}

fn reloads(status: &Value, outcome: &str) -> u64 {
    status["reloads"][outcome].as_u64().expect("a count")
}

/// The events that a view has counted by now.
fn counted(lakehead: &Lakehead, view: &str) -> u64 {
    let sql = format!("SELECT coalesce(sum(events), 0) AS events FROM {view}");
    let answer = http::request(&lakehead.address, "POST", "/v1/sql", &[], sql.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()[0]["events"].as_u64().expect("a number")
}

/// Sends SIGHUP and waits until it was done.
fn hang_up(lakehead: &Lakehead) {
    let before = reloads(&lakehead.status(), "done");
    lakehead.hang_up();
    lakehead.until("the reload", |status| reloads(status, "done") > before);
}

/// Each event once: in the stream, and in each of `views`.
fn holds_each_once(data: &Path, pushed: u64, views: &[&str]) {
    let rows = query(data, "SELECT count(*) AS events, count(DISTINCT n) AS numbers, max(n) AS last FROM s");
    assert_eq!(rows, [json!({ "events": pushed, "numbers": pushed, "last": pushed - 1 })]);
    for view in views {
        assert_eq!(query(data, &format!("SELECT sum(events) AS events FROM {view}")), [json!({ "events": pushed })]);
    }
}

#[test]
fn ten_reloads_under_traffic_lose_nothing_and_double_nothing() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (Edited::new(folder.path(), &["always", "v0"]), folder.path().join("data"));
    let lakehead = Lakehead::run_pipeline(&file.path, &data);
    let done = AtomicBool::new(false);
    let pushed = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut pushed = 0;
            while !done.load(Ordering::Relaxed) {
                let answer = http::push(&lakehead.address, "s", &events(pushed, 50)).expect("an answer");
                assert_eq!(
                    (answer.status, answer.json()["first_offset"].as_u64()),
                    (201, Some(pushed)),
                    "{}",
                    answer.body
                );
                pushed += 50;
            }
            pushed
        });
        let reading = scope.spawn(|| {
            let (mut last, mut answers) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let counted = counted(&lakehead, "always");
                assert!(counted >= last, "a view that stays never goes back: {last}, then {counted}");
                (last, answers) = (counted, answers + 1);
            }
            answers
        });
        for turn in 1..=10 {
            let newest = format!("v{turn}");
            file.write("[stream.beside]\n", &["always", &newest]);
            if turn % 2 == 0 {
                hang_up(&lakehead);
            } else {
                let said = reload(&data);
                assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
                let expected = format!("view {newest} added, view v{} removed", turn - 1);
                assert!(said.stdout.contains(&expected), "{}", said.stdout);
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(reading.join().expect("every query was answered") > 10);
        pushing.join().expect("every push was answered")
    });
    let status = lakehead.until_counted("s", pushed);
    assert_eq!((reloads(&status, "done"), reloads(&status, "refused")), (10, 0), "{status:#}");
    let views: Vec<&str> = status["views"].as_object().expect("views").keys().map(String::as_str).collect();
    assert_eq!(views, ["always", "v10"]);
    assert_eq!(lakehead.push("beside", b"{}").status, 201, "a stream that came with a reload");
    let same = reload(&data);
    assert_eq!((same.code, same.stdout.as_str()), (Some(0), "reloaded: nothing has changed\n"));
    holds_each_once(&data, pushed, &views);
    verify::adds_up(&data);
    assert!(lakehead.said().contains("reloaded: view v10 added, view v9 removed"), "{}", lakehead.said());
    assert!(lakehead.finish().success());
    holds_each_once(&data, pushed, &views);
    verify::adds_up(&data);
}

#[test]
fn a_bad_file_is_refused_by_line_and_key_and_the_old_pipeline_goes_on() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (Edited::new(folder.path(), &["v"]), folder.path().join("data"));
    let lakehead = Lakehead::run_pipeline(&file.path, &data);
    assert_eq!(lakehead.push("s", &events(0, 10)).status, 201);

    file.write_text("[stream.s]\n[view.v]\nsql = \"SELECT nothing FROM s\"\nlatness = \"1h\"\n");
    let said = reload(&data);
    assert_eq!(said.code, Some(2), "{}{}", said.stdout, said.stderr);
    let expected = format!("{}:4: view.v.latness: unknown key; did you mean `lateness`?", text(&file.path));
    assert!(said.stderr.contains(&expected), "{}", said.stderr);
    assert!(said.stderr.contains("there is no column \"nothing\""), "every mistake at once: {}", said.stderr);
    lakehead.hang_up();
    let status = lakehead.until("the refusal", |status| reloads(status, "refused") == 2);
    let why = status["reloads"]["last"]["why"].as_str().expect("a reason");
    assert!(why.contains(":4: view.v.latness: ") && status["reloads"]["last"]["outcome"] == "refused", "{status:#}");
    assert!(lakehead.said().contains("the pipeline goes on as it was"), "{}", lakehead.said());

    file.write("# moved\ndata = \"./elsewhere\"\n[store]\nlevel = 3\n", &["w"]);
    let said = reload(&data);
    assert_eq!(said.code, Some(2), "{}{}", said.stdout, said.stderr);
    let expected = "store.level: cannot change while running: restart to move from 1 to 3";
    // What the command line says over the file counts again: --data.
    assert_eq!(said.stderr, format!("{}:4: {expected}\n", text(&file.path)));
    fs::remove_file(&file.path).expect("it was there");
    let said = reload(&data);
    assert!(said.code == Some(2) && said.stderr.contains(text(&file.path)), "{}", said.stderr);

    assert_eq!(lakehead.push("s", &events(10, 10)).status, 201);
    let status = lakehead.until_counted("s", 20);
    assert_eq!(status["views"].as_object().expect("views").keys().collect::<Vec<_>>(), ["v"]);
    holds_each_once(&data, 20, &["v"]);
    assert!(lakehead.finish().success());
    let nobody = reload(&data);
    assert!(nobody.code == Some(1) && nobody.stderr.contains("no process runs on it"), "{}", nobody.stderr);
}

#[test]
fn sql_that_takes_too_much_to_compile_costs_the_reload_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (Edited::new(folder.path(), &["v"]), folder.path().join("data"));
    let lakehead = Lakehead::run_pipeline(&file.path, &data);
    assert_eq!(lakehead.push("s", &events(0, 10)).status, 201);
    let ors = |count: u64| (0..count).map(|n| format!("n = {n}")).collect::<Vec<_>>().join(" OR ");
    for (what, expression, code) in
        [("1,600 terms", ors(1_600), 0), ("a large constant", "length(repeat('x', 2000000000)) > n".to_owned(), 2)]
    {
        file.write_text(&format!(
            "[stream.s]\ncolumns = {{ n = {{ path = \"n\", type = \"int64\" }} }}\n[view.v]\nsql = \"SELECT tumble(event_time, \
             INTERVAL '1 minute') AS minute, count(*) AS events FROM s WHERE {expression} GROUP BY 1\"\n"
        ));
        let said = reload(&data);
        assert_eq!(said.code, Some(code), "{what}: {}{}", said.stdout, said.stderr);
        assert_eq!(lakehead.push("s", &events(10, 1)).status, 201, "{what}");
        assert_eq!(http::get(&lakehead.address, "/healthz").expect("an answer").status, 200, "{what}");
    }
    file.write("", &["v"]);
    assert_eq!(reload(&data).code, Some(0));
    assert!(lakehead.finish().success());
}

#[test]
fn the_default_pipeline_has_no_file_to_read_again() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let upstream = Lakehead::start(&["simulate", "--events", "100", "--rate", "0", "--listen", "127.0.0.1:0"]);
    let data = folder.path().join("data");
    let lakehead = Lakehead::run_on(&upstream, &data);
    let said = reload(&data);
    assert!(said.code == Some(2) && said.stderr.contains("no file to read again"), "{}", said.stderr);
    lakehead.hang_up();
    lakehead.until("the refusal", |status| reloads(status, "refused") == 2);
    lakehead.until_counted("recentchange", 100);
    assert!(lakehead.finish().success());
}

#[test]
fn a_source_that_changes_while_it_reads_goes_on_from_its_cursor() {
    const EVENTS: u64 = 60_000;
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (path, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    let count = EVENTS.to_string();
    let upstream =
        Lakehead::start(&["simulate", "--events", &count, "--rate", "0", "--seed", "7", "--listen", "127.0.0.1:0"]);
    let write = |silence: u64| {
        let pipeline = format!(
            "[stream.recentchange]\nschema = \"mediawiki/recentchange\"\n[source.upstream]\nkind = \"eventstreams\"\n\
             stream = \"recentchange\"\nurl = \"http://{}/v2/stream/recentchange\"\nsilence_max = \"{silence}s\"\n",
            upstream.address
        );
        fs::write(&path, pipeline).expect("the pipeline can be written");
    };
    write(30);
    let lakehead = Lakehead::run_pipeline(&path, &data);
    let mut kept = 0;
    for turn in 1..=5 {
        kept = stored(&lakehead.until("progress", |status| stored(status, "recentchange") > kept), "recentchange");
        write(30 + turn);
        hang_up(&lakehead);
    }
    lakehead.until_stored("recentchange", EVENTS);
    let sql = "SELECT count(*) AS events, count(DISTINCT data) AS texts FROM recentchange";
    assert_eq!(query(&data, sql), [json!({ "events": EVENTS, "texts": EVENTS })]);
    verify::adds_up(&data);
    assert!(lakehead.said().contains("reloaded: source upstream changed"), "{}", lakehead.said());
    assert!(lakehead.finish().success());
}

/// Where a process ends in a reload: `None` is some moment, the others are named in the code.
const KILLS: [Option<&str>; 13] = [
    Some("checkpoint.files:1"),
    None,
    Some("checkpoint.files:2"),
    None,
    Some("checkpoint.written:1"),
    None,
    Some("checkpoint.renamed:1"),
    None,
    Some("checkpoint.published:2"),
    None,
    Some("view.swap:1"),
    None,
    Some("view.swapped:1"),
];

#[test]
fn a_kill_during_a_reload_leaves_what_the_next_start_can_use() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (Edited::new(folder.path(), &["always", "v0"]), folder.path().join("data"));
    let mut moments = Moments(0x2545_f491_4f6c_dd1d);
    let mut pushed = 0;
    for (turn, point) in KILLS.iter().enumerate() {
        settled(&file, &data, pushed);
        let lakehead = match point {
            Some(point) => Lakehead::run_pipeline_to_its_end(&file.path, &data, point),
            None => Lakehead::run_pipeline(&file.path, &data),
        };
        assert_eq!(lakehead.push("s", &events(pushed, 200)).status, 201);
        pushed += 200;
        // A view that comes, one that goes, and one that is built anew.
        file.write_keyed("", &["always", &format!("v{}", turn + 1)], turn as u64 + 2);
        lakehead.hang_up();
        match point {
            Some(point) => lakehead.ended_by(point),
            None => {
                // From before the reload to after its end: it takes some tens of milliseconds.
                (0..4 * turn).for_each(|_| moments.wait());
                lakehead.kill();
            }
        }
    }
    settled(&file, &data, pushed);
    holds_each_once(&data, pushed, &["always", "v13"]);
    verify::adds_up(&data);
}

/// Starts what a kill has left, and ends it in good order when all is counted and what was to be built anew is.
fn settled(file: &Edited, data: &Path, pushed: u64) {
    let lakehead = Lakehead::run_pipeline(&file.path, data);
    let status = lakehead.until("every view to be what the file says", |status| {
        let views = status["views"].as_object().expect("views");
        views.values().all(|view| view["offset"] == pushed && view["next"].is_null())
    });
    let views: Vec<&str> = status["views"].as_object().expect("views").keys().map(String::as_str).collect();
    if pushed > 0 {
        holds_each_once(data, pushed, &views);
    }
    assert!(lakehead.finish().success());
}
