//! A sealed segment's index: the last skippable frame of its file, which says where every original block went.
//!
//! Encoding and decoding only; docs/formats/segment.md gives the bytes. Decoding takes anything and answers with an index,
//! with "damaged", or with the version of a newer index whose checksum holds. What it allocates is bounded by the bytes
//! that it was given and by [`BODY_BYTES_MAX`].
//!
//! The numbers lie in columns, each as the difference to the one before it, and zstd compresses the whole.

use std::{collections::BTreeMap, sync::Arc};

use lakehead_model::{Cursor, Name, Offset, TimeRule, Timestamp};

use crate::format::{
    boundary::Boundary,
    checksum::Running,
    envelope::{Envelope, Opened, TRAILER_LEN},
    fields::{Damaged, Fields, put, put_cursors, put_keys, put_signed, put_varint},
    footer::{NUMBER_MAX, RAW_BYTES_MAX},
    key::IdempotencyKey,
};

/// The skippable frame's magic.
pub(crate) const FRAME_MAGIC: u32 = 0x184D_2A5D;
const HEAD_MAGIC: &[u8; 7] = b"LHINDEX";
/// The last eight bytes of every index.
pub(crate) const END_MAGIC: &[u8; 8] = b"LHIDXEND";
/// The version that is written. Version 1, which says nothing of the rules of event times, is read as well.
const VERSION: u8 = 2;
/// Bytes before the compressed body.
const HEAD_LEN: usize = 24;
/// Greatest length of an index in a file.
pub(crate) const INDEX_BYTES_MAX: usize = 256 << 20;
const ENVELOPE: Envelope = Envelope {
    frame_magic: FRAME_MAGIC,
    head_magic: HEAD_MAGIC,
    end_magic: END_MAGIC,
    len: (HEAD_LEN + TRAILER_LEN, INDEX_BYTES_MAX),
};
/// Greatest length of its body, decompressed: 128 cursors of 64 KiB and 65,536 keys of 1 KiB, and 20 million blocks.
const BODY_BYTES_MAX: usize = 512 << 20;
/// The body is small and read once for each opening of the file; a high level costs little.
const LEVEL: i32 = 9;

/// A large data frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its first byte in the file.
    pub(crate) start: u64,
    pub(crate) stored_len: u32,
    pub(crate) raw_len: u32,
    /// Of its bytes in the file, after the seed.
    pub(crate) checksum: u64,
    /// The first of its blocks, by index.
    pub(crate) first_block: usize,
}

/// An original block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexedBlock {
    pub(crate) first_offset: Offset,
    pub(crate) count: u32,
    pub(crate) raw_len: u32,
    pub(crate) received_time: Timestamp,
    pub(crate) event_times: Option<(Timestamp, Timestamp)>,
    /// By which rule these, and the progress, were read; `None` where that is not known.
    pub(crate) time_rule: Option<TimeRule>,
    /// The least progress of the cursors as they stood after it.
    pub(crate) progress: Option<Timestamp>,
    pub(crate) epoch: u64,
}

impl IndexedBlock {
    pub(crate) fn end_offset(&self) -> Offset {
        self.first_offset.plus(u64::from(self.count))
    }
}

/// What an index says. It describes the log and is never evidence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// The number of the first block.
    pub(crate) first_number: u64,
    /// Bytes of all the stream's events before the first block.
    pub(crate) raw_before: u64,
    /// In the file's order, which is the blocks' order. Never none.
    pub(crate) frames: Vec<Frame>,
    /// In order. Never none.
    pub(crate) blocks: Vec<IndexedBlock>,
    /// Of all sources, as they stand after the last block.
    pub(crate) cursors: Arc<BTreeMap<Name, Cursor>>,
    /// The last idempotency keys of its blocks, oldest first.
    pub(crate) keys: Vec<IdempotencyKey>,
    /// The chain checksum of the original's last block.
    pub(crate) chain: u64,
}

/// Why bytes are not an index of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAnIndex {
    /// They are not what was written, or never were an index.
    Damaged,
    /// A whole index of another version.
    Version(u8),
}

impl From<Damaged> for NotAnIndex {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

impl Index {
    /// Where the first block begins.
    pub(crate) fn begins(&self) -> Boundary {
        let offset = self.blocks.first().map_or(Offset(0), |block| block.first_offset);
        Boundary { number: self.first_number, offset }
    }

    /// Where the last block ends.
    pub(crate) fn ends(&self) -> Boundary {
        let offset = self.blocks.last().map_or(Offset(0), IndexedBlock::end_offset);
        Boundary { number: self.first_number + self.blocks.len() as u64, offset }
    }

    /// Bytes of the events in it.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.raw_len)).sum()
    }

    /// The byte after the last frame, where the index begins.
    pub(crate) fn frames_end(&self) -> u64 {
        self.frames.last().map_or(0, |frame| frame.start + u64::from(frame.stored_len))
    }

    /// The frame that holds a block.
    pub(crate) fn frame_of(&self, block: usize) -> Option<usize> {
        self.frames.partition_point(|frame| frame.first_block <= block).checked_sub(1)
    }

    /// The whole skippable frame; `None` when there is more to say than fits.
    pub(crate) fn to_bytes(&self, seed: u64) -> Option<Vec<u8>> {
        let body = self.body()?;
        let stored = zstd::bulk::compress(&body, LEVEL).ok()?;
        let len = HEAD_LEN + stored.len() + TRAILER_LEN;
        if body.len() > BODY_BYTES_MAX || len > INDEX_BYTES_MAX {
            return None;
        }
        let mut out = Vec::with_capacity(len);
        put(&mut out, FRAME_MAGIC.to_le_bytes());
        put(&mut out, u32::try_from(len - 8).ok()?.to_le_bytes());
        out.extend_from_slice(HEAD_MAGIC);
        out.push(VERSION);
        put(&mut out, u32::try_from(body.len()).ok()?.to_le_bytes());
        put(&mut out, u32::try_from(stored.len()).ok()?.to_le_bytes());
        out.extend_from_slice(&stored);
        put(&mut out, self.chain.to_le_bytes());
        let checksum = Running::after(seed).over(&out).value();
        put(&mut out, checksum.to_le_bytes());
        put(&mut out, u32::try_from(len).ok()?.to_le_bytes());
        put(&mut out, [0; 4]);
        out.extend_from_slice(END_MAGIC);
        Some(out)
    }

    fn body(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(64 + self.blocks.len() * 16);
        let first = self.blocks.first()?;
        put(&mut out, self.first_number.to_le_bytes());
        put(&mut out, first.first_offset.0.to_le_bytes());
        put(&mut out, self.raw_before.to_le_bytes());
        put(&mut out, u32::try_from(self.frames.len()).ok()?.to_le_bytes());
        put(&mut out, u32::try_from(self.blocks.len()).ok()?.to_le_bytes());
        put(&mut out, u32::try_from(self.cursors.len()).ok()?.to_le_bytes());
        put(&mut out, u32::try_from(self.keys.len()).ok()?.to_le_bytes());
        for frame in &self.frames {
            put(&mut out, frame.stored_len.to_le_bytes());
            put(&mut out, frame.checksum.to_le_bytes());
        }
        let starts = self.frames.iter().map(|frame| frame.first_block).skip(1).chain([self.blocks.len()]);
        for (frame, next) in self.frames.iter().zip(starts) {
            put_varint(&mut out, next.checked_sub(frame.first_block)? as u64);
        }
        self.blocks.iter().for_each(|block| put_varint(&mut out, block.count.into()));
        self.blocks.iter().for_each(|block| put_varint(&mut out, block.raw_len.into()));
        put_differences(&mut out, self.blocks.iter().map(|block| block.received_time.0));
        put_differences(&mut out, self.blocks.iter().map(|block| block.epoch as i64));
        for block in &self.blocks {
            out.push(u8::from(block.event_times.is_some()) | u8::from(block.progress.is_some()) << 1);
        }
        let timed = || self.blocks.iter().filter_map(|block| block.event_times);
        put_differences(&mut out, timed().map(|(least, _)| least.0));
        timed().for_each(|(least, greatest)| put_signed(&mut out, greatest.0.wrapping_sub(least.0)));
        put_differences(&mut out, self.blocks.iter().filter_map(|block| block.progress).map(|progress| progress.0));
        put_differences(&mut out, self.blocks.iter().map(|block| block.time_rule.map_or(0, TimeRule::number) as i64));
        put_cursors(&mut out, &self.cursors)?;
        put_keys(&mut out, self.keys.iter())?;
        Some(out)
    }

    /// Reads a whole index and checks its own checksum.
    pub(crate) fn open(bytes: &[u8], seed: u64) -> Result<Self, NotAnIndex> {
        let Opened { version, mut fields, chain, .. } = ENVELOPE.open(bytes, seed)?;
        if !(1..=VERSION).contains(&version) {
            return Err(NotAnIndex::Version(version));
        }
        let (raw_len, stored_len) = (fields.u32()? as usize, fields.u32()? as usize);
        let stored = fields.take(stored_len)?;
        if !fields.0.is_empty() || raw_len > BODY_BYTES_MAX {
            return Err(NotAnIndex::Damaged);
        }
        let body = zstd::bulk::decompress(stored, raw_len).map_err(|_| NotAnIndex::Damaged)?;
        if body.len() != raw_len {
            return Err(NotAnIndex::Damaged);
        }
        Ok(Self::read(&mut Fields(&body), chain, version)?)
    }

    fn read(fields: &mut Fields<'_>, chain: u64, version: u8) -> Result<Self, Damaged> {
        let (first_number, first_offset, raw_before) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (frame_count, block_count) = (fields.u32()? as usize, fields.u32()? as usize);
        let (cursor_count, key_count) = (fields.u32()?, fields.u32()?);
        // Each takes several bytes, so what is allocated for them stays in proportion to what is there.
        let bytes = fields.0.len();
        if frame_count == 0 || block_count == 0 || frame_count > bytes || block_count > bytes {
            return Err(Damaged);
        }
        if first_number.max(first_offset).max(raw_before) > NUMBER_MAX {
            return Err(Damaged);
        }
        let mut frames = read_frames(fields, frame_count, block_count)?;
        let mut blocks = read_sizes(fields, block_count, first_offset)?;
        sum_sizes(&mut frames, &blocks)?;
        read_times(fields, &mut blocks, version)?;
        let cursors = fields.cursors(cursor_count)?;
        let keys = fields.keys(key_count)?;
        if !fields.0.is_empty() {
            return Err(Damaged);
        }
        Ok(Self { first_number, raw_before, frames, blocks, cursors, keys, chain })
    }
}

/// The frames, but for their raw lengths.
fn read_frames(fields: &mut Fields<'_>, count: usize, block_count: usize) -> Result<Vec<Frame>, Damaged> {
    let mut frames = Vec::with_capacity(count);
    let mut start = 0_u64;
    for _ in 0..count {
        let (stored_len, checksum) = (fields.u32()?, fields.u64()?);
        frames.push(Frame { start, stored_len, raw_len: 0, checksum, first_block: 0 });
        start = start.checked_add(u64::from(stored_len)).ok_or(Damaged)?;
    }
    let mut first_block = 0_usize;
    for frame in &mut frames {
        frame.first_block = first_block;
        let count = usize::try_from(fields.varint()?).map_err(|_| Damaged)?;
        first_block = first_block.checked_add(count).filter(|end| count > 0 && *end <= block_count).ok_or(Damaged)?;
    }
    if first_block == block_count { Ok(frames) } else { Err(Damaged) }
}

/// The blocks with their sizes alone.
fn read_sizes(fields: &mut Fields<'_>, count: usize, mut first_offset: u64) -> Result<Vec<IndexedBlock>, Damaged> {
    let mut blocks = Vec::with_capacity(count);
    for _ in 0..count {
        let count = u32::try_from(fields.varint()?).map_err(|_| Damaged)?;
        let block = IndexedBlock {
            first_offset: Offset(first_offset),
            count,
            raw_len: 0,
            received_time: Timestamp(0),
            event_times: None,
            time_rule: None,
            progress: None,
            epoch: 0,
        };
        blocks.push(block);
        first_offset = first_offset.checked_add(u64::from(count)).ok_or(Damaged)?;
    }
    for block in &mut blocks {
        block.raw_len = u32::try_from(fields.varint()?).map_err(|_| Damaged)?;
        if block.raw_len as usize > RAW_BYTES_MAX || block.count > block.raw_len {
            return Err(Damaged);
        }
    }
    Ok(blocks)
}

/// The raw length of each frame is that of its blocks.
fn sum_sizes(frames: &mut [Frame], blocks: &[IndexedBlock]) -> Result<(), Damaged> {
    let ends: Vec<usize> = frames.iter().map(|frame| frame.first_block).skip(1).chain([blocks.len()]).collect();
    for (frame, end) in frames.iter_mut().zip(ends) {
        let raw_len: u64 =
            blocks.get(frame.first_block..end).unwrap_or(&[]).iter().map(|block| u64::from(block.raw_len)).sum();
        frame.raw_len = u32::try_from(raw_len).ok().filter(|len| *len as usize <= RAW_BYTES_MAX).ok_or(Damaged)?;
    }
    Ok(())
}

/// What the index says of each block beside its sizes: times, epochs, rules.
fn read_times(fields: &mut Fields<'_>, blocks: &mut [IndexedBlock], version: u8) -> Result<(), Damaged> {
    let mut before = 0;
    for block in &mut *blocks {
        block.received_time = Timestamp(next(fields, &mut before)?);
    }
    before = 0;
    for block in &mut *blocks {
        block.epoch = next(fields, &mut before)? as u64;
        if block.epoch > NUMBER_MAX {
            return Err(Damaged);
        }
    }
    let flags = fields.take(blocks.len())?;
    let mut least = Vec::with_capacity(blocks.len());
    before = 0;
    for _ in flags.iter().filter(|flags| **flags & 1 != 0) {
        least.push(next(fields, &mut before)?);
    }
    let mut least = least.into_iter();
    for (block, _) in blocks.iter_mut().zip(flags).filter(|(_, flags)| **flags & 1 != 0) {
        let least = least.next().ok_or(Damaged)?;
        block.event_times = Some((Timestamp(least), Timestamp(least.wrapping_add(fields.signed()?))));
    }
    before = 0;
    for (block, _) in blocks.iter_mut().zip(flags).filter(|(_, flags)| **flags & 2 != 0) {
        block.progress = Some(Timestamp(next(fields, &mut before)?));
    }
    before = 0;
    for block in blocks.iter_mut().filter(|_| version > 1) {
        block.time_rule = TimeRule::kept(next(fields, &mut before)? as u64);
    }
    Ok(())
}

/// The first offset that a whole index names, whatever its checksum says.
pub(crate) fn claimed_offset(bytes: &[u8]) -> Option<Offset> {
    let mut fields = Fields(bytes.get(16..bytes.len().checked_sub(TRAILER_LEN)?)?);
    let (raw_len, stored_len) = (fields.u32().ok()? as usize, fields.u32().ok()? as usize);
    let stored = fields.take(stored_len).ok().filter(|_| raw_len <= BODY_BYTES_MAX)?;
    let body = zstd::bulk::decompress(stored, raw_len).ok()?;
    let mut body = Fields(&body);
    let _number = body.u64().ok()?;
    body.u64().ok().map(Offset)
}

/// The length of the index whose last bytes these are, by its trailer; `None` when they do not end an index.
pub(crate) fn len_by_trailer(end_of_index: &[u8]) -> Option<usize> {
    ENVELOPE.len_by_trailer(end_of_index)
}

fn put_differences(out: &mut Vec<u8>, numbers: impl Iterator<Item = i64>) {
    let mut before = 0_i64;
    for number in numbers {
        put_signed(out, number.wrapping_sub(before));
        before = number;
    }
}

fn next(fields: &mut Fields<'_>, before: &mut i64) -> Result<i64, Damaged> {
    *before = before.wrapping_add(fields.signed()?);
    Ok(*before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let entry =
            |first_offset, count, raw_len, event_times: Option<(i64, i64)>, progress: Option<i64>| IndexedBlock {
                first_offset: Offset(first_offset),
                count,
                raw_len,
                received_time: Timestamp(1_700_000_000_000_000 + first_offset as i64),
                event_times: event_times.map(|(least, greatest)| (Timestamp(least), Timestamp(greatest))),
                time_rule: TimeRule::kept(u64::from(count) * (u64::MAX / 8)),
                progress: progress.map(Timestamp),
                epoch: first_offset / 13,
            };
        let blocks = vec![
            entry(10, 2, 20, Some((-5, 7)), None),
            entry(12, 0, 0, None, Some(3)),
            entry(12, 5, 50, Some((i64::MIN, i64::MAX)), Some(-3)),
            entry(17, 1, 9, Some((4, 4)), Some(i64::MAX)),
        ];
        let frame =
            |start, stored_len, raw_len, first_block| Frame { start, stored_len, raw_len, checksum: 9, first_block };
        let cursor = Cursor { position: "[1]".into(), progress: Some(Timestamp(3)) };
        Index {
            first_number: 7,
            raw_before: 1_000,
            frames: vec![frame(0, 30, 70, 0), frame(30, 12, 9, 3)],
            blocks,
            cursors: Arc::new([(Name::new("wiki").expect("a name"), cursor)].into()),
            keys: vec![IdempotencyKey { key: "k".into(), first_offset: Offset(12), count: 5 }],
            chain: 77,
        }
    }

    #[test]
    fn an_index_reads_back_as_written() {
        let bytes = index().to_bytes(5).expect("small");
        assert_eq!(Index::open(&bytes, 5).expect("whole"), index());
        assert_eq!(len_by_trailer(&bytes), Some(bytes.len()));
        let read = index();
        assert_eq!(read.ends(), Boundary { number: 11, offset: Offset(18) });
        assert_eq!((read.raw_bytes(), read.frames_end()), (79, 42));
        assert_eq!([0, 2, 3].map(|block| read.frame_of(block)), [Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn any_changed_bit_and_every_shorter_run_is_damage() {
        let bytes = index().to_bytes(5).expect("small");
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                *changed.get_mut(at).expect("within") ^= 1 << bit;
                assert_eq!(Index::open(&changed, 5), Err(NotAnIndex::Damaged), "byte {at} bit {bit}");
            }
            assert_eq!(Index::open(bytes.get(..at).expect("within"), 5), Err(NotAnIndex::Damaged), "{at} bytes");
        }
        assert_eq!(Index::open(&bytes, 6), Err(NotAnIndex::Damaged), "another segment's seed");
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = index().to_bytes(5).expect("small");
        *bytes.get_mut(15).expect("within") = 3;
        assert_eq!(Index::open(&bytes, 5), Err(NotAnIndex::Damaged), "without its checksum");
        let at = bytes.len() - TRAILER_LEN + 8;
        let checksum = Running::after(5).over(bytes.get(..at).expect("within")).value().to_le_bytes();
        bytes.splice(at..at + 8, checksum);
        assert_eq!(Index::open(&bytes, 5), Err(NotAnIndex::Version(3)));
    }

    #[test]
    fn an_index_of_version_1_is_read_and_knows_no_rules() {
        let mut index = index();
        index.blocks.iter_mut().for_each(|block| block.time_rule = None);
        let mut body = index.body().expect("small");
        let mut end = Vec::new();
        put_cursors(&mut end, &index.cursors).expect("short");
        put_keys(&mut end, index.keys.iter()).expect("short");
        let rules_end = body.len() - end.len();
        let rules = body.drain(rules_end - index.blocks.len()..rules_end);
        assert!(rules.into_iter().all(|byte| byte == 0));
        assert_eq!(Index::read(&mut Fields(&body), index.chain, 1).as_ref(), Ok(&index));
        assert!(Index::read(&mut Fields(&body), index.chain, VERSION).is_err());
    }

    #[test]
    fn a_body_that_does_not_add_up_is_damage_whatever_its_checksum_says() {
        let mut wrong = index();
        wrong.blocks.pop();
        let body = wrong.body();
        assert!(
            body.is_none_or(|body| Index::read(&mut Fields(&body), 0, VERSION).is_err()),
            "a frame without a block"
        );
        let body = index().body().expect("small");
        for len in 0..body.len() {
            assert_eq!(
                Index::read(&mut Fields(body.get(..len).expect("within")), 0, VERSION),
                Err(Damaged),
                "{len} bytes"
            );
        }
    }
}
