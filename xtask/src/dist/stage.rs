//! A folder that is packed as it lies: rights, order and times depend on nothing but what is put in.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};

/// For what everybody may read.
pub(super) const FILE: u32 = 0o644;

/// For what everybody may run.
pub(super) const PROGRAM: u32 = 0o755;

/// The folder.
pub(super) struct Stage {
    root: PathBuf,
}

impl Stage {
    /// A new one at `root`, which must not be there.
    pub(super) fn new(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(&root).with_context(|| format!("making {}", root.display()))?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Puts a file in, with the folders above it.
    pub(super) fn put(&self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        let at = self.root.join(path);
        if let Some(folder) = at.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        fs::write(&at, bytes).with_context(|| format!("writing {}", at.display()))?;
        fs::set_permissions(&at, Permissions::from_mode(mode)).with_context(|| format!("rights of {}", at.display()))
    }

    /// Every file and folder beneath the root, by path, folders before what is in them.
    pub(super) fn entries(&self) -> Result<Vec<PathBuf>> {
        let mut entries = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                entries.push(path);
            }
        }
        entries.sort();
        Ok(entries)
    }

    /// Gives every file and folder the same time, and folders the same rights. Nothing is put in afterwards.
    pub(super) fn seal(&self, epoch: u64) -> Result<()> {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
        let mut entries = self.entries()?;
        entries.push(self.root.clone());
        for entry in entries {
            let sealed = || {
                if entry.is_dir() {
                    fs::set_permissions(&entry, Permissions::from_mode(PROGRAM))?;
                }
                File::open(&entry)?.set_modified(time)
            };
            sealed().with_context(|| format!("dating {}", entry.display()))?;
        }
        Ok(())
    }
}
