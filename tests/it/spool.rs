//! The source `spool`: killed again and again while files arrive, it reads each once and puts it out of the way.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::lakehead::{Lakehead, eventually, query, text};

/// How many files arrive, and in how many runs of the program, of which all but the last are killed.
const FILES: u64 = 1_200;
const RUNS: u64 = 4;

/// Puts the file of number `n` there as a careful program does: under a hidden name, then renamed.
fn arrive(inbox: &Path, n: u64) {
    let event = json!({ "n": n, "dt": "2026-09-01T12:00:00Z" });
    let hidden = inbox.join(format!(".change_{n}"));
    fs::write(&hidden, serde_json::to_string_pretty(&event).expect("text")).expect("a file");
    fs::rename(hidden, inbox.join(format!("change_{n}.json"))).expect("renamed");
}

/// A pipeline that watches the folder `inbox` beside it, that folder, and where the data goes.
fn watched(folder: &Path, setting: &str) -> (PathBuf, PathBuf, PathBuf) {
    let (pipeline, inbox) = (folder.join("pipeline.toml"), folder.join("inbox"));
    fs::create_dir(&inbox).expect("a folder");
    let settings = format!(
        "[stream.changes]\nschema = \"json\"\ncolumns = {{ n = {{ path = \"n\", type = \"int64\" }} }}\n\n\
         [source.inbox]\nkind = \"spool\"\npath = \"{}\"\nstream = \"changes\"\nrest = \"0s\"\n{setting}\n",
        text(&inbox)
    );
    fs::write(&pipeline, settings).expect("the pipeline can be written");
    (pipeline, inbox, folder.join("data"))
}

#[test]
fn files_that_arrive_while_it_is_killed_are_each_read_once_and_put_away() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, inbox, data) = watched(folder.path(), "poll = \"100ms\"");

    for run in 0..RUNS {
        let lakehead = Lakehead::run_pipeline(&pipeline, &data);
        for n in run * FILES / RUNS..(run + 1) * FILES / RUNS {
            arrive(&inbox, n);
        }
        if run + 1 < RUNS {
            // Some are stored, some are on their way, some lie there.
            lakehead.until_stored("changes", (run * FILES / RUNS + 1).min(FILES));
            lakehead.kill();
        } else {
            lakehead.until_stored("changes", FILES);
            let is_put_away = || {
                let names = fs::read_dir(&inbox).expect("a folder").map(|entry| entry.expect("an entry").file_name());
                names.into_iter().all(|name| name.to_string_lossy().ends_with(".COMPLETED"))
            };
            assert!(eventually(is_put_away), "every file is put away");
            assert!(lakehead.finish().success());
        }
    }
    let rows = query(&data, "SELECT count(*) AS n, count(DISTINCT n) AS ns, max(n) AS last FROM changes");
    assert_eq!(rows[0], json!({ "n": FILES, "ns": FILES, "last": FILES - 1 }));
    assert_eq!(fs::read_dir(&inbox).expect("a folder").count() as u64, FILES);
}

#[test]
fn a_crash_at_a_sync_or_a_write_neither_loses_nor_doubles_a_file() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (pipeline, inbox, data) = watched(folder.path(), "when_done = \"delete\"");
    (0..500).for_each(|n| arrive(&inbox, n));
    for point in ["write.after:2", "sync.after:2"] {
        Lakehead::run_pipeline_to_its_end(&pipeline, &data, point).ended_by(point);
    }
    let lakehead = Lakehead::run_pipeline(&pipeline, &data);
    lakehead.until_stored("changes", 500);
    let is_empty = || fs::read_dir(&inbox).is_ok_and(|mut entries| entries.next().is_none());
    assert!(eventually(is_empty), "every file is deleted");
    assert!(lakehead.finish().success());
    let rows = query(&data, "SELECT count(*) AS n, count(DISTINCT n) AS ns FROM changes");
    assert_eq!(rows[0], json!({ "n": 500, "ns": 500 }));
}
