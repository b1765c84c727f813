//! The source `file` within a pipeline: every line once over kills, an end that lasts, and no file that has changed since.

use std::{fs, path::Path};

use serde_json::json;

use crate::lakehead::{Lakehead, query, text};

/// Lines `[from, to)`, each with a payload that does not compress to nothing.
fn lines(from: u64, to: u64) -> String {
    let noise = |n: u64| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (from..to).map(|n| format!("{}\n", json!({ "n": n, "noise": noise(n), "dt": "2026-09-01T12:00:00Z" }))).collect()
}

/// A pipeline that reads the folder `dump` beside it.
fn pipeline(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("pipeline.toml");
    let pattern = folder.join("dump/*.jsonl");
    let text = format!(
        "[stream.history]\nschema = \"json\"\ncolumns = {{ n = {{ path = \"n\", type = \"int64\" }} }}\n\n\
         [source.dump]\nkind = \"file\"\npaths = [\"{}\"]\nstream = \"history\"\n",
        text(&pattern)
    );
    fs::write(&path, text).expect("the pipeline can be written");
    path
}

/// Waits until the source is in `state`, and returns why, if it says.
fn until(lakehead: &Lakehead, state: &str) -> String {
    let status = lakehead.until(state, |status| status["sources"]["dump"]["state"] == state);
    status["sources"]["dump"]["error"].as_str().unwrap_or_default().to_owned()
}

fn each_once(data: &Path, events: u64) {
    let rows = query(data, "SELECT count(*) AS n, count(DISTINCT n) AS ns, max(n) AS last FROM history");
    assert_eq!(rows[0], json!({ "n": events, "ns": events, "last": events - 1 }));
}

#[test]
fn a_pipeline_reads_files_once_over_kills_and_refuses_one_that_has_changed() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, data) = (pipeline(folder.path()), folder.path().join("data"));
    let dump = folder.path().join("dump");
    fs::create_dir(&dump).expect("a folder");
    fs::write(dump.join("a.jsonl"), lines(0, 60_000)).expect("a file");
    fs::write(dump.join("b.jsonl"), format!("{}no event\n", lines(60_000, 80_000))).expect("a file");
    for point in ["write.after:3", "sync.after:3"] {
        Lakehead::run_pipeline_to_its_end(&pipeline, &data, point).ended_by(point);
    }
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    until(&lakehead, "ended");
    each_once(&data, 80_000);
    let rejects = query(&data, "SELECT DISTINCT position FROM rejects");
    assert!(rejects[0]["position"].as_str().is_some_and(|place| place.ends_with("b.jsonl line 20001")), "{rejects:?}");
    assert!(lakehead.finish().success());

    fs::write(dump.join("c.jsonl"), lines(80_000, 80_010)).expect("a file");
    for _ in 0..2 {
        let lakehead = Lakehead::run_pipeline(&pipeline, &data);
        until(&lakehead, "ended");
        each_once(&data, 80_010);
        assert!(lakehead.finish().success());
    }

    fs::write(dump.join("b.jsonl"), lines(60_000, 80_001)).expect("a file");
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    let why = until(&lakehead, "failed");
    assert!(why.contains("changed or added since: ") && why.contains("dump/b.jsonl;"), "{why}");
    each_once(&data, 80_010);
}
