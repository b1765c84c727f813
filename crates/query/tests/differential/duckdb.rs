//! DuckDB, asked through one Python process for all queries, so that it reads each stream once.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use parquet::arrow::ArrowWriter;
use serde_json::{Value as Json, json};

use crate::{
    oracle,
    table::Table,
    value::{Row, from_duckdb},
};

/// A running DuckDB.
pub(crate) struct DuckDb {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    scratch: tempfile::TempDir,
}

/// The Python environment that `cargo xtask test` makes.
fn python() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    Some(target.join("venv/bin/python")).filter(|python| python.exists())
}

impl DuckDb {
    /// Starts it; the reason where there is none here.
    pub(crate) fn start() -> Result<Self, String> {
        let python = python().ok_or("there is no Python environment; `cargo xtask test` makes one")?;
        let found = Command::new(&python).args(["-c", "import duckdb"]).output();
        if !found.is_ok_and(|said| said.status.success()) {
            return Err("the Python environment has no duckdb".into());
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/duckdb_side.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("Python does not start: {e}"))?;
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("asked for"));
        let scratch = tempfile::tempdir().expect("a folder");
        Ok(Self { process, requests, answers, scratch })
    }

    /// Makes the stream a table, with what its columns must be.
    pub(crate) fn load(&mut self, table: &Table) {
        let batch = oracle::decoded(table);
        let path = self.scratch.path().join(format!("{}.parquet", table.name));
        let file = std::fs::File::create(&path).expect("a file");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("written");
        writer.close().expect("closed");
        self.ask(&json!({ "load": table.name, "file": path })).expect("DuckDB reads Parquet");
    }

    /// Its answer, or what it says against the query.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Vec<Row>, String> {
        let answer = self.ask(&json!({ "query": sql }))?;
        let rows = answer["rows"].as_array().ok_or("an answer without rows")?;
        let row = |row: &Json| row.as_array().ok_or("a row that is none")?.iter().map(from_duckdb).collect();
        rows.iter().map(row).collect()
    }

    fn ask(&mut self, request: &Json) -> Result<Json, String> {
        let requests = self.requests.as_mut().expect("open until it is dropped");
        let mut answer = String::new();
        writeln!(requests, "{request}").and_then(|()| requests.flush()).map_err(|e| format!("DuckDB is gone: {e}"))?;
        self.answers.read_line(&mut answer).map_err(|e| format!("DuckDB is gone: {e}"))?;
        let answer: Json = serde_json::from_str(&answer).map_err(|e| format!("DuckDB's side said {answer:?}: {e}"))?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // Python ends with its input.
        self.requests = None;
        let _ = self.process.wait();
    }
}
