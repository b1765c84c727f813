//! `lakehead verify`: nothing to say where all is well, whatever happened on the way; and each fault that is planted in
//! the files is found, named, and ends in exit code 3.
//!
//! The faults are real: files are changed under Lakehead, an event is pushed a second time, the ledger is taken away.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, Int64Array, RecordBatch},
    datatypes::{DataType, Int64Type},
    ipc::{reader::FileReader, writer::FileWriter},
};
use serde_json::Value;

use crate::{
    browser::Browser,
    http,
    lakehead::{Ended, Lakehead, query, run, skip, stored, text},
    segments,
};

const EVENTS: u64 = 20_000;
/// Offsets at which the upstream has no event, ever.
const HOLES: &str = "hole=5000..5003,12000";

/// Everything adds up, by the exit code and by the sentence.
pub(crate) fn adds_up(data: &Path) {
    let said = verify(data, &[]);
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.contains("Everything adds up"), "{}", said.stdout);
}

fn verify(data: &Path, more: &[&str]) -> Ended {
    run(&[&["verify", "--data", text(data)], more].concat())
}

/// It does not add up, and the report says `words`.
fn differs(data: &Path, words: &[&str]) {
    let said = verify(data, &[]);
    assert_eq!(said.code, Some(3), "{}{}", said.stdout, said.stderr);
    for word in words {
        assert!(said.stdout.contains(word), "no {word:?} in:\n{}", said.stdout);
    }
    assert!(said.stderr.contains("It does not add up"), "{}", said.stderr);
}

fn upstream(faults: &[&str]) -> Lakehead {
    let events = EVENTS.to_string();
    let mut words = vec!["simulate", "--events", &events, "--rate", "0", "--seed", "7", "--cut-after", "300ms"];
    faults.iter().for_each(|fault| words.extend(["--fault", *fault]));
    words.extend(["--listen", "127.0.0.1:0"]);
    Lakehead::start(&words)
}

/// A directory in which all is well, with result files and nothing running.
fn well(folder: &Path, faults: &[&str], events: u64) -> PathBuf {
    let data = folder.join("data");
    let upstream = upstream(faults);
    let lakehead = Lakehead::run_on(&upstream, &data);
    lakehead.until_counted("recentchange", events);
    assert!(lakehead.finish().success());
    adds_up(&data);
    data
}

#[test]
fn kills_holes_refusals_and_another_cluster_leave_nothing_to_say() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let upstream = Lakehead::start(&[
        "simulate",
        "--events",
        "40000",
        "--rate",
        "10000",
        "--seed",
        "7",
        "--cut-after",
        "700ms",
        "--fault",
        "second-cluster=alternate:5000",
        "--fault",
        HOLES,
        "--fault",
        "not-json=every-9001",
        "--listen",
        "127.0.0.1:0",
    ]);
    let mut kept = 0;
    for _ in 0..3 {
        let lakehead = Lakehead::run_on(&upstream, &data);
        let status = lakehead.until("progress", |status| stored(status, "recentchange") > kept + 2_000);
        kept = stored(&status, "recentchange");
        adds_up(&data);
        lakehead.kill();
        adds_up(&data);
    }
    let lakehead = Lakehead::run_on(&upstream, &data);
    // Four offsets without an event, four events that are no JSON.
    lakehead.until_counted("recentchange", 40_000 - 4 - 4);
    adds_up(&data);
    let moves = query(&data, "SELECT count(*) AS n FROM gaps WHERE missing = 0");
    assert!(moves[0]["n"].as_u64() > Some(0), "the other cluster answered, and the ledger says so");
    assert!(lakehead.finish().success());
    adds_up(&data);

    let said = verify(&data, &["--view", "edits_per_minute", "--format", "json"]);
    let report: Value = serde_json::from_str(&said.stdout).expect("JSON");
    let balance = &report["views"]["edits_per_minute"]["balance"];
    let count = |sql: &str| query(&data, sql)[0]["n"].as_u64();
    let edits = count("SELECT count(*) AS n FROM recentchange WHERE NOT canary AND type IN ('edit', 'new')");
    assert_eq!(balance["in_view"].as_u64(), edits, "{balance}");
    assert_eq!(balance["events"], 39_992, "{balance}");
    assert!(report["streams"].as_object().is_some_and(serde_json::Map::is_empty), "only the view was asked for");
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = well(folder.path(), &[], EVENTS);
    let said = verify(&data, &["--view", "edits_per_mile"]);
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.stderr.contains("edits_per_minute"), "{}", said.stderr);
    let said = verify(&data, &["--stream", "rejects"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let said = verify(&data, &["--since", "yesterday"]);
    assert!(said.code == Some(2) && said.stderr.contains("as in 2026-11-24T10:00:00Z"), "{}", said.stderr);
    let said = verify(&data, &["--view", "edits_per_minute"]);
    assert!(said.stdout.contains("Everything adds up: 20,000 events, "), "{}", said.stdout);
    let said = verify(&data, &["--since", "2100-01-01T00:00:00Z"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains("nothing is there from 2100-01-01T00:00:00Z on to compare"), "{}", said.stdout);
    assert!(said.stdout.contains("Nothing was compared") && !said.stdout.contains("Everything"), "{}", said.stdout);
}

#[test]
fn a_result_file_whose_rows_were_changed_is_found() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = well(folder.path(), &[], EVENTS);
    let file = first_result(&data, "edits_per_minute");
    let label = file.file_stem().expect("a name").to_string_lossy().into_owned();
    let sql = format!(
        "SELECT minute, wiki, CASE WHEN wiki = 'enwiki' THEN edits + 1 ELSE edits END AS edits FROM edits_per_minute \
         WHERE date_trunc('hour', minute) = TIMESTAMP '{}:00:00Z'",
        label.replace('T', " ")
    );
    let said = Command::new(env!("CARGO_BIN_EXE_lakehead"))
        .args(["query", &sql, "--data", text(&data), "--format", "parquet"])
        .output()
        .expect("it runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    // In place, so that the name that queries pin is changed with the public one.
    fs::write(&file, said.stdout).expect("it can be written");
    differs(&data, &["view edits_per_minute", ".result: damaged: its bytes are not those of its checksum"]);
    assert_eq!(verify(&data, &["--view", "events_per_type"]).code, Some(0), "the others still add up");
}

#[test]
fn a_public_file_that_was_replaced_and_one_that_was_cut_are_found() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = well(folder.path(), &[], EVENTS);
    let file = first_result(&data, "events_per_type");
    fs::remove_file(&file).expect("it is there");
    fs::write(&file, b"PAR1").expect("it can be written");
    differs(&data, &["is not the result file that the checkpoint names"]);
    let results = segments::results(&data, "edits_per_minute");
    let bytes = fs::read(&results[0]).expect("it can be read");
    fs::write(&results[0], &bytes[..bytes.len() / 2]).expect("it can be written");
    differs(&data, &["cannot be read", ".result: damaged: its bytes are not those of its checksum"]);
}

#[test]
fn a_checkpoint_whose_counts_were_changed_is_found() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = well(folder.path(), &[], EVENTS);
    let path = data.join("views/edits_per_minute/.state/checkpoint.json");
    let mut checkpoint: Value = serde_json::from_slice(&fs::read(&path).expect("a checkpoint")).expect("JSON");
    checkpoint["counts"]["in_view"] = (checkpoint["counts"]["in_view"].as_u64().expect("a count") + 1).into();
    fs::write(&path, serde_json::to_vec(&checkpoint).expect("JSON")).expect("it can be written");
    differs(&data, &["view edits_per_minute, its checkpoint is damaged"]);
}

#[test]
fn partial_rows_whose_numbers_were_changed_are_found() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = well(folder.path(), &[], EVENTS);
    let state = data.join("views/bots_and_people/.state");
    let partial = |open: bool| {
        let entries = fs::read_dir(&state).expect("a folder").map(|entry| entry.expect("an entry").path());
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        let mut found =
            entries.filter(|path| name(path).ends_with(".partial") && name(path).starts_with("state.") == open);
        found.next()
    };
    let closed = partial(false).expect("windows that are closed can still be corrected");
    let before = fs::read(&closed).expect("it can be read");
    add_one(&closed);
    differs(&data, &["view bots_and_people", ".partial: damaged: its bytes are not those of its checksum"]);
    fs::write(&closed, before).expect("it can be written");
    adds_up(&data);
    add_one(&partial(true).expect("the last windows are open"));
    differs(&data, &["view bots_and_people", ".partial: damaged: its bytes are not those of its checksum"]);
}

/// Adds one to the first number of the first row of some partial rows: the view's count.
fn add_one(path: &Path) {
    let reader = FileReader::try_new(File::open(path).expect("a file"), None).expect("Arrow IPC");
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().expect("partial rows");
    let mut writer = FileWriter::try_new(File::create(path).expect("a file"), &schema).expect("a writer");
    let mut is_changed = false;
    for batch in batches {
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        if !is_changed && batch.num_rows() > 0 {
            let place = columns.iter().position(|column| column.data_type() == &DataType::Int64).expect("a count");
            let numbers = columns[place].as_primitive::<Int64Type>();
            let changed: Int64Array =
                numbers.iter().enumerate().map(|(row, number)| number.map(|n| n + i64::from(row == 0))).collect();
            columns[place] = Arc::new(changed);
            is_changed = true;
        }
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns).expect("the same schema")).expect("written");
    }
    writer.finish().expect("written");
    assert!(is_changed, "there was a row to change");
}

#[test]
fn an_upstream_hole_that_the_ledger_does_not_have_is_found() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = well(folder.path(), &[HOLES], EVENTS - 4);
    fs::rename(data.join("streams/gaps"), folder.path().join("ledger")).expect("the ledger can be taken away");
    differs(&data, &["eqiad.mediawiki.recentchange/0 (3) are neither in the log", "minutes of recentchange"]);
    fs::rename(folder.path().join("ledger"), data.join("streams/gaps")).expect("and put back");
    adds_up(&data);
}

#[test]
fn an_event_that_is_kept_twice_is_found_also_in_the_background_and_on_the_dashboard() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path().join("data");
    let upstream = upstream(&[]);
    let url = format!("http://{}/v2/stream/recentchange", upstream.address);
    let wikimedia = "url = \"https://stream.wikimedia.org/v2/stream/recentchange\"";
    let default = include_str!("../../src/default_pipeline.toml");
    assert!(default.contains(wikimedia), "the default pipeline reads Wikimedia");
    let pipeline = folder.path().join("pipeline.toml");
    let toml = default.replace(wikimedia, &format!("url = \"{url}\"")) + "\n[verify]\nevery = \"1s\"\n";
    fs::write(&pipeline, toml).expect("the pipeline can be written");
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    lakehead.until_counted("recentchange", EVENTS);

    let all_of_them = |status: &Value| status["audit"]["last"]["streams"]["recentchange"]["events"] == EVENTS;
    let status = lakehead.until("an audit of everything", all_of_them);
    assert_eq!(status["audit"]["last"]["differences"], 0, "{}", status["audit"]);
    let metrics = http::get(&lakehead.address, "/metrics").expect("metrics").body;
    assert!(metrics.contains("lakehead_audit_differences{stream=\"recentchange\"} 0"), "{metrics}");
    assert!(metrics.contains("lakehead_audit_last_success_timestamp_seconds "), "{metrics}");
    let browser = Browser::open().map_err(|why| skip("verify::the_audit_on_the_dashboard", &why)).ok();
    if let Some(browser) = &browser {
        browser.resize(1440, 2400);
        browser.go(&format!("http://{}/", lakehead.address));
        browser.until("a good audit", "document.getElementById('audit-badge').dataset.state === 'good'");
        picture(browser, "audit-good.png");
    }

    let event = query(&data, "SELECT data FROM recentchange WHERE event_offset = 17")[0]["data"].clone();
    let event = event.as_str().expect("JSON text").to_owned();
    assert_eq!(lakehead.push("recentchange", event.as_bytes()).status, 201);
    let status = lakehead.until("the next audit", |status| status["audit"]["last"]["differences"] == 1);
    let told = status["audit"]["last"]["told"][0].as_str().expect("words").to_owned();
    assert!(told.contains(&format!("event {EVENTS} is in the log twice")), "{told}");
    let health = http::get(&lakehead.address, "/healthz").expect("health");
    assert!(health.status == 200 && health.body.contains("audit"), "{}", health.body);
    differs(&data, &["is in the log twice", "minutes of recentchange"]);
    if let Some(browser) = &browser {
        browser.until("a bad audit", "document.getElementById('audit-badge').dataset.state === 'bad'");
        let words = browser.text("#audit-told");
        assert!(words.contains("is in the log twice"), "{words}");
        picture(browser, "audit-bad-light.png");
        browser.prefer("dark");
        picture(browser, "audit-bad-dark.png");
        browser.prefer("light");
        browser.resize(390, 5_000);
        let width = browser.value("[document.documentElement.scrollWidth, window.innerWidth]");
        assert!(width[0].as_u64() <= width[1].as_u64(), "{width}");
        picture(browser, "audit-bad-phone.png");
    }
    assert!(lakehead.finish().success());
    differs(&data, &["is in the log twice"]);
}

fn picture(browser: &Browser, name: &str) {
    browser.value("document.getElementById('panel-audit').scrollIntoView()");
    browser.screenshot(&Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots").join(name));
}

#[test]
fn late_events_that_a_view_drops_are_in_the_balance_and_explain_their_windows() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    let toml = "\
[stream.people]
schema = \"json\"
columns = { age = { path = \"age\", type = \"int64\" } }

[view.people_per_minute]
late = \"drop\"
sql = \"\"\"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS people, avg(age) AS age, max(age) AS oldest
FROM people WHERE age > 17 GROUP BY 1\"\"\"
";
    fs::write(&pipeline, toml).expect("the pipeline can be written");
    let push = |bodies: &[&str], stored: u64| {
        let lakehead = Lakehead::run_pipeline(&pipeline, &data);
        for body in bodies {
            assert_eq!(lakehead.push("people", body.as_bytes()).status, 201);
        }
        // What comes late is late only for who has counted what came before.
        lakehead.until_counted("people", stored);
        assert!(lakehead.finish().success());
    };
    let first = [
        r#"{"age": 36, "dt": "2026-09-01T12:00:10Z"}"#,
        r#"{"age": 9, "dt": "2026-09-01T12:00:11Z"}"#,
        r#"{"age": 45}"#,
        r#"{"age": 45, "dt": "2026-09-01T12:30:00Z"}"#,
    ];
    push(&first, 4);
    adds_up(&data);
    push(&[r#"{"age": 86, "dt": "2026-09-01T12:00:20Z"}"#], 5);
    adds_up(&data);
    let said = verify(&data, &["--format", "json"]);
    let report: Value = serde_json::from_str(&said.stdout).expect("JSON");
    let view = &report["views"]["people_per_minute"];
    let balance = &view["balance"];
    let numbers = ["events", "in_view", "filtered", "late_dropped", "too_late", "without_time"]
        .map(|key| balance[key].as_u64().expect("a count"));
    assert_eq!(numbers, [5, 2, 1, 1, 0, 1], "{balance}");
    assert_eq!(view["explained"], 1, "{view}");

    // What explains one row explains no second one.
    let path = data.join("views/people_per_minute/.state/checkpoint.json");
    let checkpoint = fs::read_to_string(&path).expect("a checkpoint");
    fs::write(&path, checkpoint.replace("\"late_dropped\": 1", "\"late_dropped\": 0")).expect("it can be written");
    differs(&data, &["view people_per_minute, its checkpoint is damaged"]);
}

#[test]
fn a_log_whose_beginning_was_taken_away_is_compared_as_far_as_it_goes() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    let toml = "\
[store]
block_bytes = \"32 KiB\"
segment_bytes = \"64 KiB\"

[stream.people]
schema = \"json\"
columns = { age = { path = \"age\", type = \"int64\" } }

[view.people_per_minute]
sql = \"\"\"SELECT tumble(event_time, INTERVAL '1 minute') AS minute, count(*) AS people, stddev(age) AS spread,
approx_median(age) AS middle FROM people GROUP BY 1 HAVING count(*) > 3\"\"\"
";
    fs::write(&pipeline, toml).expect("the pipeline can be written");
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    for part in 0..40_u64 {
        // Lines that do not compress, so that a segment is soon full.
        let line = |n: u64| {
            let n = part * 100 + n;
            let noise = (0..40).fold(String::new(), |text, m| text + &(n * 2_654_435_761 + m * n * 40_503).to_string());
            format!("{{\"age\":{},\"dt\":\"2026-09-01T12:{:02}:10Z\",\"noise\":\"{noise}\"}}\n", n * 7 % 90, part)
        };
        let lines: String = (0..100).map(line).collect();
        assert_eq!(lakehead.push("people", lines.as_bytes()).status, 201);
    }
    adds_up(&data);
    assert!(lakehead.finish().success());
    adds_up(&data);
    let segments = segments::files(&data, "people");
    assert!(segments.len() > 2, "{segments:?}");
    fs::remove_file(&segments[0]).expect("it is there");
    // No retention is on record, so what the inventory names and is gone is a loss; the rest is compared all the same.
    differs(&data, &["stream people", "are gone: the inventory says that the log begins with offset 0"]);
    let report: Value = serde_json::from_str(&verify(&data, &["--format", "json"]).stdout).expect("JSON");
    let view = &report["views"]["people_per_minute"];
    assert!(view["balance"].is_null() && view["compared_from"].is_string(), "{view}");
    assert!(report["streams"]["people"]["start"].as_u64() > Some(0), "{report}");
}

fn first_result(data: &Path, view: &str) -> PathBuf {
    segments::results(data, view).into_iter().next().expect("a result file")
}

#[test]
fn a_session_that_late_events_reopen_is_no_difference_before_the_next_commit() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    let sql = "SELECT session(event_time, INTERVAL '20 seconds', INTERVAL '10 minutes') AS w, g, count(*) AS c FROM s GROUP BY 1, 2";
    let pipeline =
        format!("[stream.s]\ncolumns = {{ g = \"g\" }}\n[view.v]\nsql = \"{sql}\"\nwatermark_delay = \"1s\"\n");
    std::fs::write(&file, pipeline).expect("the pipeline can be written");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    let push = |time: &str| {
        let event = format!("{{\"dt\":\"2026-04-10T{time}Z\",\"g\":\"a\"}}\n");
        assert_eq!(lakehead.push("s", event.as_bytes()).status, 201);
    };
    ["10:10:00", "11:10:00", "11:20:00", "14:00:00"].into_iter().for_each(push);
    lakehead.until("a commit of all four", |status| status["views"]["v"]["checkpoint"].as_u64() >= Some(4));
    push("10:30:00");
    lakehead.until("the late one", |status| status["views"]["v"]["offset"].as_u64() >= Some(5));
    let ended = verify(&data, &["--view", "v"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}
