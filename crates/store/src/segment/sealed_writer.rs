//! Writes a sealed segment: large frames, then the index.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use lakehead_model::{Cursor, Name};

use crate::{
    disk::files::File,
    error::Error,
    format::{
        checksum::Running,
        data_frame::Compressor,
        index::{Frame, Index, IndexedBlock},
        key::IdempotencyKey,
    },
};

/// Writes a sealed segment: large frames, then the index.
pub(crate) struct SealedWriter<'a> {
    file: &'a dyn File,
    path: &'a Path,
    seed: u64,
    compressor: Compressor,
    out: Vec<u8>,
    frames: Vec<Frame>,
    blocks: Vec<IndexedBlock>,
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

    /// Makes room for so many blocks: grown step by step, the list would hold three times as much on its way.
    pub(crate) fn expecting(mut self, blocks: usize) -> Self {
        self.blocks.reserve_exact(blocks);
        self
    }

    /// Adds a block to the frame to come.
    pub(crate) fn block(&mut self, entry: IndexedBlock) {
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
