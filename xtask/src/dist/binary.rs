//! The binary: built as always, or apart without paths of the machine; then a stripped copy that says what it is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{machine_paths::MachinePaths, products::human, release::Release};
use crate::{
    command::{output, run, target},
    full::cargo_full,
};

/// Builds Lakehead and says where it lies.
pub(super) fn build(remap: bool) -> Result<PathBuf> {
    let mut command = cargo_full(&["build", "--release", "--locked", "--package", "lakehead"])?;
    let mut folder = target();
    if remap {
        // Other flags would build the usual folder's packages again, at each change from one to the other.
        folder = folder.join("remapped");
        command
            .env("CARGO_TARGET_DIR", &folder)
            .env("CARGO_ENCODED_RUSTFLAGS", flags(&MachinePaths::of_this_machine()));
    }
    run(&mut command)?;
    Ok(folder.join("release/lakehead"))
}

/// What rustc is told so that it writes other names for paths of this machine, beside the flags that are set already.
fn flags(paths: &MachinePaths) -> String {
    let set = std::env::var("RUSTFLAGS").unwrap_or_default();
    let remapped = paths.renamed().map(|(path, name)| format!("--remap-path-prefix={path}={name}"));
    set.split_whitespace().map(str::to_owned).chain(remapped).collect::<Vec<_>>().join("\x1f")
}

/// Writes a copy without symbols, and sees that it runs and is built from this commit.
pub(super) fn strip(built: &Path, stripped: &Path, release: &Release) -> Result<()> {
    run(Command::new("strip").arg("--strip-all").arg("-o").arg(stripped).arg(built))?;
    let said = output(Command::new(stripped).arg("--version"))?;
    if said.trim() != release.told() {
        bail!("the binary says it is {:?}, and not {:?}", said.trim(), release.told());
    }
    let size =
        |path: &Path| Ok::<u64, anyhow::Error>(fs::metadata(path).context("asking for the binary's size")?.len());
    println!("{}: {} with symbols, {} without", said.trim(), human(size(built)?), human(size(stripped)?));
    Ok(())
}
