//! DuckDB at the same count on the same lines, in the same run.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::status::STREAM;
use crate::command::{root, target};

/// What DuckDB took.
pub(super) struct DuckDb {
    pub(super) version: String,
    pub(super) threads: u64,
    /// Over the raw JSON lines.
    pub(super) raw_seconds: f64,
    /// Over the segments as they lie.
    pub(super) zst_seconds: f64,
    /// The edits it counted.
    pub(super) edits: u64,
}

/// Runs `bench/duckdb_count.py` with the Python environment of the tests.
pub(super) fn measure(scratch: &Path, data: &Path) -> Result<DuckDb> {
    let python = target().join("venv/bin/python");
    let said = Command::new(&python)
        .arg(root().join("bench/duckdb_count.py"))
        .arg(data.join("streams").join(STREAM))
        .arg(scratch.join("raw.jsonl"))
        .output()
        .with_context(|| format!("starting {}", python.display()))?;
    if !said.status.success() {
        bail!("{}", String::from_utf8_lossy(&said.stderr).lines().last().unwrap_or_default().to_owned());
    }
    let answer: Value = serde_json::from_slice(&said.stdout).context("it did not print JSON")?;
    let number = |key: &str| answer[key].as_f64().with_context(|| format!("no {key}"));
    let count = |key: &str| answer[key].as_u64().with_context(|| format!("no {key}"));
    if count("raw_edits")? != count("zst_edits")? {
        bail!("it counted {} raw lines but {} in the segments", count("raw_edits")?, count("zst_edits")?);
    }
    Ok(DuckDb {
        version: answer["version"].as_str().unwrap_or("?").to_owned(),
        threads: count("threads")?,
        raw_seconds: number("raw_seconds")?,
        zst_seconds: number("zst_seconds")?,
        edits: count("raw_edits")?,
    })
}
