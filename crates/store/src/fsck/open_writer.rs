//! Writes blocks with footers anew, nulls among them, so that what could not be read keeps its offsets.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use lakehead_model::{Cursor, Name, Offset, Timestamp};

use crate::{
    disk::files::File,
    error::Error,
    format::{
        boundary::Boundary,
        data_frame::Compressor,
        footer::{Footer, RAW_BYTES_MAX},
    },
};

/// Events of `null` in one block: five bytes each, within a block's bound.
pub(super) const NULLS_MAX: u64 = 100_000_000;
/// The zstd level of what is made anew.
pub(super) const LEVEL: i32 = 3;

/// Where the log stands after all that was looked at: what the next block goes on from.
#[derive(Clone, Debug)]
pub(super) struct Prior {
    pub(super) boundary: Boundary,
    pub(super) raw_end: u64,
    pub(super) received: Timestamp,
    pub(super) epoch: u64,
    pub(super) cursors: Arc<BTreeMap<Name, Cursor>>,
}

/// Events of `null`, each on its line, in `raw_len` bytes where that is possible: the first is followed by spaces.
pub(super) fn nulls(count: u64, raw_len: u64) -> Vec<u8> {
    let text: &[u8] = if raw_len >= count * 5 { b"null\n" } else { b"0\n" };
    let padding = raw_len.saturating_sub(count * text.len() as u64);
    let mut payload = Vec::with_capacity(raw_len as usize);
    for n in 0..count {
        let (value, newline) = text.split_at(text.len() - 1);
        payload.extend_from_slice(value);
        if n == 0 {
            payload.resize(payload.len() + padding as usize, b' ');
        }
        payload.extend_from_slice(newline);
    }
    payload
}

pub(super) fn after(footer: &Footer, boundary: Boundary) -> Prior {
    Prior {
        boundary,
        raw_end: footer.raw_before + u64::from(footer.raw_len),
        received: footer.received_time,
        epoch: footer.epoch,
        cursors: Arc::clone(&footer.cursors),
    }
}

/// Writes blocks with footers.
pub(super) struct OpenWriter<'a> {
    file: &'a dyn File,
    path: &'a Path,
    compressor: Compressor,
    seed: u64,
    chain: u64,
    end: u64,
    out: Vec<u8>,
}

impl<'a> OpenWriter<'a> {
    pub(super) fn new(file: &'a dyn File, path: &'a Path, seed: u64) -> Result<Self, Error> {
        let compressor = Compressor::new(LEVEL).map_err(Error::io("compress", path))?;
        Ok(Self { file, path, compressor, seed, chain: seed, end: 0, out: Vec::new() })
    }

    /// Writes a block with this footer, apart from what depends on where it stands.
    pub(super) fn block(&mut self, footer: Footer, payload: &[u8]) -> Result<(), Error> {
        self.compressor.compress(payload, &mut self.out).map_err(Error::io("compress", self.path))?;
        // A block has at most RAW_BYTES_MAX bytes. What stands here is synced before it counts.
        let (raw_len, stored_len) = (payload.len() as u32, self.out.len() as u32);
        let (synced_to, synced_blocks) = (footer.first_offset, footer.number);
        let footer = Footer { raw_len, stored_len, synced_to, synced_blocks, ..footer };
        let chain = footer.seal(&mut self.out, self.seed, self.chain);
        self.chain = chain.ok_or_else(|| Error::Internal("a footer that was read does not fit a footer".to_owned()))?;
        self.file.write_all_at(&self.out, self.end).map_err(Error::io("write", self.path))?;
        self.end += self.out.len() as u64;
        Ok(())
    }

    /// Fills with nulls from `last` up to `until`, so that `raw_before` bytes lie before that; answers how many.
    pub(super) fn nulls(&mut self, last: &mut Prior, until: Boundary, raw_before: u64) -> Result<u64, Error> {
        let all = until.offset.since(last.boundary.offset);
        let blocks = until.number.saturating_sub(last.boundary.number);
        if blocks == 0 && all > 0 || blocks > 0 && all.div_ceil(blocks) > NULLS_MAX {
            let what = format!("{}: there are not enough blocks for {all} events that are lost", self.path.display());
            return Err(Error::Invalid(what));
        }
        let mut left = all;
        for n in 0..blocks {
            let count = left.div_ceil(blocks - n);
            left -= count;
            let room = raw_before.saturating_sub(last.raw_end);
            // All the padding goes into the last of them, as far as it fits a block.
            let raw_len = if n + 1 == blocks { room.min(RAW_BYTES_MAX as u64) } else { count * 5 };
            let payload = if count == 0 { Vec::new() } else { nulls(count, raw_len.max(count * 2)) };
            // Nobody knows when they were: at any time, so that a query by time reads them.
            let times = (count > 0).then_some((Timestamp(i64::MIN), Timestamp(i64::MAX)));
            let footer = Footer {
                number: last.boundary.number,
                first_offset: last.boundary.offset,
                count: count as u32,
                raw_len: 0,
                stored_len: 0,
                raw_before: last.raw_end,
                received_time: last.received,
                event_time_least: times.map(|times| times.0),
                event_time_greatest: times.map(|times| times.1),
                time_rule: None,
                synced_to: Offset(0),
                synced_blocks: 0,
                epoch: last.epoch,
                cursors: Arc::clone(&last.cursors),
                keys: Vec::new(),
            };
            self.block(footer, &payload)?;
            last.boundary = Boundary { number: last.boundary.number + 1, offset: last.boundary.offset.plus(count) };
            last.raw_end += payload.len() as u64;
        }
        Ok(all)
    }
}
