//! Which C library the binary needs, read from its dynamic section: the package says so, and an older system refuses it
//! before it is installed.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use crate::command::output;

/// The C library that reads packed relocations, which `build.rs` asks for where they can be had.
const READS_PACKED: (u32, u32) = (2, 36);

/// Debian's packages that the binary needs.
pub(super) fn of(binary: &Path) -> Result<String> {
    let shown = output(Command::new("objdump").arg("--private-headers").arg(binary))?;
    let (major, minor) = c_library(&shown).context("objdump names no version of glibc")?;
    let compiler = if shown.contains("libgcc_s.so.1") { ", libgcc-s1" } else { "" };
    Ok(format!("adduser, libc6 (>= {major}.{minor}){compiler}"))
}

/// The newest version of glibc that is asked for.
fn c_library(objdump: &str) -> Option<(u32, u32)> {
    let versions = objdump.split_whitespace().filter_map(|word| match word {
        "GLIBC_ABI_DT_RELR" => Some(READS_PACKED),
        _ => {
            let (major, minor) = word.strip_prefix("GLIBC_")?.split_once('.')?;
            // GLIBC_2.2.5
            Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
        }
    });
    versions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts_and_packed_relocations_are_one() {
        let plain =
            "    0x09691a75 0x00 13 GLIBC_2.2.5\n    0x069691b5 0x00 15 GLIBC_2.35\n    0x0d696914 0x00 20 GLIBC_2.4\n";
        assert_eq!(c_library(plain), Some((2, 35)));
        assert_eq!(c_library(&format!("{plain}    0x00fd0e42 0x00 33 GLIBC_ABI_DT_RELR\n")), Some((2, 36)));
        assert_eq!(c_library("  NEEDED  libc.so\n"), None);
    }
}
