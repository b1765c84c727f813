//! DuckDB at the same count on the same lines, in the same run.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{peers, status::STREAM};

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

/// Where the raw lines are put, for whoever else counts them.
pub(super) fn raw_lines(scratch: &Path) -> PathBuf {
    scratch.join("raw.jsonl")
}

/// Runs `bench/duckdb_count.py`.
pub(super) fn measure(scratch: &Path, data: &Path) -> Result<DuckDb> {
    let answer = peers::run(
        "duckdb_count.py",
        &[data.join("streams").join(STREAM).as_os_str(), raw_lines(scratch).as_os_str()],
    )?;
    let (raw_edits, zst_edits) = (peers::count(&answer, "raw_edits")?, peers::count(&answer, "zst_edits")?);
    if raw_edits != zst_edits {
        bail!("it counted {raw_edits} raw lines but {zst_edits} in the segments");
    }
    Ok(DuckDb {
        version: peers::version(&answer),
        threads: peers::count(&answer, "threads")?,
        raw_seconds: peers::number(&answer, "raw_seconds")?,
        zst_seconds: peers::number(&answer, "zst_seconds")?,
        edits: raw_edits,
    })
}
