//! Copies under `temporary/` that sealing makes, and those that an interrupted sealing has left there.

use std::path::PathBuf;

use lakehead_model::Offset;

use crate::{disk::log_files::LogFiles, error::Error};

/// How the files end that sealing makes under `temporary/`.
const SUFFIX: &str = ".sealing";

/// Where sealing makes its copy of the segment that begins with `first_offset`.
pub(crate) fn path(log: &LogFiles, first_offset: Offset) -> PathBuf {
    log.layout.temporary().join(format!("{}-{:020}{SUFFIX}", log.name, first_offset.0))
}

/// What sealings that a crash interrupted have left under `temporary/`.
pub(crate) fn list(log: &LogFiles) -> Result<Vec<PathBuf>, Error> {
    let folder = log.layout.temporary();
    let ours = format!("{}-", log.name);
    let is_ours = |name: &str| {
        let digits = name.strip_prefix(&ours).and_then(|rest| rest.strip_suffix(SUFFIX));
        digits.is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let entries = log.files.list(&folder).map_err(Error::io("list", &folder))?;
    Ok(entries.iter().filter(|entry| is_ours(&entry.name)).map(|entry| folder.join(&entry.name)).collect())
}

/// Removes them.
pub(crate) fn sweep(log: &LogFiles) -> Result<(), Error> {
    list(log)?.iter().try_for_each(|path| log.files.remove(path).map_err(Error::io("remove", path)))
}
