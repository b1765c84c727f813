//! `THIRD-PARTY-NOTICES`: every crate that is linked into the binary, the scripts that lie in one of them and are shown to
//! browsers, and Rust's standard library, each with its licence and the licence's text.
//!
//! A crate without a licence, or with one whose text nobody has, is an error: nothing is shipped whose terms are unknown.

mod embedded;
mod licensed;
mod packages;
mod page;
mod standard;
mod toolchain;

use anyhow::Result;

/// What the file is called.
pub(super) const FILE: &str = "THIRD-PARTY-NOTICES";

/// The file's text, for a binary that is built for `target`.
pub(super) fn of_the_binary(target: &str) -> Result<String> {
    let packages = packages::linked(target)?;
    let mut all = embedded::scripts(&packages)?;
    all.push(toolchain::library()?);
    let mut crates = Vec::new();
    for package in &packages {
        crates.push(package.licensed()?);
    }
    println!("notices: {} crates, {} others", crates.len(), all.len());
    all.extend(crates);
    Ok(page::page(&all))
}
