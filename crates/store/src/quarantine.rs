//! Where recovery puts what it cuts: copied, synced, and only then taken from the log. Nothing here is ever deleted.

use std::path::{Path, PathBuf};

use lakehead_model::Name;

use crate::{Error, files::Files, layout::Layout, segment::Segment};

/// Copies of the same place that may lie side by side: each needs a crash of its own.
const COPIES_MAX: u32 = 10_000;
/// Copied at once.
const WINDOW: u64 = 1 << 20;

/// Copies bytes `[start, end)` of a segment into the quarantine, durably, and returns where they are.
pub(crate) fn keep(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    segment: &Segment,
    start: u64,
    end: u64,
) -> Result<PathBuf, Error> {
    let folder = layout.quarantine();
    files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let base = format!("{stream}-{:020}-from-byte-{start}", segment.at.first_offset.0);
    let (path, copy) = create_beside(files, &folder, &base)?;
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
    sync_folders(files, layout)?;
    Ok(path)
}

/// Moves a whole segment into the quarantine, which needs no room on the disk, and returns where it is. The caller syncs
/// the folder that it came from.
pub(crate) fn move_whole(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    segment: &Segment,
) -> Result<PathBuf, Error> {
    let folder = layout.quarantine();
    files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let (path, _) = create_beside(files, &folder, &format!("{stream}-{:020}-whole", segment.at.first_offset.0))?;
    files.rename(&segment.at.path, &path).map_err(Error::io("move to the quarantine", &segment.at.path))?;
    sync_folders(files, layout)?;
    Ok(path)
}

/// Moves whatever is at `path` into the quarantine, durably, and returns where it is: a file, a link or a folder.
pub(crate) fn move_path(files: &dyn Files, layout: &Layout, stream: &Name, path: &Path) -> Result<PathBuf, Error> {
    let folder = layout.quarantine();
    files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (kept, _) = create_beside(files, &folder, &format!("{stream}-{name}-whole"))?;
    // A folder does not take the place of a file.
    files.remove(&kept).map_err(Error::io("make room for", &kept))?;
    files.rename(path, &kept).map_err(Error::io("move to the quarantine", path))?;
    if let Some(from) = path.parent() {
        files.sync_folder(from).map_err(Error::io("sync", from))?;
    }
    sync_folders(files, layout)?;
    Ok(kept)
}

fn sync_folders(files: &dyn Files, layout: &Layout) -> Result<(), Error> {
    let folder = layout.quarantine();
    files.sync_folder(&folder).map_err(Error::io("sync", &folder))?;
    files.sync_folder(layout.root()).map_err(Error::io("sync", layout.root()))
}

fn create_beside(
    files: &dyn Files,
    folder: &Path,
    base: &str,
) -> Result<(PathBuf, std::sync::Arc<dyn crate::files::File>), Error> {
    let mut copy = 0;
    loop {
        let path = folder.join(format!("{base}.{copy}"));
        match files.create(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && copy < COPIES_MAX => copy += 1,
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
    }
}
