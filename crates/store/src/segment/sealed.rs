//! A sealed segment, read: large frames are decompressed one at a time, and the original blocks cut out of them.
//!
//! The blocks of one frame share its memory. What the index says is checked against what the frames hold: checksum,
//! size, number of lines.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    error::Error,
    format::{
        boundary::Boundary,
        checksum::Running,
        data_frame::{self, Decompressor},
        index::{Frame, Index, IndexedBlock},
    },
    segment::{block::Block, blocks::Proof, file::Segment},
};

/// An open sealed segment. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) segment: Segment,
    pub(crate) index: Arc<Index>,
}

/// A large frame that was decompressed.
#[derive(Debug)]
pub(crate) struct OpenFrame {
    /// The index it stands in, which tells the segments apart.
    index: Arc<Index>,
    /// Its place there.
    at: usize,
    payload: Bytes,
}

impl Sealed {
    pub(crate) fn new(segment: Segment, index: Index) -> Self {
        Self { segment, index: Arc::new(index) }
    }

    /// The places in the index of the blocks that share a frame with the one at `at`, from that one on.
    pub(crate) fn rest_of_frame(&self, at: usize) -> Range<usize> {
        let next = self.index.frame_of(at).and_then(|frame| self.index.frames.get(frame + 1));
        at..next.map_or(self.index.blocks.len(), |next| next.first_block)
    }

    /// What begins at this place in the index.
    pub(crate) fn boundary(&self, at: usize) -> Boundary {
        let number = self.index.first_number + at as u64;
        match self.index.blocks.get(at) {
            Some(entry) => Boundary { number, offset: entry.first_offset },
            None => self.index.ends(),
        }
    }

    /// The original block at this place in the index; `None` after the last. `open` is the frame that was needed last, and
    /// `buffer` is used again.
    ///
    /// # Errors
    /// `Corrupt` when its frame is not as it was written.
    pub(crate) fn block(
        &self,
        at: usize,
        open: &mut Option<OpenFrame>,
        decompressor: &mut Decompressor,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Block>, Error> {
        let index = &self.index;
        let (Some(entry), Some(frame_at)) = (index.blocks.get(at), index.frame_of(at)) else { return Ok(None) };
        let Some(frame) = index.frames.get(frame_at) else { return Ok(None) };
        let payload = match open {
            Some(open) if open.at == frame_at && Arc::ptr_eq(&open.index, index) => open.payload.clone(),
            _ => {
                // The memory of the frame before it, when nobody reads in that any more.
                let memory =
                    open.take().and_then(|old| old.payload.try_into_mut().ok()).map_or_else(Vec::new, Vec::from);
                let payload = read_frame(&self.segment, frame, memory, decompressor, buffer, Proof::Ours)?;
                open.insert(OpenFrame { index: Arc::clone(index), at: frame_at, payload }).payload.clone()
            }
        };
        let before = index.blocks.get(frame.first_block..at).unwrap_or(&[]);
        let start: usize = before.iter().map(|block| block.raw_len as usize).sum();
        let end = start + entry.raw_len as usize;
        if end > payload.len() {
            return Err(self.segment.corrupt(frame.start, "the frame is shorter than its blocks"));
        }
        let number = index.first_number + at as u64;
        self.cut(number, entry, payload.slice(start..end), frame).map(Some)
    }

    fn cut(&self, number: u64, entry: &IndexedBlock, payload: Bytes, frame: &Frame) -> Result<Block, Error> {
        let ends = data_frame::line_ends(&payload, entry.count as usize).ok_or_else(|| {
            let what = format!("block {number} in this frame does not hold as many lines as the index says");
            self.segment.corrupt(frame.start, what)
        })?;
        Ok(Block {
            number,
            first_offset: entry.first_offset,
            received_time: entry.received_time,
            event_time_least: entry.event_times.map(|times| times.0),
            event_time_greatest: entry.event_times.map(|times| times.1),
            time_rule: entry.time_rule,
            progress: entry.progress,
            epoch: entry.epoch,
            payload,
            ends,
        })
    }
}

/// Reads and checks one large frame, into `memory`.
///
/// # Errors
/// `Corrupt` when it is not as it was written.
pub(crate) fn read_frame(
    segment: &Segment,
    frame: &Frame,
    memory: Vec<u8>,
    decompressor: &mut Decompressor,
    buffer: &mut Vec<u8>,
    proof: Proof,
) -> Result<Bytes, Error> {
    buffer.resize(frame.stored_len as usize, 0);
    segment.file.read_exact_at(buffer, frame.start).map_err(Error::io("read", &segment.at.path))?;
    if Running::after(segment.seed).over(buffer).value() != frame.checksum {
        return Err(segment.corrupt(frame.start, "the large frame that begins here fails its checksum"));
    }
    let payload = match proof {
        Proof::Ours => decompressor.decompress_proven(memory, buffer, frame.raw_len as usize),
        Proof::Both => decompressor.decompress_into(memory, buffer, frame.raw_len as usize),
    };
    payload.ok_or_else(|| segment.corrupt(frame.start, "the large frame does not decompress to the size in the index"))
}
