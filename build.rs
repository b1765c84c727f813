//! Tells the program which commit it is built from, where there is one: a tree without git builds all the same. And has it
//! linked so that it is smaller in memory, where the linker and the system's loader can do that.
//!
//! Only this crate depends on it, so a commit compiles nothing else anew.

use std::{env, fs, path::Path, process::Command};

/// Addresses within the program that the loader has to add to where it lies, three hundred thousand of them, as a bitmap in place of
/// a list of 7 MB, all of which it reads at each start.
const PACKED: &str = "-Wl,-z,pack-relative-relocs";

fn main() {
    let commit = git(&["rev-parse", "--short=10", "HEAD"]);
    let told = commit.map_or(String::new(), |commit| format!(" ({commit})"));
    println!("cargo::rustc-env=LAKEHEAD_COMMIT={told}");
    println!("cargo::rerun-if-changed=build.rs");
    if can_be_packed().unwrap_or(false) {
        println!("cargo::rustc-link-arg-bins={PACKED}");
    }
    // The log of HEAD is written at every commit and every change of branch.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
}

fn git(words: &[&str]) -> Option<String> {
    let root = env::var("CARGO_MANIFEST_DIR").ok()?;
    // Of a copy inside another repository the commit would be that repository's.
    let top = |out: &str| Path::new(out.trim()).canonicalize().ok() == Path::new(&root).canonicalize().ok();
    let ask = |words: &[&str]| {
        let said = Command::new("git").args(words).current_dir(&root).output().ok()?;
        said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    ask(&["rev-parse", "--show-toplevel"]).filter(|out| top(out))?;
    ask(words).filter(|said| !said.is_empty())
}

/// Whether a program that is linked so begins, on the machine where it is built and for it: older linkers do not know the word,
/// and a C library before glibc 2.36 refuses what they make of it.
fn can_be_packed() -> Option<bool> {
    let var = |name: &str| env::var(name).ok();
    if var("HOST")? != var("TARGET")? || var("CARGO_CFG_TARGET_OS")? != "linux" || var("CARGO_CFG_TARGET_ENV")? != "gnu"
    {
        return None;
    }
    let folder = var("OUT_DIR")?;
    let (source, program) = (Path::new(&folder).join("packed.rs"), Path::new(&folder).join("packed"));
    fs::write(&source, "fn main() { println!(\"{:?}\", std::env::args().next().is_some()); }").ok()?;
    let mut rustc = Command::new(var("RUSTC")?);
    rustc.arg(&source).arg("-o").arg(&program).arg("-C").arg(format!("link-arg={PACKED}"));
    if let Some(linker) = var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    // The flags that the program is linked with may name another linker.
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    let is_linked = rustc.output().ok()?.status.success();
    Some(is_linked && Command::new(&program).output().ok()?.status.success())
}
