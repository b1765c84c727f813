//! The log and the results are files for everyone: DuckDB, pandas, Polars and `zstdcat | jq` read them while they are
//! written and afterwards.
//!
//! Other programs may see a last block that is half written (docs/lake.md says what each makes of it), so a reader of
//! an open segment is given a few tries; what it reads then must hold everything that was committed before it began.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    lakehead::{Lakehead, query, skip, stored, text},
    segments,
};

/// How often a reader may meet a half-written block before it counts as unable to read. Blocks close four times a
/// second at this rate and take about a millisecond to write.
const TRIES: usize = 5;
/// Events a second while the readers are at work.
const RATE: &str = "2000";

/// Counts the events of a stream, each program in the way its own manual shows first.
const READERS: &[(&str, &str)] = &[
    (
        "DuckDB",
        "import sys, duckdb
glob = sys.argv[1] + '/**/*.jsonl.zst'
print(duckdb.sql(f\"SELECT count(*) FROM read_json('{glob}', format = 'newline_delimited')\").fetchall()[0][0])",
    ),
    (
        "pandas",
        "import glob, sys, pandas
files = glob.glob(sys.argv[1] + '/**/*.jsonl.zst', recursive=True)
print(sum(len(pandas.read_json(file, lines=True)) for file in files))",
    ),
];

/// Sums the column `edits` over a view's result files.
const RESULT_READERS: &[(&str, &str)] = &[
    (
        "DuckDB",
        "import sys, duckdb
print(duckdb.sql(f\"SELECT sum(edits)::BIGINT FROM '{sys.argv[1]}/*.parquet'\").fetchall()[0][0])",
    ),
    (
        "Polars",
        "import sys, polars
print(polars.scan_parquet(sys.argv[1] + '/*.parquet').select(polars.col('edits').sum()).collect().item())",
    ),
];

/// The Python environment that `cargo xtask test` makes.
fn python() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    Some(target.join("venv/bin/python")).filter(|python| python.exists())
}

fn count(python: &Path, script: &str, folder: &Path) -> Result<u64, String> {
    let said = Command::new(python).args(["-c", script]).arg(folder).output().expect("python starts");
    let printed = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    printed.parse().map_err(|_| format!("{printed}{}", String::from_utf8_lossy(&said.stderr)))
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

/// Counts the events that `jq` parses out of what `zstdcat` prints.
fn zstdcat_jq(data: &Path) -> Result<u64, String> {
    let files: Vec<_> = segments::files(data, "recentchange").iter().map(|file| format!("'{}'", text(file))).collect();
    let pipe = format!("set -o pipefail; zstdcat {} | jq -c .meta.id | wc -l", files.join(" "));
    let said = Command::new("bash").args(["-c", &pipe]).output().expect("bash starts");
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into_owned());
    }
    String::from_utf8_lossy(&said.stdout).trim().parse().map_err(|_| "wc printed no number".to_owned())
}

#[test]
fn a_segment_is_read_by_others_while_it_is_written_and_when_it_is_finished() {
    let name = "readers::a_segment_is_read_by_others_while_it_is_written_and_when_it_is_finished";
    let Some(python) = python() else { return skip(name, "no Python environment: run `cargo xtask test`") };
    if !segments::zstdcat_is_here() || Command::new("jq").arg("--version").output().is_err() {
        return skip(name, "zstdcat or jq is missing");
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path();
    let upstream = Lakehead::start(&["simulate", "--rate", RATE, "--seed", "7", "--listen", "127.0.0.1:0"]);
    let lakehead = Lakehead::run_on(&upstream, data);
    lakehead.until_stored("recentchange", 2_000);
    let stream = data.join("streams/recentchange");

    for (reader, script) in READERS {
        let before = stored(&lakehead.status(), "recentchange");
        let read = tried(reader, || count(&python, script, &stream));
        assert!(read >= before, "{reader} read {read} events of {before} in a segment that is being written");
    }
    let before = stored(&lakehead.status(), "recentchange");
    let read = tried("zstdcat | jq", || zstdcat_jq(data));
    assert!(read >= before, "zstdcat | jq read {read} events of {before} in a segment that is being written");

    assert!(lakehead.finish().success());
    let all = query(data, "SELECT count(*) AS events FROM recentchange")[0]["events"].as_u64().expect("a count");
    for (reader, script) in READERS {
        assert_eq!(count(&python, script, &stream), Ok(all), "{reader}, finished");
    }
    assert_eq!(zstdcat_jq(data), Ok(all), "zstdcat | jq, finished");
}

#[test]
fn results_are_read_by_others_while_the_view_runs() {
    let name = "readers::results_are_read_by_others_while_the_view_runs";
    let Some(python) = python() else { return skip(name, "no Python environment: run `cargo xtask test`") };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let data = folder.path();
    // Enough simulated minutes at 36 events a second that windows close and are written.
    let events = 30_000;
    let made = ["simulate", "--rate", "0", "--events", "30000", "--seed", "7", "--listen", "127.0.0.1:0"];
    let upstream = Lakehead::start(&made);
    let lakehead = Lakehead::run_on(&upstream, data);
    lakehead.until_counted("recentchange", events);
    let view = data.join("views/edits_per_minute");
    lakehead.until("results on disk", |_| !segments::results(data, "edits_per_minute").is_empty());

    let sums: Vec<u64> =
        RESULT_READERS.iter().map(|(reader, script)| tried(reader, || count(&python, script, &view))).collect();
    let all: Vec<Value> = query(data, "SELECT sum(edits) AS edits FROM edits_per_minute");
    let all = all[0]["edits"].as_u64().expect("a sum");
    assert_eq!(sums[0], sums[1], "DuckDB and Polars agree");
    assert!(sums[0] > 0 && sums[0] <= all, "closed windows hold {} of {all} edits", sums[0]);
}
