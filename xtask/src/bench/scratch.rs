//! The folder under `target/` that a measurement fills and clears again.
//!
//! On the same disk as the checkout: `/tmp` may be memory, and syncs are a part of what is measured.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::command::target;

/// An empty folder of this name under `target/`.
pub(super) fn empty(name: &str) -> Result<PathBuf> {
    let folder = target().join(name);
    clear(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Deletes a file, or a folder with all that is in it; what is not there is clear already.
pub(super) fn clear(path: &Path) -> Result<()> {
    let cleared = if path.is_dir() {
        fs::remove_dir_all(path)
    } else if path.exists() {
        fs::remove_file(path)
    } else {
        Ok(())
    };
    cleared.with_context(|| format!("clearing {}", path.display()))
}

/// A path as a word of a command line.
pub(super) fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).context("the path of the checkout is not UTF-8")
}

/// Refuses to fill somebody's disk. `smaller` says which options make it less.
pub(super) fn room_for(folder: &Path, bytes: u64, smaller: &str) -> Result<()> {
    let said = Command::new("df").args(["--output=avail", "-B1"]).arg(folder).output().context("starting df")?;
    let free = String::from_utf8_lossy(&said.stdout).lines().last().and_then(|line| line.trim().parse::<u64>().ok());
    let free = free.context("df does not say what is free")?;
    if free < bytes * 2 {
        bail!("{bytes} bytes may be needed and {free} are free: choose a smaller {smaller}");
    }
    Ok(())
}
