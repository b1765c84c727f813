//! Sealing: a finished segment is recompressed, one to one, into large frames with an index, and takes its own place.
//!
//! ```text
//!   read and verify block by block ─▶ large frames + index ─▶ temporary/ ─sync─▶ read back and compare ─rename─▶ in place
//! ```
//!
//! Offsets, order, bytes, received times and block boundaries stay, so whatever is computed from the log comes out the same
//! before and after. A crash before the rename leaves the old file and a leftover in `temporary/`, which the next opening
//! removes; after it, the new file. Readers that have the old file open go on reading it.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use lakehead_model::Offset;

use crate::{
    crash,
    disk::{
        files::{Access, File, clear_name},
        layout::SegmentPath,
        log_files::LogFiles,
    },
    error::Error,
    format::{
        checksum::{self, Running},
        data_frame::Decompressor,
        index::{Index, IndexedBlock},
        key::KEYS_RECENT_MAX,
    },
    options::SealOptions,
    recover::leftovers,
    segment::{
        block_ref::BlockRef,
        blocks::{Proof, Walked},
        file::Segment,
        sealed::read_frame,
        sealed_writer::SealedWriter,
        summary::Summary,
    },
};

/// The progress of sealing: called after each large frame with the bytes of events in it. The callee may wait, so that
/// sealing yields to others, or stop the sealing; then nothing has happened.
pub type SealProgress<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// A segment that has been sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSegment {
    /// The file.
    pub path: PathBuf,
    /// The offset of its first event.
    pub first_offset: Offset,
    /// Events in it.
    pub events: u64,
    /// Bytes of these events, each with its newline.
    pub raw_bytes: u64,
    /// Bytes of the file before.
    pub stored_before: u64,
    /// Bytes of the file now.
    pub stored_bytes: u64,
}

/// A sealed copy, whole, synced and compared, not yet in its place.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) temporary: PathBuf,
    pub(crate) len: u64,
    pub(crate) summary: Summary,
}

/// Makes the sealed copy of bytes `[0, end)` of the segment at `at`. `None` when `progress` said stop, or when there is
/// no event in it: then there is nothing to compress, and the next segment may need its name.
pub(crate) fn make(
    log: &LogFiles,
    at: &SegmentPath,
    end: u64,
    options: &SealOptions,
    progress: &mut SealProgress<'_>,
) -> Result<Option<Made>, Error> {
    let segment = Segment::open(log, at.clone(), Access::Read)?;
    let walked = segment.walk(end)?;
    if walked.block_refs.iter().all(|block_ref| block_ref.count == 0) {
        return Ok(None);
    }
    let folder = log.layout.temporary();
    log.files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let temporary = leftovers::path(log, at.first_offset);
    // What an earlier try may have left.
    clear_name(&*log.files, &temporary)?;
    let file = log.files.create(&temporary).map_err(Error::io("create", &temporary))?;
    let made = Making { segment: &segment, file: &*file, path: &temporary, options }.run(walked, progress);
    let compared = made.and_then(|made| match made {
        Some(Copied { index, len, content }) => {
            crash::point("seal.synced");
            compare(log, at, &temporary, &index, content)?;
            let summary = Summary::of_index(&index);
            Ok(Some(Made { temporary: temporary.clone(), len, summary }))
        }
        None => Ok(None),
    });
    if !matches!(compared, Ok(Some(_))) {
        // Best now; an opening removes it, too.
        let _ = log.files.remove(&temporary);
    }
    compared
}

struct Making<'a> {
    segment: &'a Segment,
    file: &'a dyn File,
    path: &'a Path,
    options: &'a SealOptions,
}

/// A sealed copy that is written and synced.
struct Copied {
    index: Index,
    /// The file's length.
    len: u64,
    /// The checksum of all events.
    content: u64,
}

impl Making<'_> {
    fn run(&self, walked: Walked, progress: &mut SealProgress<'_>) -> Result<Option<Copied>, Error> {
        let Walked { block_refs, mut keys, cursors, raw_before } = walked;
        let mut decompressor = Decompressor::new().map_err(Error::io("decompress", self.path))?;
        let raw_len: u64 = block_refs.iter().map(|block_ref| u64::from(block_ref.raw_len)).sum();
        let (mut buffer, mut gathered) = (Vec::new(), Vec::new());
        // Grown step by step it would end with twice as much, and hold three times as much on its way.
        gathered.reserve_exact(raw_len.min(self.options.block_bytes.0) as usize);
        let mut writer =
            SealedWriter::new(self.file, self.path, self.segment.seed, self.options.level)?.expecting(block_refs.len());
        let mut content = Running::after(0);
        let mut chain = self.segment.seed;
        let mut block_refs = block_refs.into_iter().peekable();
        let first_number = block_refs.peek().map_or(0, |block_ref| block_ref.number);
        while let Some(block_ref) = block_refs.next() {
            let block = self.segment.block(&block_ref, chain, &mut decompressor, &mut buffer, Proof::Both)?;
            chain = block_ref.chain;
            content = content.over(&block.payload);
            gathered.extend_from_slice(&block.payload);
            writer.block(IndexedBlock {
                first_offset: block.first_offset,
                count: block_ref.count,
                raw_len: block_ref.raw_len,
                received_time: block.received_time,
                event_times: block_ref.event_times,
                time_rule: block_ref.time_rule,
                progress: block.progress,
                epoch: block.epoch,
            });
            let room = |next: &BlockRef| gathered.len() as u64 + u64::from(next.raw_len) <= self.options.block_bytes.0;
            if block_refs.peek().is_some_and(room) {
                continue;
            }
            writer.frame(&gathered)?;
            let raw_len = gathered.len() as u64;
            gathered.clear();
            if progress(raw_len).is_break() {
                return Ok(None);
            }
        }
        let surplus = keys.len().saturating_sub(KEYS_RECENT_MAX);
        keys.drain(..surplus);
        let (index, len) = writer.finish(first_number, raw_before, cursors, keys, chain)?;
        crash::point("seal.written");
        self.file.sync().map_err(Error::io("sync", self.path))?;
        Ok(Some(Copied { index, len, content: content.value() }))
    }
}

/// Reads the sealed copy back as any reader will, and compares: this may be somebody's only copy.
fn compare(log: &LogFiles, at: &SegmentPath, temporary: &Path, index: &Index, content: u64) -> Result<(), Error> {
    let file = log.files.open(temporary, Access::Read).map_err(Error::io("open", temporary))?;
    let path = SegmentPath { first_offset: at.first_offset, path: temporary.to_owned() };
    let segment = Segment { at: path, file, seed: checksum::seed(&log.name, at.first_offset) };
    let differs = || segment.corrupt(0, "the sealed copy does not read back as the segment that it was made from");
    if segment.index()?.as_ref() != Some(index) {
        return Err(differs());
    }
    let mut decompressor = Decompressor::new().map_err(Error::io("decompress", temporary))?;
    let (mut running, mut memory, mut buffer) = (Running::after(0), Vec::new(), Vec::new());
    for frame in &index.frames {
        let payload = read_frame(&segment, frame, memory, &mut decompressor, &mut buffer, Proof::Both)?;
        running = running.over(&payload);
        memory = payload.try_into_mut().map_or_else(|_| Vec::new(), Vec::from);
    }
    if running.value() == content { Ok(()) } else { Err(differs()) }
}

/// Puts the sealed copy into its place, durably.
pub(crate) fn swap(log: &LogFiles, at: &SegmentPath, made: &Made) -> Result<(), Error> {
    log.files.rename(&made.temporary, &at.path).map_err(Error::io("put the sealed copy in the place of", &at.path))?;
    crash::point("seal.renamed");
    sync_folder_of(log, at)
}

/// Makes the segment's name durable.
pub(crate) fn sync_folder_of(log: &LogFiles, at: &SegmentPath) -> Result<(), Error> {
    match at.path.parent() {
        Some(folder) => log.files.sync_folder(folder).map_err(Error::io("sync", folder)),
        None => Ok(()),
    }
}
