//! What the tests need beside Rust: Chromium for the dashboard, `zstd` and `jq` for the files as they lie, and a
//! Python environment with DuckDB, pandas and Polars.
//!
//! Installs what is missing where it may (Debian's packages as root, PyPI into `target/venv`) and says what is skipped
//! where it may not. A thing that cannot be had never fails the set-up: the tests that want it say so themselves.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::command::{on_path, root, run, target};

/// A program, the Debian package that brings it, and what is skipped without it.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("chromium", "chromium", "the dashboard in a real browser and its picture"),
    ("chromedriver", "chromium-driver", "the dashboard in a real browser and its picture"),
    ("zstdcat", "zstd", "segments read by zstdcat"),
    ("jq", "jq", "segments read by zstdcat | jq"),
    ("python3", "python3", "DuckDB, pandas and Polars"),
];

/// Sets up everything, and reports.
pub(crate) fn all() {
    if let Err(error) = programs() {
        println!("set-up: Debian's packages could not be installed: {error:#}");
    }
    for (program, package, without) in PROGRAMS {
        if !on_path(program) {
            println!("set-up: {program} is missing, so this is skipped: {without} (Debian: apt-get install {package})");
        }
    }
    duckdb();
}

/// Sets up the Python environment alone, which brings DuckDB.
pub(crate) fn duckdb() {
    match python() {
        Ok(()) => println!("set-up: done"),
        Err(error) => println!("set-up: DuckDB, pandas and Polars are skipped: {error:#}"),
    }
}

fn programs() -> Result<()> {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, ..)| !on_path(program)).map(|(_, package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !on_path("apt-get") {
        bail!("there is no apt-get here");
    }
    if !is_root() {
        bail!("that needs root");
    }
    println!("set-up: installing {}", missing.join(", "));
    install(&missing)
}

/// Whether packages of Debian may be installed here.
pub(crate) fn may_install() -> bool {
    on_path("apt-get") && is_root()
}

/// Installs packages of Debian. A server among them is not started.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let apt = |words: &[&str]| {
        run(Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            // In this runlevel, single user, invoke-rc.d(8) starts nothing.
            .env("RUNLEVEL", "1")
            .args(["-qq", "-o=Dpkg::Use-Pty=0"])
            .args(words))
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}

/// A virtual environment under the target folder, remade when the list of packages changes.
fn python() -> Result<()> {
    let list = root().join("xtask/requirements.txt");
    let wanted = fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
    let venv = target().join("venv");
    let stamp = venv.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if !on_path("python3") {
        bail!("python3 is missing");
    }
    println!("set-up: a Python environment in {}", venv.display());
    make_venv(&venv)?;
    run(Command::new(venv.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&list))?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

/// An empty Python environment.
pub(crate) fn make_venv(venv: &Path) -> Result<()> {
    let make = || run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv));
    // Debian keeps `venv` in a package of its own.
    make().or_else(|error| match may_install() {
        true => install(&["python3-venv"]).and_then(|()| make()),
        false => Err(error),
    })
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout.trim_ascii() == b"0")
}
