//! `SHA256SUMS`: a checksum of every product, in the form that `sha256sum --check` reads.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::products::products;
use crate::command::output;

/// What the file is called.
const FILE: &str = "SHA256SUMS";

/// Writes it, over all that lies in `dist`.
pub(super) fn write(dist: &Path) -> Result<()> {
    let names = products(dist)?.into_iter().map(|(name, _)| name).filter(|name| name != FILE);
    let sums = output(Command::new("sha256sum").current_dir(dist).arg("--").args(names))?;
    fs::write(dist.join(FILE), sums).with_context(|| format!("writing {FILE}"))
}
