//! The archive: one folder with the binary, completions, manual pages, licence and notices, to be unpacked anywhere.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{
    contents::Contents,
    notices,
    release::Release,
    scripts::SHELLS,
    stage::{FILE, PROGRAM, Stage},
};
use crate::command::{root, run};

/// Files of the checkout that go with it.
const PAPERS: &[&str] = &["CHANGELOG.md", "LICENSE", "README.md"];

/// Writes it into `dist`.
pub(super) fn make(release: &Release, contents: &Contents, work: &Path, dist: &Path) -> Result<()> {
    let stem = release.stem();
    let above = work.join("archive");
    let stage = Stage::new(above.join(&stem))?;
    stage.put("lakehead", PROGRAM, &fs::read(&contents.binary).context("reading the stripped binary")?)?;
    for ((_, name, _), text) in SHELLS.iter().zip(&contents.completions) {
        stage.put(&format!("completions/{name}"), FILE, text)?;
    }
    for (name, page) in &contents.manual {
        stage.put(&format!("man/man1/{name}"), FILE, page)?;
    }
    for paper in PAPERS {
        stage.put(paper, FILE, &fs::read(root().join(paper)).with_context(|| format!("reading {paper}"))?)?;
    }
    stage.put(notices::FILE, FILE, contents.notices.as_bytes())?;
    stage.seal(release.epoch)?;
    // GNU tar: the order of names, the owner and the format are those of no machine. gzip -n writes neither name nor time.
    run(Command::new("tar")
        .env("LC_ALL", "C")
        .args(["--sort=name", "--format=ustar", "--owner=root:0", "--group=root:0", "--use-compress-program=gzip -9n"])
        .arg(format!("--mtime=@{}", release.epoch))
        .arg("--directory")
        .arg(&above)
        .arg("--create")
        .arg("--file")
        .arg(dist.join(format!("{stem}.tar.gz")))
        .arg(&stem))
}
