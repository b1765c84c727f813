//! A small disk in memory, mounted for one test and unmounted after it. Only root may mount.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A mounted disk of 16 MiB.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Mounts one at a new folder, `rw` or `ro`; `None` where that is not allowed.
    pub(crate) fn mount(at: &Path, mode: &str) -> Option<Self> {
        fs::create_dir(at).expect("a folder");
        let options = format!("size=16m,{mode}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|said| said.status.success()).then(|| Self(at.to_owned()))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that was killed a moment ago may still hold a file.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
