//! The segment files of a writer: the one that blocks are added to, and those that failed and may still be in the way.

use std::{io, sync::Arc};

use lakehead_model::{Offset, Timestamp};

use crate::{
    crash,
    disk::{
        files::{Access, File},
        layout::SegmentPath,
    },
    error::segment_gone,
    format::checksum,
    read::read_side::ReadSide,
    recover::recovery::LastSegment,
    segment::{block_ref::BlockRef, file::Segment},
};

/// The segment that blocks are added to.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    pub(super) at: SegmentPath,
    pub(super) file: Arc<dyn File>,
    pub(super) seed: u64,
    /// The byte after the last block written.
    pub(super) position: u64,
    /// The chain after it.
    pub(super) chain: u64,
    hour: Timestamp,
    /// The offset after its last event.
    end_offset: Offset,
}

impl ActiveSegment {
    /// Whether a block of `hour` belongs into another segment.
    pub(super) fn is_over(&self, hour: Timestamp, segment_bytes: u64) -> bool {
        // A segment without an event is not ended by its size: the next one would need the same name.
        self.hour != hour || (self.position >= segment_bytes && self.end_offset > self.at.first_offset)
    }

    /// Notes that a block was written at its end.
    pub(super) fn wrote(&mut self, block_ref: &BlockRef) {
        self.position = block_ref.end();
        self.chain = block_ref.chain;
        self.end_offset = block_ref.end_offset();
    }
}

/// A segment that is not written any more, since a write or sync of it failed.
#[derive(Debug)]
struct RetiredSegment {
    at: SegmentPath,
    /// Bytes of it that are committed.
    committed: u64,
    /// The chain after them.
    chain: u64,
}

/// All that a writer knows of its files.
#[derive(Debug)]
pub(super) struct WriterSegments {
    read: Arc<ReadSide>,
    active: Option<ActiveSegment>,
    /// The segments that failed since the last commit, the last at the end: until a block after them is committed, what
    /// they hold beyond their committed end may come back.
    retired: Vec<RetiredSegment>,
}

impl WriterSegments {
    /// Goes on where recovery has found the end; `received_time` is that of the last block.
    pub(super) fn new(read: Arc<ReadSide>, last: Option<LastSegment>, received_time: Option<Timestamp>) -> Self {
        let (mut active, mut retired) = (None, Vec::new());
        let end = last.as_ref().and_then(|last| last.block_refs.last()).copied();
        if let (Some(last), Some(end), Some(received_time)) = (last, end, received_time) {
            let Segment { at, file, seed } = last.segment;
            let (position, chain) = (end.end(), end.chain);
            if last.can_grow {
                let (hour, end_offset) = (received_time.hour(), end.end_offset());
                active = Some(ActiveSegment { at, file, seed, position, chain, hour, end_offset });
            } else {
                retired.push(RetiredSegment { at, committed: position, chain });
            }
        }
        Self { read, active, retired }
    }

    /// The segment that blocks are added to.
    pub(super) fn active(&self) -> Option<&ActiveSegment> {
        self.active.as_ref()
    }

    /// As [`active`](Self::active).
    pub(super) fn active_mut(&mut self) -> Option<&mut ActiveSegment> {
        self.active.as_mut()
    }

    /// Ends the active segment, all of which is committed.
    pub(super) fn finish_active(&mut self) -> Option<ActiveSegment> {
        self.active.take()
    }

    /// Begins the segment at `at`, which becomes the active one.
    ///
    /// # Errors
    /// When its file cannot be made, or its name not be made durable.
    pub(super) fn begin(&mut self, at: &SegmentPath, hour: Timestamp) -> io::Result<()> {
        let active = self.open_new(at, hour)?;
        // Whatever has this name from here on is no failure any more, and must never be removed as one.
        self.retired.retain(|retired| retired.at != *at);
        self.active = Some(active);
        Ok(())
    }

    /// After `error` at the beginning of the segment at `at`: its file may be there by now, and in the way of the next try.
    pub(super) fn clear_failed_beginning(&mut self, at: &SegmentPath, error: &io::Error) {
        let is_known = self.retired.iter().any(|retired| retired.at == *at);
        // A file that we did not make is not ours to remove.
        if is_known || error.kind() == io::ErrorKind::AlreadyExists {
            return;
        }
        let chain = checksum::seed(&self.read.log.name, at.first_offset);
        // Best now; if not, the next segment that begins tries again.
        let _ = self.read.log.files.remove(&at.path);
        self.retire(RetiredSegment { at: at.clone(), committed: 0, chain });
    }

    /// Creates the segment's file, durably named, and says where its first block goes.
    fn open_new(&self, at: &SegmentPath, hour: Timestamp) -> io::Result<ActiveSegment> {
        let files = &*self.read.log.files;
        let seed = checksum::seed(&self.read.log.name, at.first_offset);
        // Where the segment before it is not there any more, the log would have a hole.
        if let Some(last) = self.read.published().segment_files().pop()
            && let Err(error) = files.open(&last.path, Access::Read)
            && error.kind() == io::ErrorKind::NotFound
        {
            return Err(segment_gone());
        }
        if let Some(folder) = at.path.parent() {
            files.create_folders(folder)?;
        }
        for other in self.retired.iter().filter(|retired| retired.committed == 0 && retired.at != *at) {
            // It does not count, but there is no need to leave it to other programs.
            let _ = files.remove(&other.at.path);
        }
        // A segment of this name that failed, nothing of which is committed, may not have been removable at the time.
        let retired = self.retired.iter().find(|retired| retired.at == *at);
        let (file, position, chain) = match (retired, files.create(&at.path)) {
            (Some(retired), Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                if retired.committed > 0 {
                    (self.renew(at, retired.committed)?, retired.committed, retired.chain)
                } else {
                    files.remove(&at.path)?;
                    (files.create(&at.path)?, 0, seed)
                }
            }
            (_, created) => (created?, 0, seed),
        };
        crash::point("segment.created");
        for folder in self.read.log.layout.folders_to(&at.path) {
            files.sync_folder(folder)?;
        }
        Ok(ActiveSegment { at: at.clone(), file, seed, position, chain, hour, end_offset: at.first_offset })
    }

    /// Copies the committed bytes of a failed segment that holds only empty blocks, whose name the next segment needs, to a
    /// new file, and puts that in its place.
    fn renew(&self, at: &SegmentPath, committed: u64) -> io::Result<Arc<dyn File>> {
        let files = &*self.read.log.files;
        let folder = self.read.log.layout.temporary();
        files.create_folders(&folder)?;
        let temporary = folder.join(format!("{}-renewed", self.read.log.name));
        let _ = files.remove(&temporary);
        let old = files.open(&at.path, Access::Read)?;
        let mut bytes = vec![0; usize::try_from(committed).map_err(io::Error::other)?];
        old.read_exact_at(&mut bytes, 0)?;
        let new = files.create(&temporary)?;
        new.write_all_at(&bytes, 0)?;
        new.sync()?;
        files.rename(&temporary, &at.path)?;
        Ok(new)
    }

    /// After a failure: gives up the active segment and cuts it where its committed blocks end.
    pub(super) fn give_up_active(&mut self) {
        let Some(failed) = self.active.take() else { return };
        let last = self.read.published().last_in(&failed.at).copied();
        let (committed, chain) = last.map_or((0, failed.seed), |last| (last.end(), last.chain));
        self.retire(RetiredSegment { at: failed.at.clone(), committed, chain });
        // Nothing here can be proven to have reached the disk. It need not: what a file holds beyond its committed end does not
        // count once the next segment is there.
        let cut = match committed {
            0 => self.read.log.files.remove(&failed.at.path),
            committed => failed.file.truncate(committed),
        };
        if let Err(error) = cut {
            tracing::warn!(stream = %self.read.log.name, segment = %failed.at.path.display(), %error,
                "could not cut what was not committed; the log goes on in a new segment");
        }
    }

    /// At the end, one more try to cut what a failure left and could not be cut then: so a clean stop leaves nothing that
    /// was refused. What cannot be cut even now may come back when the stream is opened.
    pub(super) fn cut_again(&self) {
        let committed_after = self.read.published().segment_files().pop();
        let files = &*self.read.log.files;
        for RetiredSegment { at, committed, .. } in &self.retired {
            // Where a later segment holds something committed, that is where this one ends; it may even be sealed.
            let is_over = committed_after
                .as_ref()
                .is_some_and(|last| (last.first_offset, &last.path) > (at.first_offset, &at.path));
            if is_over {
                continue;
            }
            let cut = match committed {
                0 => files.remove(&at.path),
                committed => files.open(&at.path, Access::Write).and_then(|file| file.truncate(*committed)),
            };
            match cut {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(stream = %self.read.log.name, segment = %at.path.display(), %error,
                        "could not cut what was not committed; it may come back when the stream is opened");
                }
                _ => {}
            }
        }
    }

    /// Notes a segment that failed; those of which a later one is committed need no further thought.
    fn retire(&mut self, failed: RetiredSegment) {
        let committed = self.read.published().segment_files().pop();
        if let Some(last) = committed {
            self.retired.retain(|old| (old.at.first_offset, &old.at.path) >= (last.first_offset, &last.path));
        }
        self.retired.retain(|old| old.at != failed.at);
        self.retired.push(failed);
    }
}
