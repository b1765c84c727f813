//! The rebuild: the views' results are thrown away and made again from the log, with no source at work.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::{scratch::text, status};
use crate::{
    command::root,
    process::{Cpu, Process},
};

/// Which views are rebuilt.
#[derive(Clone, Copy)]
pub(super) enum Views {
    /// This one alone.
    Only(&'static str),
    /// Every view of the default pipeline, side by side.
    All,
}

/// What was measured.
pub(super) struct Rebuild {
    /// From the start of the process, opening included, until the last event is counted.
    pub(super) wall_seconds: f64,
    pub(super) cpu: Cpu,
    pub(super) memory_peak: u64,
}

/// Rebuilds views of the default pipeline.
pub(super) fn measure(binary: &Path, scratch: &Path, data: &Path, views: Views, events: u64) -> Result<Rebuild> {
    let pipeline = pipeline(scratch, views)?;
    run(binary, &pipeline, data, events)
}

/// The default pipeline with these views and without a source.
pub(super) fn pipeline(scratch: &Path, views: Views) -> Result<PathBuf> {
    let default = root().join("src/default_pipeline.toml");
    let standing = fs::read_to_string(&default).with_context(|| format!("reading {}", default.display()))?;
    let pipeline = scratch.join("rebuild.toml");
    fs::write(&pipeline, without_sources(&standing, views))
        .with_context(|| format!("writing {}", pipeline.display()))?;
    Ok(pipeline)
}

/// Deletes the views' results.
pub(super) fn forget(data: &Path) -> Result<()> {
    let results = data.join("views");
    fs::remove_dir_all(&results).with_context(|| format!("deleting {}", results.display()))
}

/// Deletes the views' results and starts a pipeline without a source on the same log.
pub(super) fn run(binary: &Path, pipeline: &Path, data: &Path, events: u64) -> Result<Rebuild> {
    forget(data)?;
    let words = ["run", &text(pipeline)?, "--data", &text(data)?, "--listen", "127.0.0.1:0"];
    let begun = Instant::now();
    let mut lakehead = Process::start(binary, &words)?;
    status::wait(&mut lakehead, events)?;
    let rebuild = Rebuild {
        wall_seconds: begun.elapsed().as_secs_f64(),
        cpu: lakehead.cpu()?,
        memory_peak: lakehead.memory_peak()?,
    };
    lakehead.finish()?;
    Ok(rebuild)
}

/// The sum that the view `edits_per_minute` holds, to be held against DuckDB's.
pub(super) fn edits(binary: &Path, data: &Path) -> Result<u64> {
    let sql = "SELECT sum(edits) AS edits FROM edits_per_minute";
    let said = Command::new(binary).args(["query", sql, "--format", "csv", "--data"]).arg(data).output()?;
    if !said.status.success() {
        bail!("{}", String::from_utf8_lossy(&said.stderr).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&said.stdout);
    text.lines().last().and_then(|line| line.trim().parse().ok()).with_context(|| format!("not a number: {text}"))
}

/// A pipeline's text without its `[source.…]` and `[panel.…]` tables, which a rebuild does not need, and without the views that are not asked for.
fn without_sources(text: &str, views: Views) -> String {
    let wanted = |table: &str| match (table.strip_prefix("[view."), views) {
        (Some(rest), Views::Only(only)) => rest.split(']').next() == Some(only),
        _ => !table.starts_with("[source.") && !table.starts_with("[panel."),
    };
    let mut keep = true;
    let mut kept = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            keep = wanted(line);
        }
        if keep {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPELINE: &str = "data = \"x\"\n[stream.s]\n[source.a]\nkind = \"b\"\n[panel.p]\n[view.v] # one\nsql = 1\n[view.w] # two\nsql = 2\n";

    #[test]
    fn sources_are_left_out() {
        let all = without_sources(PIPELINE, Views::All);
        assert_eq!(all, "data = \"x\"\n[stream.s]\n[view.v] # one\nsql = 1\n[view.w] # two\nsql = 2\n");
    }

    #[test]
    fn one_view_is_left() {
        let one = without_sources(PIPELINE, Views::Only("w"));
        assert_eq!(one, "data = \"x\"\n[stream.s]\n[view.w] # two\nsql = 2\n");
    }
}
