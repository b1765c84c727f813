//! Tells the program which commit it is built from, where there is one: a tree without git builds all the same.
//!
//! Only this crate depends on it, so a commit compiles nothing else anew.

use std::{path::Path, process::Command};

fn main() {
    let commit = git(&["rev-parse", "--short=10", "HEAD"]);
    let told = commit.map_or(String::new(), |commit| format!(" ({commit})"));
    println!("cargo::rustc-env=LAKEHEAD_COMMIT={told}");
    println!("cargo::rerun-if-changed=build.rs");
    // The log of HEAD is written at every commit and every change of branch.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
}

fn git(words: &[&str]) -> Option<String> {
    let root = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    // Of a copy inside another repository the commit would be that repository's.
    let top = |out: &str| Path::new(out.trim()).canonicalize().ok() == Path::new(&root).canonicalize().ok();
    let ask = |words: &[&str]| {
        let said = Command::new("git").args(words).current_dir(&root).output().ok()?;
        said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    ask(&["rev-parse", "--show-toplevel"]).filter(|out| top(out))?;
    ask(words).filter(|said| !said.is_empty())
}
