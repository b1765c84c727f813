//! `cargo xtask dist`: what users install, made into `dist` of the target folder: an archive, a Debian package, the
//! third-party notices, checksums of them all.
//!
//! The binary is that of the usual release build; only the copy that is shipped is stripped, so that nothing is built twice.
//! The same commit built in the same place gives the same bytes: times are those of the commit (or `SOURCE_DATE_EPOCH`),
//! entries are sorted, owners are root, and no text names a path of the machine. The binary itself names where the registry's
//! sources lay, in the messages of defects; `--remap` builds it apart, without these.

mod archive;
mod binary;
mod checksums;
mod contents;
mod deb;
mod depends;
mod machine_paths;
mod notices;
mod products;
mod release;
mod scripts;
mod stage;

use std::fs;

use anyhow::{Context, Result, bail};

use self::{
    contents::Contents,
    machine_paths::MachinePaths,
    products::{human, products},
    release::Release,
};
use crate::command::target;

/// What is written on the way and not shipped.
const WORK: &str = "dist-work";

/// Makes everything, and prints each product with its size.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let remap = match words {
        [] => false,
        [word] if word == "--remap" => true,
        _ => bail!("dist takes one option: --remap"),
    };
    let release = Release::of_checkout()?;
    let (dist, work) = (target().join("dist"), target().join(WORK));
    for folder in [&dist, &work] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let contents = Contents::make(&release, remap, &work)?;
    let paths = MachinePaths::of_this_machine();
    contents.texts().try_for_each(|(name, text)| paths.refuse(name, text))?;
    report(&paths, &fs::read(&contents.binary).context("reading the stripped binary")?, remap)?;

    fs::write(dist.join(notices::FILE), &contents.notices).context("writing the notices")?;
    archive::make(&release, &contents, &work, &dist)?;
    deb::make(&release, &contents, &work, &dist)?;
    checksums::write(&dist)?;
    for (name, bytes) in products(&dist)? {
        println!("  {:>10}  {name}", human(bytes));
    }
    println!("in {}", dist.display());
    Ok(())
}

/// Says which paths of this machine the binary holds; a build that was to hold none must hold none.
fn report(paths: &MachinePaths, binary: &[u8], remap: bool) -> Result<()> {
    let found = paths.found(binary);
    if found.is_empty() {
        println!("the binary names no path of this machine");
    }
    for (start, count) in &found {
        println!("the binary names {count} paths below {start}; `cargo xtask dist --remap` leaves them out");
    }
    if remap && !found.is_empty() {
        bail!("a binary that was built with --remap names paths of this machine");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_is_not_there_is_refused_before_anything_is_built() {
        assert!(run(&["--fast".to_owned()]).is_err());
    }
}
