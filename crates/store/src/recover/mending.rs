//! What a repair at opening does to files: writes an unproven end once more, moves a torn tail or a segment without a good
//! block out of the log.

use std::path::PathBuf;

use crate::{disk::log_files::LogFiles, error::Error, recover::quarantine, segment::file::Segment};

/// Written again at once: memory stays bounded whatever the tail's size.
const WINDOW: u64 = 1 << 20;

/// Writes what is good but not known to be synced once more in place and syncs it: the pages may come from a cache whose
/// write-back failed before this process began, and then a sync alone would succeed and prove nothing.
pub(crate) fn write_again(segment: &Segment, from: u64, until: u64) -> Result<(), Error> {
    let mut buffer = Vec::new();
    let mut at = from;
    while at < until {
        let end = (at + WINDOW).min(until);
        buffer.resize(usize::try_from(end - at).unwrap_or(0), 0);
        segment.file.read_exact_at(&mut buffer, at).map_err(Error::io("read", &segment.at.path))?;
        segment.file.write_all_at(&buffer, at).map_err(Error::io("write", &segment.at.path))?;
        at = end;
    }
    if from < until {
        segment.file.sync().map_err(Error::io("sync", &segment.at.path))?;
    }
    Ok(())
}

/// Moves a torn tail into the quarantine. Answers whether it is gone from the segment: on a full disk it is not, and then the
/// segment takes no more blocks and ends where the next one begins.
pub(crate) fn cut_tail(
    log: &LogFiles,
    segment: &Segment,
    from: u64,
    until: u64,
    quarantined: &mut Vec<PathBuf>,
) -> bool {
    let bytes = until - from;
    let done = quarantine::keep(log, segment, from, until).and_then(|copy| {
        quarantined.push(copy.clone());
        segment.file.truncate(from).map_err(Error::io("cut", &segment.at.path))?;
        segment.file.sync().map_err(Error::io("sync", &segment.at.path))?;
        Ok(copy)
    });
    match done {
        Ok(copy) => {
            tracing::warn!(stream = %log.name, segment = %segment.at.path.display(), from, bytes, copy = %copy.display(),
                "cut a tail that was never committed; it is kept in the quarantine");
            true
        }
        Err(error) => {
            tracing::warn!(stream = %log.name, segment = %segment.at.path.display(), from, bytes, %error,
                "could not cut a tail that was never committed; the log goes on in a new segment");
            false
        }
    }
}

/// Takes a segment without a good block out of the log: an empty one is removed, another moved to the quarantine.
pub(crate) fn set_segment_aside(
    log: &LogFiles,
    segment: &Segment,
    len: u64,
    quarantined: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    if len > 0 {
        let copy = quarantine::move_whole(log, segment)?;
        tracing::warn!(stream = %log.name, segment = %segment.at.path.display(), bytes = len, copy = %copy.display(),
            "set aside a segment without a committed block; it is kept in the quarantine");
        quarantined.push(copy);
    } else {
        log.files.remove(&segment.at.path).map_err(Error::io("remove", &segment.at.path))?;
    }
    if let Some(folder) = segment.at.path.parent() {
        log.files.sync_folder(folder).map_err(Error::io("sync", folder))?;
    }
    Ok(())
}
