//! Which finished segment is sealed next, and what is noted when it is.

use crate::{
    crash,
    disk::files::Access,
    error::Error,
    maintain::{
        maintenance::Maintenance,
        seal::{self, SealProgress, SealedSegment},
    },
    read::published::SegmentEntry,
    segment::{file::Segment, summary::Summary},
};

impl Maintenance {
    /// As [`Stream::seal_next`](crate::Stream::seal_next).
    pub(crate) fn seal_next(&self, progress: &mut SealProgress<'_>) -> Result<Option<SealedSegment>, Error> {
        self.check_may_write()?;
        let _turn = self.turn();
        loop {
            let next = self.read.published().finished_segments().iter().find(|entry| !is_done(entry)).cloned();
            let Some(entry) = next else { return Ok(None) };
            let entry = self.looked_into(entry)?;
            if is_done(&entry) {
                continue;
            }
            return self.seal(&entry, progress);
        }
    }

    /// How many finished segments are not sealed yet.
    pub(crate) fn unsealed(&self) -> usize {
        self.read.published().finished_segments().iter().filter(|entry| !is_done(entry)).count()
    }

    fn seal(&self, entry: &SegmentEntry, progress: &mut SealProgress<'_>) -> Result<Option<SealedSegment>, Error> {
        let log = self.log();
        let free = log.files.free_bytes(log.layout.root()).unwrap_or(u64::MAX);
        if free < self.options.reserve_bytes.0.saturating_add(entry.end) {
            return Err(Error::CannotWrite {
                stream: log.name.clone(),
                reason: format!("sealing {} needs room for a copy; make room", entry.at.path.display()).into(),
            });
        }
        let segment = Segment::open(log, entry.at.clone(), Access::Read)?;
        let (len, summary) = match segment.index()? {
            // It took its place before, and what came after that failed.
            Some(index) => {
                seal::sync_folder_of(log, &entry.at)?;
                (segment.len()?, Summary::of_index(&index))
            }
            None => {
                let made = seal::make(log, &entry.at, entry.end, &self.options.seal, progress)?;
                let Some(made) = made else { return Ok(None) };
                seal::swap(log, &entry.at, &made)?;
                (made.len, made.summary)
            }
        };
        self.read.published().describe(&entry.at, len, summary);
        if let Err(error) = self.record() {
            tracing::warn!(stream = %log.name, %error, "could not write the inventory; it is made anew at the next start");
        }
        crash::point("seal.recorded");
        Ok(Some(SealedSegment {
            path: entry.at.path.clone(),
            first_offset: entry.at.first_offset,
            events: summary.events,
            raw_bytes: summary.raw_bytes,
            stored_before: entry.end,
            stored_bytes: len,
        }))
    }
}

/// Whether there is nothing to seal: it is sealed, or holds no event.
fn is_done(entry: &SegmentEntry) -> bool {
    entry.summary.is_some_and(|summary| summary.sealed || summary.events == 0)
}
