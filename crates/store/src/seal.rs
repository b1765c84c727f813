//! Sealing: a finished segment is recompressed, one to one, into large frames with an index, and takes its own place.
//!
//! ```text
//!   read and verify block by block ─▶ large frames + index ─▶ temporary/ ─sync─▶ read back and compare ─rename─▶ in place
//! ```
//!
//! Offsets, order, bytes, received times and block borders stay, so whatever is computed from the log comes out the same
//! before and after. A crash before the rename leaves the old file and a leftover in `temporary/`, which the next opening
//! removes; after it, the new file. Readers that have the old file open go on reading it.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use lakehead_model::{Cursor, Name, Offset};

use crate::{
    Error, IdempotencyKey,
    checksum::{Running, seed},
    crash,
    data_frame::{Compressor, Decompressor},
    files::{Access, File, Files, clear_name},
    index::{Entry, Frame, Index},
    inventory::Summary,
    layout::{Layout, SegmentPath},
    options::SealOptions,
    published::KEYS_RECENT_MAX,
    sealed::read_frame,
    segment::{Place, Proof, Segment, Walked},
};

/// Told after each large frame how many bytes of events went into it: it may wait there, so that sealing yields to
/// others, or say that it is to stop; then nothing has happened.
pub type Pace<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

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

/// How the files end that sealing makes under `temporary/`.
pub(crate) const SUFFIX: &str = ".sealing";

/// Makes the sealed copy of bytes `[0, end)` of the segment at `at`. `None` when `pace` said stop, or when there is no event
/// in it: then there is nothing to compress, and the next segment may need its name.
pub(crate) fn make(
    files: &dyn Files,
    layout: &Layout,
    stream: &Name,
    at: &SegmentPath,
    end: u64,
    options: &SealOptions,
    pace: &mut Pace<'_>,
) -> Result<Option<Made>, Error> {
    let segment = Segment::open(files, stream, at.clone(), Access::Read)?;
    let walked = segment.walk(end)?;
    if walked.places.iter().all(|place| place.count == 0) {
        return Ok(None);
    }
    let folder = layout.temporary();
    files.create_folders(&folder).map_err(Error::io("create", &folder))?;
    let temporary = folder.join(format!("{stream}-{:020}{SUFFIX}", at.first_offset.0));
    // What an earlier try may have left.
    clear_name(files, &temporary)?;
    let file = files.create(&temporary).map_err(Error::io("create", &temporary))?;
    let made = Making { segment: &segment, file: &*file, path: &temporary, options }.run(walked, pace);
    let compared = made.and_then(|made| match made {
        Some((index, len, content)) => {
            crash::point("seal.synced");
            compare(files, stream, at, &temporary, &index, content)?;
            let summary = Summary::of_index(&index);
            Ok(Some(Made { temporary: temporary.clone(), len, summary }))
        }
        None => Ok(None),
    });
    if !matches!(compared, Ok(Some(_))) {
        // Best now; an opening removes it, too.
        let _ = files.remove(&temporary);
    }
    compared
}

struct Making<'a> {
    segment: &'a Segment,
    file: &'a dyn File,
    path: &'a Path,
    options: &'a SealOptions,
}

/// The index, the file's length, and the checksum of all events.
type Written = (Index, u64, u64);

impl Making<'_> {
    fn run(&self, walked: Walked, pace: &mut Pace<'_>) -> Result<Option<Written>, Error> {
        let Walked { places, mut keys, cursors, raw_before } = walked;
        let mut decompressor = Decompressor::new().map_err(Error::io("decompress", self.path))?;
        let raw_len: u64 = places.iter().map(|place| u64::from(place.raw_len)).sum();
        let (mut buffer, mut gathered) = (Vec::new(), Vec::new());
        // Grown step by step it would end with twice as much, and hold three times as much on its way.
        gathered.reserve_exact(raw_len.min(self.options.block_bytes.0) as usize);
        let mut writer = SealedWriter::new(self.file, self.path, self.segment.seed, self.options.level)?;
        let mut content = Running::after(0);
        let mut chain = self.segment.seed;
        let mut places = places.into_iter().peekable();
        let first_number = places.peek().map_or(0, |place| place.number);
        while let Some(place) = places.next() {
            let block = self.segment.block(&place, chain, &mut decompressor, &mut buffer, Proof::Both)?;
            chain = place.chain;
            content = content.over(&block.payload);
            gathered.extend_from_slice(&block.payload);
            writer.block(Entry {
                first_offset: block.first_offset,
                count: place.count,
                raw_len: place.raw_len,
                received_time: block.received_time,
                event_times: place.event_times,
                time_rule: place.time_rule,
                progress: block.progress,
                epoch: block.epoch,
            });
            let room = |next: &Place| gathered.len() as u64 + u64::from(next.raw_len) <= self.options.block_bytes.0;
            if places.peek().is_some_and(room) {
                continue;
            }
            writer.frame(&gathered)?;
            let raw_len = gathered.len() as u64;
            gathered.clear();
            if pace(raw_len).is_break() {
                return Ok(None);
            }
        }
        let surplus = keys.len().saturating_sub(KEYS_RECENT_MAX);
        keys.drain(..surplus);
        let (index, len) = writer.finish(first_number, raw_before, cursors, keys, chain)?;
        crash::point("seal.written");
        self.file.sync().map_err(Error::io("sync", self.path))?;
        Ok(Some((index, len, content.value())))
    }
}

/// Writes a sealed segment: large frames, then the index.
pub(crate) struct SealedWriter<'a> {
    file: &'a dyn File,
    path: &'a Path,
    seed: u64,
    compressor: Compressor,
    out: Vec<u8>,
    frames: Vec<Frame>,
    blocks: Vec<Entry>,
    /// The byte after the last frame.
    end: u64,
    /// The first block that is in no frame yet.
    first_block: usize,
}

impl<'a> SealedWriter<'a> {
    pub(crate) fn new(file: &'a dyn File, path: &'a Path, seed: u64, level: i32) -> Result<Self, Error> {
        let compressor = Compressor::new(level).map_err(Error::io("compress", path))?;
        let (out, frames, blocks) = Default::default();
        Ok(Self { file, path, seed, compressor, out, frames, blocks, end: 0, first_block: 0 })
    }

    /// Adds a block to the frame to come.
    pub(crate) fn block(&mut self, entry: Entry) {
        self.blocks.push(entry);
    }

    /// Writes the frame of all blocks that were added since the last one; `payload` is their events.
    pub(crate) fn frame(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.compressor.compress(payload, &mut self.out).map_err(Error::io("compress", self.path))?;
        let stored = std::mem::take(&mut self.out);
        let written = self.stored_frame(&stored, payload.len());
        self.out = stored;
        written
    }

    /// As [`frame`](Self::frame), with the frame's own bytes, as they stand in another file.
    pub(crate) fn stored_frame(&mut self, stored: &[u8], raw_len: usize) -> Result<(), Error> {
        self.file.write_all_at(stored, self.end).map_err(Error::io("write", self.path))?;
        let checksum = Running::after(self.seed).over(stored).value();
        // A frame holds at most RAW_BYTES_MAX, which is far below 4 GiB.
        let (stored_len, raw_len) = (stored.len() as u32, raw_len as u32);
        self.frames.push(Frame { start: self.end, stored_len, raw_len, checksum, first_block: self.first_block });
        self.end += u64::from(stored_len);
        self.first_block = self.blocks.len();
        Ok(())
    }

    /// Writes the index and answers it with the file's length. Syncing is the caller's.
    pub(crate) fn finish(
        self,
        first_number: u64,
        raw_before: u64,
        cursors: Arc<BTreeMap<Name, Cursor>>,
        keys: Vec<IdempotencyKey>,
        chain: u64,
    ) -> Result<(Index, u64), Error> {
        let Self { file, path, seed, frames, blocks, end, .. } = self;
        let index = Index { first_number, raw_before, frames, blocks, cursors, keys, chain };
        let Some(bytes) = index.to_bytes(seed) else {
            return Err(Error::Invalid(format!("{} would hold too many blocks for one index", path.display())));
        };
        file.write_all_at(&bytes, end).map_err(Error::io("write", path))?;
        Ok((index, end + bytes.len() as u64))
    }
}

/// Reads the sealed copy back as any reader will, and compares: this may be somebody's only copy.
fn compare(
    files: &dyn Files,
    stream: &Name,
    at: &SegmentPath,
    temporary: &Path,
    index: &Index,
    content: u64,
) -> Result<(), Error> {
    let file = files.open(temporary, Access::Read).map_err(Error::io("open", temporary))?;
    let path = SegmentPath { first_offset: at.first_offset, path: temporary.to_owned() };
    let segment = Segment { at: path, file, seed: seed(stream, at.first_offset) };
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

/// What sealings that a crash interrupted have left under `temporary/`.
pub(crate) fn leftovers(files: &dyn Files, layout: &Layout, stream: &Name) -> Result<Vec<PathBuf>, Error> {
    let folder = layout.temporary();
    let ours = format!("{stream}-");
    let is_ours = |name: &str| {
        let digits = name.strip_prefix(&ours).and_then(|rest| rest.strip_suffix(SUFFIX));
        digits.is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let entries = files.list(&folder).map_err(Error::io("list", &folder))?;
    Ok(entries.iter().filter(|entry| is_ours(&entry.name)).map(|entry| folder.join(&entry.name)).collect())
}

/// Removes them.
pub(crate) fn sweep(files: &dyn Files, layout: &Layout, stream: &Name) -> Result<(), Error> {
    leftovers(files, layout, stream)?.iter().try_for_each(|path| files.remove(path).map_err(Error::io("remove", path)))
}

/// Puts the sealed copy into its place, durably.
pub(crate) fn swap(files: &dyn Files, at: &SegmentPath, made: &Made) -> Result<(), Error> {
    files.rename(&made.temporary, &at.path).map_err(Error::io("put the sealed copy in the place of", &at.path))?;
    crash::point("seal.renamed");
    sync_folder_of(files, at)
}

/// Makes the segment's name durable.
pub(crate) fn sync_folder_of(files: &dyn Files, at: &SegmentPath) -> Result<(), Error> {
    match at.path.parent() {
        Some(folder) => files.sync_folder(folder).map_err(Error::io("sync", folder)),
        None => Ok(()),
    }
}
