//! Sealing: a finished segment is recompressed, one to one, into large frames with an index, and takes its own place.
//!
//! ```text
//!   read and verify block by block ─▶ large frames + index ─▶ temporary/ ─sync─▶ read back and compare ─rename─▶ in place
//! ```
//!
//! Offsets, order, bytes, received times and block borders stay, so whatever is computed from the log comes out the same
//! before and after. A crash before the rename leaves the old file and a leftover in `temporary/`, which the next opening
//! removes; after it, the new file. Readers that have the old file open go on reading it.

use std::{io, ops::ControlFlow, path::PathBuf};

use lakehead_model::{Name, Offset};

use crate::{
    Error,
    checksum::{Running, seed},
    crash,
    data_frame::{Compressor, Decompressor},
    files::{Access, File, Files},
    index::{Entry, Frame, Index},
    inventory::Summary,
    layout::{Layout, SegmentPath},
    options::SealOptions,
    published::KEYS_RECENT_MAX,
    sealed::read_frame,
    segment::{Segment, Walked},
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
    match files.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &temporary)(error)),
        _ => {}
    }
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
    path: &'a std::path::Path,
    options: &'a SealOptions,
}

/// The index, the file's length, and the checksum of all events.
type Written = (Index, u64, u64);

impl Making<'_> {
    fn run(&self, walked: Walked, pace: &mut Pace<'_>) -> Result<Option<Written>, Error> {
        let Walked { places, mut keys, cursors, raw_before } = walked;
        let broken = |what: &'static str| Error::io(what, self.path);
        let mut compressor = Compressor::new(self.options.level).map_err(broken("compress"))?;
        let mut decompressor = Decompressor::new().map_err(broken("decompress"))?;
        let (mut buffer, mut gathered, mut out) = (Vec::new(), Vec::new(), Vec::new());
        let (mut frames, mut blocks) = (Vec::<Frame>::new(), Vec::<Entry>::with_capacity(places.len()));
        let (mut start, mut first_block) = (0_u64, 0);
        let mut content = Running::after(0);
        let mut chain = self.segment.seed;
        let mut places = places.into_iter().peekable();
        let first_number = places.peek().map_or(0, |place| place.number);
        while let Some(place) = places.next() {
            let block = self.segment.block(&place, chain, &mut decompressor, &mut buffer)?;
            chain = place.chain;
            content = content.over(&block.payload);
            gathered.extend_from_slice(&block.payload);
            blocks.push(Entry {
                first_offset: block.first_offset,
                count: place.count,
                raw_len: place.raw_len,
                received_time: block.received_time,
                event_times: place.event_times,
                progress: block.progress,
                epoch: block.epoch,
            });
            let room = |next: &crate::segment::Place| {
                gathered.len() as u64 + u64::from(next.raw_len) <= self.options.block_bytes.0
            };
            if places.peek().is_some_and(room) {
                continue;
            }
            compressor.compress(&gathered, &mut out).map_err(broken("compress"))?;
            self.file.write_all_at(&out, start).map_err(broken("write"))?;
            // A frame is at most one block, or `block_bytes`, which is far below 4 GiB.
            let (stored_len, raw_len) = (out.len() as u32, gathered.len() as u32);
            let checksum = Running::after(self.segment.seed).over(&out).value();
            frames.push(Frame { start, stored_len, raw_len, checksum, first_block });
            start += u64::from(stored_len);
            first_block = blocks.len();
            gathered.clear();
            if pace(raw_len.into()).is_break() {
                return Ok(None);
            }
        }
        let surplus = keys.len().saturating_sub(KEYS_RECENT_MAX);
        keys.drain(..surplus);
        let index = Index { first_number, raw_before, frames, blocks, cursors, keys, chain };
        let Some(bytes) = index.to_bytes(self.segment.seed) else {
            return Err(Error::Invalid(format!(
                "{} holds too many blocks to be sealed",
                self.segment.at.path.display()
            )));
        };
        self.file.write_all_at(&bytes, start).map_err(broken("write"))?;
        crash::point("seal.written");
        self.file.sync().map_err(broken("sync"))?;
        Ok(Some((index, start + bytes.len() as u64, content.value())))
    }
}

/// Reads the sealed copy back as any reader will, and compares: this may be somebody's only copy.
fn compare(
    files: &dyn Files,
    stream: &Name,
    at: &SegmentPath,
    temporary: &std::path::Path,
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
        let payload = read_frame(&segment, frame, memory, &mut decompressor, &mut buffer)?;
        running = running.over(&payload);
        memory = payload.try_into_mut().map_or_else(|_| Vec::new(), Vec::from);
    }
    if running.value() == content { Ok(()) } else { Err(differs()) }
}

/// Removes what sealings that a crash interrupted have left under `temporary/`.
pub(crate) fn sweep(files: &dyn Files, layout: &Layout, stream: &Name) -> Result<(), Error> {
    let folder = layout.temporary();
    let ours = format!("{stream}-");
    for entry in files.list(&folder).map_err(Error::io("list", &folder))? {
        let digits = entry.name.strip_prefix(&ours).and_then(|rest| rest.strip_suffix(SUFFIX));
        if digits.is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())) {
            let path = folder.join(&entry.name);
            files.remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
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
