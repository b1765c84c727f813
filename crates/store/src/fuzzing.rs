//! The doors for `fuzz/`: what a fuzzer may call, compiled under `cfg(fuzzing)` alone.
//!
//! Checksums would turn nearly every mutated byte away at the gate, so each door takes the fuzzer's bytes as a recipe: what
//! the fields say, and what happens to the file then. What comes out has checksums that hold where the recipe leaves them.

use std::{collections::BTreeMap, io::Read, path::Path, sync::Arc};

use lakehead_model::{Clock, Cursor, Name, Offset, TimeRule, Timestamp};

use crate::{
    IdempotencyKey, Options, Stream,
    disk::files::{Access, Files},
    disk::layout::Layout,
    format::checksum::{self, Running},
    format::data_frame::Compressor,
    format::footer::{FRAME_MAGIC as FOOTER_MAGIC, Footer},
    format::index::{Frame, Index, IndexedBlock},
};

#[allow(dead_code, unreachable_pub, clippy::pedantic)]
#[path = "tests/memory.rs"]
mod memory;

use memory::Memory;

/// The stream, the hour and the seed of everything here.
const STREAM: &str = "s";
const HOUR: Timestamp = Timestamp(1_795_417_200_000_000);

fn stream_name() -> Name {
    Name::new(STREAM).expect("a constant that is a name")
}

fn seed() -> u64 {
    checksum::seed(&stream_name(), Offset(0))
}

/// Takes numbers from the fuzzer's bytes; zero where they have ended.
struct Recipe<'a>(&'a [u8]);

impl Recipe<'_> {
    fn u8(&mut self) -> u8 {
        self.number::<1>() as u8
    }

    fn u16(&mut self) -> u16 {
        self.number::<2>() as u16
    }

    fn u64(&mut self) -> u64 {
        self.number::<8>()
    }

    fn number<const N: usize>(&mut self) -> u64 {
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        self.0 = rest;
        taken.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// Decodes the bytes as a footer: as they are, and as a body around which head and trailer hold. What decodes must come
/// back the same when it is encoded and decoded again.
pub fn footer(input: &[u8]) {
    let _ = Footer::open(input, seed());
    let _ = crate::format::footer::len_by_trailer(input);
    let mut bytes = head(crate::format::footer::FRAME_MAGIC, b"LHBLOCK", input.len());
    bytes.extend_from_slice(input);
    trailer(&mut bytes, crate::format::footer::END_MAGIC);
    if let Ok((footer, seals)) = Footer::open(&bytes, seed()) {
        assert_eq!(seals.chained_len, bytes.len() - crate::format::envelope::TRAILER_LEN);
        let mut again = Vec::new();
        footer.seal(&mut again, seed(), 0).expect("what was decoded fits");
        let (decoded, _) = Footer::open(&again, seed()).expect("what was encoded decodes");
        assert_eq!(decoded, footer);
    }
}

/// Decodes the bytes as a sealed segment's index: as they are, and as the body of one whose checksum holds.
pub fn index(input: &[u8]) {
    let _ = Index::open(input, seed());
    let _ = crate::format::index::len_by_trailer(input);
    let Ok(stored) = zstd::bulk::compress(input, 1) else { return };
    let mut bytes = head(crate::format::index::FRAME_MAGIC, b"LHINDEX", stored.len() + 9);
    bytes.push(1);
    bytes.extend((input.len() as u32).to_le_bytes());
    bytes.extend((stored.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&stored);
    trailer(&mut bytes, crate::format::index::END_MAGIC);
    if let Ok(index) = Index::open(&bytes, seed()) {
        // What a reader asks of it.
        let _ = (index.begins(), index.ends(), index.raw_bytes(), index.frames_end());
        for block in [0, index.blocks.len() - 1] {
            assert!(index.frame_of(block).is_some_and(|frame| frame < index.frames.len()));
        }
        let again = index.to_bytes(seed()).expect("what was decoded fits");
        assert_eq!(Index::open(&again, seed()).expect("what was encoded decodes"), index);
    }
}

fn head(magic: u32, name: &[u8; 7], content: usize) -> Vec<u8> {
    let mut bytes = magic.to_le_bytes().to_vec();
    bytes.extend(((7 + content + 32) as u32).to_le_bytes());
    bytes.extend_from_slice(name);
    bytes
}

fn trailer(bytes: &mut Vec<u8>, end: &[u8; 8]) {
    bytes.extend(7_u64.to_le_bytes());
    let checksum = Running::after(seed()).over(bytes).value();
    bytes.extend(checksum.to_le_bytes());
    bytes.extend((bytes.len() as u32 + 16).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend_from_slice(end);
}

/// Builds a segment by the recipe, spoils it, and opens it as the last of a stream: for reading, then for writing, then
/// for reading again. Whatever was done to it, no step panics, every event that is read is one that `zstdcat` prints, in
/// its place, and what could be read before recovery can be read after it. Where recovery has cut something, less may be
/// left: a footer that it cuts may have been the only proof that damage before it is no torn tail.
pub fn segment(input: &[u8]) {
    let mut recipe = Recipe(input);
    let sealed = recipe.u8().is_multiple_of(4);
    let mut bytes = if sealed { sealed_segment(&mut recipe) } else { open_segment(&mut recipe) };
    while !recipe.is_over() && bytes.len() < 1 << 20 {
        spoil(&mut bytes, &mut recipe);
    }
    let files = Memory::default();
    let layout = Layout::new(Path::new("/data"));
    let at = layout.segment(&stream_name(), HOUR, Offset(0));
    files.put(&at.path, bytes.clone());
    let before = read(&files);
    if let Some(events) = before.as_ref().filter(|_| !sealed) {
        let printed = zstdcat(&bytes);
        assert!(printed.starts_with(events), "events were invented");
    }
    // Opened for writing and closed, as a process does: what is cut may have held the only proof of what was synced, and
    // the writer renews that at once.
    let shared: Arc<dyn Files> = Arc::new(files.clone());
    let opened = Stream::open(shared, layout, stream_name(), Options::default(), Arc::new(Still), Access::Write);
    if let Ok(stream) = opened {
        stream.close().expect("no thread panics");
        let after = read(&files);
        assert!(after.is_some() || before.is_none(), "recovery has spoiled what could be read");
        if let (Some(before), Some(after)) = (before, after) {
            assert!(before.starts_with(&after), "recovery has changed what can be read");
            assert!(before == after || !stream.quarantined().is_empty(), "events are gone and nothing was cut");
        }
    }
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        HOUR
    }
}

/// All events of the stream, each with its newline; `None` when it cannot be opened or read to its end.
fn read(files: &Memory) -> Option<Vec<u8>> {
    let shared: Arc<dyn Files> = Arc::new(files.clone());
    let layout = Layout::new(Path::new("/data"));
    let stream = Stream::open(shared, layout, stream_name(), Options::default(), Arc::new(Still), Access::Read).ok()?;
    let mut reader = stream.reader(Offset(0));
    let mut events = Vec::new();
    while let Some(block) = reader.next().ok()? {
        for event in block.events() {
            events.extend_from_slice(event);
            events.push(b'\n');
        }
    }
    Some(events)
}

/// Header, block header and checksum of a frame that holds nothing (RFC 8878, 3.1.1).
const EMPTY_FRAME_LEN: usize = 13;

/// What a zstd reader that knows nothing of Lakehead makes of the bytes, as far as it gets.
fn zstdcat(bytes: &[u8]) -> Vec<u8> {
    let mut printed = Vec::new();
    let mut rest = bytes;
    loop {
        // Also a block without events of which not even the frame's head is left.
        let footer_follows = rest.get(EMPTY_FRAME_LEN..).is_some_and(|at| at.starts_with(&FOOTER_MAGIC.to_le_bytes()));
        let len = match zstd::zstd_safe::find_frame_compressed_size(rest) {
            Ok(len) => len,
            Err(_) if footer_follows => EMPTY_FRAME_LEN,
            Err(_) => break,
        };
        let (frame, after) = rest.split_at(len.min(rest.len()));
        rest = after;
        let mut some = Vec::new();
        let whole = zstd::stream::read::Decoder::new(frame).and_then(|mut decoder| decoder.read_to_end(&mut some));
        printed.append(&mut some);
        // A reader has no need of a block without events, and may pass over damage there; `fsck` names it.
        let is_empty = len <= EMPTY_FRAME_LEN;
        if len == 0 || whole.is_err() && !is_empty {
            break;
        }
    }
    printed
}

fn lines(recipe: &mut Recipe<'_>) -> (Vec<u8>, u32) {
    let count = recipe.u8() % 5;
    let mut payload = Vec::new();
    for _ in 0..count {
        let number = recipe.u16();
        payload.extend_from_slice(format!("{{\"n\":{number}}}\n").as_bytes());
    }
    (payload, u32::from(count))
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Compressor::new(1).and_then(|mut compressor| compressor.compress(payload, &mut out)).expect("zstd compresses");
    out
}

/// Blocks as the writer makes them, with now and then a field that is not what it should be.
fn open_segment(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chain = seed();
    let (mut number, mut offset, mut raw) = (0, 0, 0);
    for _ in 0..recipe.u8() % 6 {
        let (payload, count) = lines(recipe);
        let mut out = frame(&payload);
        let cursor = Cursor { position: "{}".into(), progress: None };
        let mut footer = Footer {
            number,
            first_offset: Offset(offset),
            count,
            raw_len: payload.len() as u32,
            stored_len: out.len() as u32,
            raw_before: raw,
            received_time: HOUR,
            event_time_least: Some(HOUR),
            event_time_greatest: Some(HOUR),
            time_rule: TimeRule::kept(recipe.u8().into()),
            synced_to: Offset(offset.saturating_sub(u64::from(recipe.u8() % 8))),
            synced_blocks: number.saturating_sub(u64::from(recipe.u8() % 4)),
            epoch: 0,
            cursors: Arc::new(BTreeMap::from([(stream_name(), cursor)])),
            keys: vec![IdempotencyKey { key: "k".into(), first_offset: Offset(offset), count }],
        };
        match recipe.u8() {
            0 => footer.number = recipe.u64(),
            1 => footer.first_offset = Offset(recipe.u64()),
            2 => footer.count = recipe.u16().into(),
            3 => footer.raw_len = recipe.u64() as u32,
            4 => footer.stored_len = recipe.u64() as u32,
            5 => footer.raw_before = recipe.u64(),
            6 => footer.received_time = Timestamp(recipe.u64() as i64),
            7 => footer.synced_to = Offset(recipe.u64()),
            8 => footer.synced_blocks = recipe.u64(),
            9 => footer.epoch = recipe.u64(),
            10 => chain = recipe.u64(),
            _ => {}
        }
        chain = footer.seal(&mut out, seed(), chain).expect("a short footer");
        bytes.extend_from_slice(&out);
        number += 1;
        offset += u64::from(count);
        raw += payload.len() as u64;
    }
    bytes
}

/// Large frames and an index, with now and then a field that is not what it should be.
fn sealed_segment(recipe: &mut Recipe<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut frames, mut blocks) = (Vec::new(), Vec::new());
    let mut offset = 0;
    for _ in 0..=recipe.u8() % 3 {
        let first_block = blocks.len();
        let mut payload = Vec::new();
        for _ in 0..=recipe.u8() % 3 {
            let (more, count) = lines(recipe);
            let raw_len = more.len() as u32;
            payload.extend(more);
            let mut entry = IndexedBlock {
                first_offset: Offset(offset),
                count,
                raw_len,
                received_time: HOUR,
                event_times: (count > 0).then_some((HOUR, HOUR)),
                time_rule: TimeRule::kept(7),
                progress: None,
                epoch: 0,
            };
            match recipe.u8() {
                0 => entry.count = recipe.u16().into(),
                1 => entry.raw_len = recipe.u16().into(),
                2 => entry.received_time = Timestamp(recipe.u64() as i64),
                3 => entry.epoch = recipe.u64(),
                _ => {}
            }
            blocks.push(entry);
            offset += u64::from(count);
        }
        let stored = frame(&payload);
        let checksum = match recipe.u8() {
            0 => recipe.u64(),
            _ => Running::after(seed()).over(&stored).value(),
        };
        let (start, stored_len, raw_len) = (bytes.len() as u64, stored.len() as u32, payload.len() as u32);
        frames.push(Frame { start, stored_len, raw_len, checksum, first_block });
        bytes.extend(stored);
    }
    let (first_number, raw_before) = match recipe.u8() {
        0 => (recipe.u64(), 0),
        1 => (0, recipe.u64()),
        _ => (0, 0),
    };
    let index = Index { first_number, raw_before, frames, blocks, cursors: Arc::default(), keys: Vec::new(), chain: 7 };
    bytes.extend(index.to_bytes(seed()).unwrap_or_default());
    bytes
}

/// One thing that may happen to a file.
fn spoil(bytes: &mut Vec<u8>, recipe: &mut Recipe<'_>) {
    let what = recipe.u8();
    let at = usize::from(recipe.u16()) % (bytes.len() + 1);
    let len = usize::from(recipe.u8());
    let end = (at + len).min(bytes.len());
    match what % 8 {
        0 => bytes.truncate(at),
        1 => bytes[at..end].fill(0),
        2 => drop(bytes.drain(at..end)),
        3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= len as u8 | 1;
            }
        }
        // A zero-filled tail, longer than any block here.
        4 => bytes.resize(bytes.len() + len * 64, 0),
        5 => {
            let again = bytes[at..end].to_vec();
            bytes.extend(again);
        }
        6 => {
            let more: Vec<u8> = (0..len % 16).map(|_| recipe.u8()).collect();
            bytes.splice(at..at, more);
        }
        _ => {
            let tail = bytes.split_off(at);
            bytes.splice(0..0, tail);
        }
    }
}
