//! What readers see of a stream: only what is committed. Written by the thread that syncs, read by everyone.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::BytesMut;
use lakehead_model::{Offset, Timestamp};

use crate::{
    disk::layout::SegmentPath,
    format::key::{IdempotencyKey, KEYS_RECENT_MAX},
    read::log_head::{LogHead, SegmentFile, Stats},
    recover::{listing::ListedSegment, log_end::LogEnd, recovery::Recovered},
    segment::{block::Block, block_ref::BlockRef, file::Beginning, summary::Summary},
};

/// Payload buffers kept for use again: those of the block being gathered and of the one being written.
const SPARE_MAX: usize = 2;
/// How long a block is kept in memory for readers at most. Whoever follows a stream is at its end within a second; at a low
/// rate the bytes alone would let minutes of events gather that nobody reads any more.
pub(crate) const TAIL_AGE_MAX: Duration = Duration::from_secs(30);

/// One segment that holds something committed.
#[derive(Clone, Debug)]
pub(crate) struct SegmentEntry {
    pub(crate) at: SegmentPath,
    /// Bytes of it that count; what may follow never did. While not known, the file's length.
    pub(crate) end: u64,
    /// Whether `end` was found by its footers.
    pub(crate) end_is_known: bool,
    /// What it holds; of the last one, and of those that nobody has looked into yet, it is not known.
    pub(crate) summary: Option<Summary>,
}

/// The committed state of a stream.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) log_end: LogEnd,
    /// What is known to be on disk, for the next footers: blocks and events below these.
    pub(crate) synced_blocks: u64,
    pub(crate) synced_to: Offset,
    pub(super) segments: Vec<SegmentEntry>,
    /// The blocks of the last segment.
    pub(super) block_refs: Vec<BlockRef>,
    pub(super) tail: VecDeque<Arc<Block>>,
    tail_bytes: u64,
    tail_bytes_max: u64,
    spare: Vec<BytesMut>,
    pub(crate) keys: VecDeque<IdempotencyKey>,
    raw_before: u64,
    raw_before_last: u64,
    pub(super) first_number: u64,
    stored_before_last: u64,
}

/// A block that is written, with all that publishing it needs.
#[derive(Debug)]
pub(crate) struct NewBlock {
    pub(crate) block: Arc<Block>,
    pub(crate) block_ref: BlockRef,
    pub(crate) at: SegmentPath,
    pub(crate) log_end: LogEnd,
    pub(crate) keys: Vec<IdempotencyKey>,
}

impl Published {
    pub(crate) fn new(recovered: &Recovered, tail_bytes_max: u64) -> Self {
        let count = recovered.segments.len();
        let entry = |(i, known): (usize, &ListedSegment)| SegmentEntry {
            at: known.at.clone(),
            end: known.len,
            end_is_known: i + 2 >= count || known.summary.is_some(),
            summary: known.summary,
        };
        let segments: Vec<SegmentEntry> = recovered.segments.iter().enumerate().map(entry).collect();
        let stored_before_last = segments.iter().rev().skip(1).map(|entry| entry.end).sum();
        let mut published = Self {
            log_end: recovered.log_end.clone(),
            synced_blocks: recovered.log_end.next_number,
            synced_to: recovered.log_end.next_offset,
            segments,
            block_refs: recovered.last.as_ref().map_or_else(Vec::new, |last| last.block_refs.clone()),
            tail: VecDeque::new(),
            tail_bytes: 0,
            tail_bytes_max,
            spare: Vec::new(),
            keys: VecDeque::new(),
            raw_before: recovered.raw_before,
            raw_before_last: recovered.raw_before_last,
            first_number: recovered.first_number,
            stored_before_last,
        };
        published.remember(recovered.keys.iter().cloned());
        published
    }

    /// What these files hold up to `log_end`, the last of them like a finished one.
    pub(crate) fn of_files(segments: Vec<SegmentEntry>, first_number: u64, log_end: LogEnd) -> Self {
        let stored_before_last = segments.iter().rev().skip(1).map(|entry| entry.end).sum();
        Self {
            synced_blocks: log_end.next_number,
            synced_to: log_end.next_offset,
            log_end,
            segments,
            block_refs: Vec::new(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            tail_bytes_max: 0,
            spare: Vec::new(),
            keys: VecDeque::new(),
            raw_before: 0,
            raw_before_last: 0,
            first_number,
            stored_before_last,
        }
    }

    /// All segments, the last included.
    pub(crate) fn segments(&self) -> &[SegmentEntry] {
        &self.segments
    }

    /// The number of the first block that is kept.
    pub(crate) fn first_number(&self) -> u64 {
        self.first_number
    }

    /// Makes a committed block visible.
    pub(crate) fn publish(&mut self, new: NewBlock) {
        match self.segments.last_mut() {
            Some(last) if last.at == new.at => last.end = new.block_ref.end(),
            _ => {
                if let Some(finished) = self.segments.last_mut() {
                    self.stored_before_last += finished.end;
                    finished.summary = finished.summary.or(Summary::of_blocks(&self.block_refs, self.raw_before_last));
                }
                self.raw_before_last = self.log_end.raw_bytes;
                let (at, end) = (new.at, new.block_ref.end());
                self.segments.push(SegmentEntry { at, end, end_is_known: true, summary: None });
                self.block_refs.clear();
            }
        }
        self.block_refs.push(new.block_ref);
        self.log_end = new.log_end;
        self.remember(new.keys.into_iter());
        let newest = new.block.received_time;
        self.tail_bytes += new.block.memory_bytes();
        self.tail.push_back(new.block);
        self.let_go(newest);
    }

    /// Lets go of what is too much, or too old at `now`, to be kept in memory.
    pub(crate) fn let_go(&mut self, now: Timestamp) {
        let since = now.minus(TAIL_AGE_MAX);
        let is_old = |block: &Arc<Block>| block.received_time < since;
        while self.tail_bytes > self.tail_bytes_max || self.tail.front().is_some_and(is_old) {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= oldest.memory_bytes();
            if self.spare.len() < SPARE_MAX
                && let Ok(Ok(buffer)) = Arc::try_unwrap(oldest).map(|block| block.payload.try_into_mut())
            {
                self.spare.push(buffer);
            }
        }
    }

    /// Bytes that are kept in memory for readers.
    #[cfg(test)]
    pub(crate) fn tail_bytes(&self) -> u64 {
        self.tail_bytes
    }

    fn remember(&mut self, keys: impl Iterator<Item = IdempotencyKey>) {
        self.keys.extend(keys);
        let surplus = self.keys.len().saturating_sub(KEYS_RECENT_MAX);
        self.keys.drain(..surplus);
    }

    /// A buffer that nobody reads any more, empty, with its memory.
    pub(crate) fn spare(&mut self) -> BytesMut {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// The last committed block in the segment at `at`; `None` when nothing of it is committed.
    pub(crate) fn last_in(&self, at: &SegmentPath) -> Option<&BlockRef> {
        self.segments.last().filter(|last| last.at == *at).and_then(|_| self.block_refs.last())
    }

    /// All that is committed is now also known to be on disk.
    pub(crate) fn all_is_synced(&mut self) {
        self.synced_blocks = self.log_end.next_number;
        self.synced_to = self.log_end.next_offset;
    }

    pub(crate) fn head(&self) -> LogHead {
        LogHead {
            start: self.start(),
            end: self.log_end.next_offset,
            received_time: self.log_end.received_time,
            cursors: Arc::clone(&self.log_end.cursors),
            epoch: self.log_end.epoch,
        }
    }

    pub(super) fn start(&self) -> Offset {
        self.segments.first().map_or(self.log_end.next_offset, |first| first.at.first_offset)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            events: self.log_end.next_offset.since(self.start()),
            raw_bytes: self.log_end.raw_bytes - self.raw_before,
            stored_bytes: self.stored_before_last + self.segments.last().map_or(0, |last| last.end),
            segments: self.segments.len() as u64,
            blocks: self.log_end.next_number - self.first_number,
        }
    }

    /// The segments in order.
    pub(crate) fn segment_files(&self) -> Vec<SegmentFile> {
        let one = |entry: &SegmentEntry| SegmentFile {
            path: entry.at.path.clone(),
            first_offset: entry.at.first_offset,
            bytes: entry.end,
            sealed: entry.summary.is_some_and(|summary| summary.sealed),
        };
        self.segments.iter().map(one).collect()
    }

    /// The finished segments in order: all but the last.
    pub(crate) fn finished_segments(&self) -> &[SegmentEntry] {
        self.segments.split_last().map_or(&[], |(_, finished)| finished)
    }

    /// Takes note of what a finished segment holds, and of its length; nothing when it is not there any more.
    pub(crate) fn describe(&mut self, at: &SegmentPath, end: u64, summary: Summary) {
        let count = self.segments.len();
        let Some(index) = self.segments.iter().position(|entry| entry.at == *at).filter(|index| index + 1 < count)
        else {
            return;
        };
        if let Some(entry) = self.segments.get_mut(index) {
            self.stored_before_last = self.stored_before_last + end - entry.end;
            *entry = SegmentEntry { end, end_is_known: true, summary: Some(summary), ..entry.clone() };
        }
    }

    /// Replaces the finished segments up to the last of `listed`, which are those that the files show.
    pub(crate) fn replace_finished(&mut self, listed: Vec<SegmentEntry>, first: Beginning) {
        let Some(last) = listed.last() else { return };
        let after = self.segments.partition_point(|entry| entry.at <= last.at);
        let rest = self.segments.split_off(after);
        self.segments = listed;
        self.segments.extend(rest);
        self.begins_with(first);
    }

    /// Forgets the first `count` segments, after which it begins with `first`.
    pub(crate) fn forget(&mut self, count: usize, first: Beginning) {
        self.segments.drain(..count.min(self.segments.len().saturating_sub(1)));
        self.begins_with(first);
    }

    fn begins_with(&mut self, first: Beginning) {
        self.raw_before = first.raw_before;
        self.first_number = first.boundary.number;
        self.stored_before_last = self.finished_segments().iter().map(|entry| entry.end).sum();
    }

    /// When the first kept segment was begun, if it is not the stream's first and that is known.
    pub(crate) fn retained_since(&self) -> Option<Timestamp> {
        let first = self.segments.first().filter(|_| self.first_number > 0)?;
        let in_places =
            self.block_refs.first().map(|block_ref| block_ref.received_time).filter(|_| self.segments.len() == 1);
        first.summary.map(|summary| summary.received_first).or(in_places)
    }
}
