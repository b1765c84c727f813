//! The log and the results are files for everyone: the blocks of docs/lake.md, each run as it stands there, read them while
//! they are written and afterwards.
//!
//! Other programs may see a last block that is half written (docs/lake.md says what each makes of it), so a reader of
//! an open segment is given a few tries; what it reads then must hold everything that was committed before it began.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    lakehead::{Lakehead, query, skip, stored},
    segments,
};

/// How often a reader may meet a half-written block before it counts as unable to read. Blocks close four times a
/// second at this rate and take about a millisecond to write.
const TRIES: usize = 5;
/// Events a second while the readers are at work.
const RATE: &str = "2000";

/// The page whose blocks are run.
const PAGE: &str = include_str!("../../docs/lake.md");

/// Whose blocks count the events.
const READERS: &[&str] = &["zstdcat and jq", "DuckDB", "pandas", "Polars", "PyArrow", "ClickHouse", "Spark"];
/// Whose blocks sum the column `edits` over a view's result files.
const RESULT_READERS: &[&str] =
    &["DuckDB, results", "Polars, results", "pandas, results", "ClickHouse, results", "Spark, results"];

/// What a reader needs beside the Python packages of xtask/requirements.txt; a test says where it is not there.
const NEEDS: &[(&str, &str)] = &[("ClickHouse", "chdb"), ("Spark", "pyspark")];

/// The Python environment that `cargo xtask test` makes.
fn python() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    Some(target.join("venv/bin/python")).filter(|python| python.exists())
}

/// The block of the page that begins with the comment `# name`, and its language.
fn block(name: &str) -> (&'static str, &'static str) {
    let mut blocks = PAGE.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let found = blocks.find(|(_, text)| text.lines().next() == Some(&format!("# {name}")));
    found.unwrap_or_else(|| panic!("docs/lake.md has no block that begins with \"# {name}\""))
}

/// Whether what the reader needs is installed; if not, the test says that this part of it was skipped.
fn is_here(python: &Path, test: &str, reader: &str) -> bool {
    let name = reader.split(',').next().unwrap_or(reader);
    let Some((_, package)) = NEEDS.iter().find(|(needs, _)| *needs == name) else { return true };
    let found = Command::new(python).args(["-c", &format!("import {package}")]).output();
    let found = found.is_ok_and(|said| said.status.success());
    if !found {
        skip(&format!("{test} ({reader})"), &format!("{package} is not installed: pip install {package}"));
    }
    found
}

/// Runs a reader's block of the page, in a folder where the data directory is `data`.
fn count(python: &Path, reader: &str, folder: &Path) -> Result<u64, String> {
    let (language, script) = block(reader);
    let mut command = match language {
        "sh" => Command::new("bash"),
        _ => Command::new(python),
    };
    let script = if language == "sh" { format!("set -o pipefail; {script}") } else { script.to_owned() };
    let said = command.args(["-c", &script]).current_dir(folder).output().expect("it starts");
    let printed = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    match printed.lines().last().map(str::parse) {
        Some(Ok(count)) if said.status.success() => Ok(count),
        _ => Err(format!("{printed}{}", String::from_utf8_lossy(&said.stderr))),
    }
}

/// The first success of a few tries.
fn tried(what: &str, read: impl Fn() -> Result<u64, String>) -> u64 {
    let mut last = String::new();
    for _ in 0..TRIES {
        match read() {
            Ok(count) => return count,
            Err(error) => last = error,
        }
    }
    panic!("{what} could not read it in {TRIES} tries: {last}")
}

#[test]
fn a_segment_is_read_by_others_while_it_is_written_and_when_it_is_finished() {
    let name = "readers::a_segment_is_read_by_others_while_it_is_written_and_when_it_is_finished";
    let Some(python) = python() else { return skip(name, "no Python environment: run `cargo xtask test`") };
    if !segments::zstdcat_is_here() || Command::new("jq").arg("--version").output().is_err() {
        return skip(name, "zstdcat or jq is missing");
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = &folder.path().join("data");
    let upstream = Lakehead::start(&["simulate", "--rate", RATE, "--seed", "7", "--listen", "127.0.0.1:0"]);
    let lakehead = Lakehead::run_on(&upstream, data);
    lakehead.until_stored("recentchange", 2_000);
    let readers: Vec<&&str> = READERS.iter().filter(|reader| is_here(&python, name, reader)).collect();

    for reader in &readers {
        let before = stored(&lakehead.status(), "recentchange");
        let read = tried(reader, || count(&python, reader, folder.path()));
        assert!(read >= before, "{reader} read {read} events of {before} in a segment that is being written");
    }

    assert!(lakehead.finish().success());
    let all = query(data, "SELECT count(*) AS events FROM recentchange")[0]["events"].as_u64().expect("a count");
    for reader in readers {
        assert_eq!(count(&python, reader, folder.path()), Ok(all), "{reader}, finished");
    }
}

#[test]
fn results_are_read_by_others_while_the_view_runs() {
    let name = "readers::results_are_read_by_others_while_the_view_runs";
    let Some(python) = python() else { return skip(name, "no Python environment: run `cargo xtask test`") };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = &folder.path().join("data");
    // Enough simulated minutes at 36 events a second that windows close and are written.
    let events = 30_000;
    let made = ["simulate", "--rate", "0", "--events", "30000", "--seed", "7", "--listen", "127.0.0.1:0"];
    let upstream = Lakehead::start(&made);
    let lakehead = Lakehead::run_on(&upstream, data);
    lakehead.until_counted("recentchange", events);
    lakehead.until("results on disk", |_| !segments::results(data, "edits_per_minute").is_empty());

    let readers: Vec<&&str> = RESULT_READERS.iter().filter(|reader| is_here(&python, name, reader)).collect();
    let sums: Vec<u64> = readers.iter().map(|reader| tried(reader, || count(&python, reader, folder.path()))).collect();
    let all: Vec<Value> = query(data, "SELECT sum(edits) AS edits FROM edits_per_minute");
    let all = all[0]["edits"].as_u64().expect("a sum");
    assert!(sums.iter().all(|sum| *sum == sums[0]), "they agree: {readers:?} {sums:?}");
    assert!(sums[0] > 0 && sums[0] <= all, "closed windows hold {} of {all} edits", sums[0]);
}

/// Every kind of column that a view can have: the views' names, whether their rows are sorted, and their columns. Files of a
/// projection come when the hour is over in which its events were received.
const KINDS: &[(&str, bool, &[&str])] = &[
    ("wide", false, &["Ten Minutes", "wiki", "edits", "mean", "users", "any_bot", "titles", "last", "pages"]),
    ("sessions", true, &["begun", "wiki", "edits", "ended"]),
    ("hops", true, &["since", "edits"]),
    ("over", true, &["hour", "wiki", "edits"]),
];

const KINDS_PIPELINE: &str = r#"
[stream.recentchange]
schema = "mediawiki/recentchange"

[source.upstream]
kind = "eventstreams"
url = "http://ADDRESS/v2/stream/recentchange"
stream = "recentchange"

[view.wide]
sql = """
SELECT tumble(event_time, INTERVAL '10 minutes') AS "Ten Minutes", wiki, count(*) AS edits, avg(length_new) AS mean,
       approx_distinct("user") AS users, bool_or(bot) AS any_bot, array_agg(title ORDER BY event_time) AS titles,
       last_value(title ORDER BY event_time) AS last, top_k(title, 2) AS pages
FROM recentchange WHERE type = 'edit' GROUP BY 1, 2"""

[view.sessions]
sql = """
SELECT session(event_time, INTERVAL '1 minute') AS begun, wiki, count(*) AS edits, max(event_time) AS ended
FROM recentchange WHERE type = 'edit' GROUP BY 1, 2"""

[view.hops]
sql = """
SELECT hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes') AS since, count(*) AS edits
FROM recentchange WHERE type = 'edit' GROUP BY 1"""

[view.over]
sql = """
SELECT tumble(begun, INTERVAL '1 hour') AS hour, wiki, sum(edits) AS edits
FROM (SELECT "Ten Minutes" AS begun, wiki, edits FROM wide) AS tens GROUP BY 1, 2"""
"#;

#[test]
fn results_of_every_kind_have_the_columns_of_their_sql_and_are_read_by_others_while_their_views_run() {
    let name = "readers::results_of_every_kind_have_the_columns_of_their_sql";
    let Some(python) = python() else { return skip(name, "no Python environment: run `cargo xtask test`") };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (file, data) = (folder.path().join("pipeline.toml"), folder.path().join("data"));
    // Nearly four hours at 36 events a second, so that windows and hours close.
    let upstream =
        Lakehead::start(&["simulate", "--rate", "0", "--events", "500000", "--seed", "7", "--listen", "127.0.0.1:0"]);
    std::fs::write(&file, KINDS_PIPELINE.replace("ADDRESS", &upstream.address)).expect("the pipeline can be written");
    let lakehead = Lakehead::run_pipeline(&file, &data);
    for (view, is_sorted, columns) in KINDS {
        lakehead.until(view, |_| !segments::results(&data, view).is_empty());
        let read = || -> Value {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/read_results.py");
            let said =
                Command::new(&python).arg(script).arg(data.join("views").join(view)).output().expect("it starts");
            assert!(said.status.success(), "{view}: {}", String::from_utf8_lossy(&said.stderr));
            serde_json::from_slice(&said.stdout).expect("JSON")
        };
        let found = read();
        assert!(found["files"].as_u64() > Some(0), "{view}: {found}");
        let seen = found["seen"].as_object().expect("libraries");
        assert_eq!(seen.len(), 4, "{view}: {found}");
        assert!(seen.values().all(|one| one[0] == serde_json::json!(columns)), "{view}: {found}");
        assert!(seen.values().all(|one| one[1].as_u64() > Some(0)), "{view}: {found}");
        assert_eq!(found["compressions"], serde_json::json!(["ZSTD"]), "{view}");
        let sorted = if *is_sorted { serde_json::json!([[0, 1]]) } else { serde_json::json!([[]]) };
        let sorted = if *view == "hops" { serde_json::json!([[0]]) } else { sorted };
        assert_eq!(found["sorted_by"], sorted, "{view}");
        assert_eq!(found["without_statistics"], serde_json::json!([]), "{view}");
    }
    assert!(lakehead.finish().success());
}
