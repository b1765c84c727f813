//! Where recovery puts what it cuts: copied, synced, and only then taken from the log. Nothing here is ever deleted.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    disk::{files::File, log_files::LogFiles},
    error::Error,
    segment::file::Segment,
};

/// Copies of the same place that may lie side by side: each needs a crash of its own.
const COPIES_MAX: u32 = 10_000;
/// Copied at once.
const WINDOW: u64 = 1 << 20;

/// Copies bytes `[start, end)` of a segment into the quarantine, durably, and returns where they are.
pub(crate) fn keep(log: &LogFiles, segment: &Segment, start: u64, end: u64) -> Result<PathBuf, Error> {
    let folder = log.layout.quarantine();
    log.files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let base = format!("{}-{:020}-from-byte-{start}", log.name, segment.at.first_offset.0);
    let (path, copy) = create_beside(log, &folder, &base)?;
    let mut at = start;
    let mut buffer = Vec::new();
    while at < end {
        let until = (at + WINDOW).min(end);
        buffer.resize(usize::try_from(until - at).unwrap_or(0), 0);
        segment.file.read_exact_at(&mut buffer, at).map_err(Error::io("read", &segment.at.path))?;
        copy.write_all_at(&buffer, at - start).map_err(Error::io("write", &path))?;
        at = until;
    }
    copy.sync().map_err(Error::io("sync", &path))?;
    sync_folders(log)?;
    Ok(path)
}

/// Moves a whole segment into the quarantine, which needs no room on the disk, and returns where it is. The caller syncs
/// the folder that it came from.
pub(crate) fn move_whole(log: &LogFiles, segment: &Segment) -> Result<PathBuf, Error> {
    let folder = log.layout.quarantine();
    log.files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let (path, _) = create_beside(log, &folder, &format!("{}-{:020}-whole", log.name, segment.at.first_offset.0))?;
    log.files.rename(&segment.at.path, &path).map_err(Error::io("move to the quarantine", &segment.at.path))?;
    sync_folders(log)?;
    Ok(path)
}

/// Moves whatever is at `path` into the quarantine, durably, and returns where it is: a file, a link or a folder.
pub(crate) fn move_path(log: &LogFiles, path: &Path) -> Result<PathBuf, Error> {
    let folder = log.layout.quarantine();
    log.files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (kept, _) = create_beside(log, &folder, &format!("{}-{name}-whole", log.name))?;
    // A folder does not take the place of a file.
    log.files.remove(&kept).map_err(Error::io("make room for", &kept))?;
    log.files.rename(path, &kept).map_err(Error::io("move to the quarantine", path))?;
    if let Some(from) = path.parent() {
        log.files.sync_folder(from).map_err(Error::io("sync", from))?;
    }
    sync_folders(log)?;
    Ok(kept)
}

fn sync_folders(log: &LogFiles) -> Result<(), Error> {
    let folder = log.layout.quarantine();
    log.files.sync_folder(&folder).map_err(Error::io("sync", &folder))?;
    log.files.sync_folder(log.layout.root()).map_err(Error::io("sync", log.layout.root()))
}

fn create_beside(log: &LogFiles, folder: &Path, base: &str) -> Result<(PathBuf, Arc<dyn File>), Error> {
    let mut copy = 0;
    loop {
        let path = folder.join(format!("{base}.{copy}"));
        match log.files.create(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && copy < COPIES_MAX => copy += 1,
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
    }
}
