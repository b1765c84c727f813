//! The log and the views as other programs see them: files on disk, read by `zstdcat` and DuckDB.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command::{root, target};

/// The segments of a stream in the order of their offsets, which is the order of their paths.
pub(crate) fn segments(data: &Path, stream: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(&data.join("streams").join(stream), ".jsonl.zst", &mut found)?;
    found.sort();
    Ok(found)
}

/// The offset of a stream's first event that is kept: a segment's name says it.
pub(crate) fn start(data: &Path, stream: &str) -> Result<u64> {
    let Some(first) = segments(data, stream)?.into_iter().next() else { return Ok(0) };
    let name = first.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.trim_end_matches(".jsonl.zst").parse().with_context(|| format!("{} has no offset's name", first.display()))
}

/// How many of a stream's segments are sealed: their last eight bytes say it (docs/formats/segment.md).
pub(crate) fn sealed(data: &Path, stream: &str) -> Result<u64> {
    let mut sealed = 0;
    for file in segments(data, stream)? {
        let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        sealed += u64::from(bytes.ends_with(b"LHIDXEND"));
    }
    Ok(sealed)
}

/// Every file below `folder` whose name ends so.
pub(crate) fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, ending, found)?;
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    Ok(())
}

/// The events that `zstdcat` prints over these files.
pub(crate) fn events(files: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let said = Command::new("zstdcat").args(files).output().context("starting zstdcat")?;
    if !said.status.success() {
        bail!("zstdcat: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    let mut events: Vec<Vec<u8>> = said.stdout.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    match events.pop() {
        Some(rest) if rest.is_empty() => Ok(events),
        _ => bail!("the last line has no newline"),
    }
}

/// Writes `events` in place of what is in `file`, as one zstd frame.
pub(crate) fn rewrite(file: &Path, events: &[Vec<u8>]) -> Result<()> {
    let plain = file.with_extension("plain");
    let text: Vec<u8> = events.iter().flat_map(|event| event.iter().copied().chain([b'\n'])).collect();
    fs::write(&plain, text).with_context(|| format!("writing {}", plain.display()))?;
    let said = Command::new("zstd").args(["-q", "-f", "--rm", "-o"]).arg(file).arg(&plain).output()?;
    if !said.status.success() {
        bail!("zstd: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(())
}

/// The Python of the tests' environment, which has DuckDB; `None` where that could not be set up.
fn python() -> Option<PathBuf> {
    Some(target().join("venv/bin/python")).filter(|python| python.exists())
}

/// Whether Parquet files can be read here by another program than Lakehead.
pub(crate) fn duckdb_is_here() -> bool {
    python().is_some()
}

/// The rows of a view's Parquet files, by DuckDB.
pub(crate) fn parquet_rows(data: &Path, view: &str) -> Result<Vec<Value>> {
    let text = duckdb(&["rows", &data.join("views").join(view).to_string_lossy()])?;
    text.lines().map(|line| serde_json::from_str(line).context("DuckDB's row is not JSON")).collect()
}

/// Adds one to a count in one of a view's Parquet files.
pub(crate) fn spoil_parquet(data: &Path, view: &str) -> Result<()> {
    duckdb(&["spoil", &data.join("views").join(view).to_string_lossy()]).map(drop)
}

fn duckdb(words: &[&str]) -> Result<String> {
    let python = python().context("no Python environment")?;
    let said = Command::new(python).arg(root().join("xtask/src/torture/parquet.py")).args(words).output()?;
    if !said.status.success() {
        bail!("DuckDB: {}", String::from_utf8_lossy(&said.stderr).lines().last().unwrap_or_default().to_owned());
    }
    String::from_utf8(said.stdout).context("DuckDB printed no UTF-8")
}
