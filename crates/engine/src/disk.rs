//! How much room there is, and how much the views' results take.

use std::{fs, io, path::Path};

/// What is left for us on the file system that holds `dir`.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let room = rustix::fs::statvfs(dir)?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}

/// The size of all files below `dir`; what cannot be read counts as nothing.
pub(crate) fn size_below(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size_below(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |metadata| metadata.len()),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_add_up_over_folders() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("a")).expect("a folder in it");
        fs::write(dir.path().join("a/x"), [0; 10]).expect("a file");
        fs::write(dir.path().join("y"), [0; 5]).expect("a file");
        assert_eq!(size_below(dir.path()), 15);
        assert_eq!(size_below(&dir.path().join("none")), 0);
        assert!(free_bytes(dir.path()).is_ok_and(|bytes| bytes > 0));
    }
}
