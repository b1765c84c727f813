//! What readers see of a stream: only what is committed. Written by the thread that syncs, read by everyone.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use lakehead_model::{Cursor, Name, Offset, Timestamp};

use crate::{
    Block, Only,
    footer::IdempotencyKey,
    inventory::{Known, Summary},
    layout::SegmentPath,
    mark::Mark,
    recovery::Recovered,
    segment::{Beginning, Border, Place},
};

/// How many of the last idempotency keys are remembered: an hour of one push every 55 ms.
pub(crate) const KEYS_RECENT_MAX: usize = 65_536;
/// Payload buffers kept for use again: those of the block being gathered and of the one being written.
const SPARE_MAX: usize = 2;
/// How long a block is kept in memory for readers at most. Whoever follows a stream is at its end within a second; at a low
/// rate the bytes alone would let minutes of events gather that nobody reads any more.
pub(crate) const TAIL_AGE_MAX: Duration = Duration::from_secs(30);
/// Live places handed to a reader at once, so that a copy stays small.
const PLACES_AT_ONCE: usize = 256;

/// Where a stream begins and ends, and what its sources need to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first offset that is kept.
    pub start: Offset,
    /// The offset after the last committed event.
    pub end: Offset,
    /// The last committed block's received time; `None` when nothing was ever written.
    pub received_time: Option<Timestamp>,
    /// Where every source stands, by its name, as committed.
    pub cursors: Arc<BTreeMap<Name, Cursor>>,
    /// Rises when the stream turns out to have lost events that were seen outside.
    pub epoch: u64,
}

/// How much a stream holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events.
    pub events: u64,
    /// Bytes of events, each with its newline.
    pub raw_bytes: u64,
    /// Bytes on disk.
    pub stored_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Blocks, those without events included.
    pub blocks: u64,
}

/// One file of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Where it is.
    pub path: PathBuf,
    /// The offset of its first event.
    pub first_offset: Offset,
    /// Bytes of it that count; of the last segment, those committed so far.
    pub bytes: u64,
    /// Whether it is known to be sealed: then it never changes again.
    pub sealed: bool,
}

/// One segment that holds something committed.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
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
    pub(crate) mark: Mark,
    /// What is known to be on disk, for the next footers: blocks and events below these.
    pub(crate) synced_blocks: u64,
    pub(crate) synced_to: Offset,
    segments: Vec<Kept>,
    /// The blocks of the last segment.
    places: Vec<Place>,
    tail: VecDeque<Arc<Block>>,
    tail_bytes: u64,
    tail_bytes_max: u64,
    spare: Vec<BytesMut>,
    pub(crate) keys: VecDeque<IdempotencyKey>,
    raw_before: u64,
    raw_before_last: u64,
    first_number: u64,
    stored_before_last: u64,
}

/// A block that has just been committed.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) block: Arc<Block>,
    pub(crate) place: Place,
    pub(crate) at: SegmentPath,
    pub(crate) mark: Mark,
    pub(crate) keys: Vec<IdempotencyKey>,
}

/// Where a reader finds its next block.
#[derive(Debug)]
pub(crate) enum Whereabouts {
    /// Nowhere yet: it reads at the end.
    AtTheEnd { next_number: u64 },
    /// In memory.
    Memory(Arc<Block>),
    /// In the last segment, at these places.
    Last {
        /// The segment.
        at: SegmentPath,
        /// The next blocks, at most so many that the copy stays small.
        places: Vec<Place>,
        /// The chain before the first of them; `None` when that is the segment's first block.
        chain_before: Option<u64>,
    },
    /// In a finished segment; the next one is needed to know where this one ends.
    Finished {
        /// The segment.
        kept: Kept,
        /// Those after it that begin with the same offset: among them may be one that failed before its first block was
        /// committed and could not be removed.
        next: Vec<SegmentPath>,
    },
    /// In a segment of which nothing is wanted: after it.
    Skipped {
        /// The segment.
        at: SegmentPath,
        /// Where it ends.
        to: Border,
    },
    /// Not in this stream.
    OutOfRange {
        /// The first offset kept.
        start: Offset,
        /// The offset after the last.
        end: Offset,
    },
}

impl Published {
    pub(crate) fn new(recovered: &Recovered, tail_bytes_max: u64) -> Self {
        let count = recovered.segments.len();
        let kept = |(i, known): (usize, &Known)| Kept {
            at: known.at.clone(),
            end: known.len,
            end_is_known: i + 2 >= count || known.summary.is_some(),
            summary: known.summary,
        };
        let segments: Vec<Kept> = recovered.segments.iter().enumerate().map(kept).collect();
        let stored_before_last = segments.iter().rev().skip(1).map(|kept| kept.end).sum();
        let mut published = Self {
            mark: recovered.mark.clone(),
            synced_blocks: recovered.mark.next_number,
            synced_to: recovered.mark.next_offset,
            segments,
            places: recovered.last.as_ref().map_or_else(Vec::new, |last| last.places.clone()),
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

    /// What these files hold up to `mark`, the last of them like a finished one.
    pub(crate) fn of_files(segments: Vec<Kept>, first_number: u64, mark: Mark) -> Self {
        let stored_before_last = segments.iter().rev().skip(1).map(|kept| kept.end).sum();
        Self {
            synced_blocks: mark.next_number,
            synced_to: mark.next_offset,
            mark,
            segments,
            places: Vec::new(),
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
    pub(crate) fn segments(&self) -> &[Kept] {
        &self.segments
    }

    /// The number of the first block that is kept.
    pub(crate) fn first_number(&self) -> u64 {
        self.first_number
    }

    /// Makes a committed block visible.
    pub(crate) fn publish(&mut self, fresh: Fresh) {
        match self.segments.last_mut() {
            Some(last) if last.at == fresh.at => last.end = fresh.place.end(),
            _ => {
                if let Some(finished) = self.segments.last_mut() {
                    self.stored_before_last += finished.end;
                    finished.summary = finished.summary.or(Summary::of_places(&self.places, self.raw_before_last));
                }
                self.raw_before_last = self.mark.raw_bytes;
                let (at, end) = (fresh.at, fresh.place.end());
                self.segments.push(Kept { at, end, end_is_known: true, summary: None });
                self.places.clear();
            }
        }
        self.places.push(fresh.place);
        self.mark = fresh.mark;
        self.remember(fresh.keys.into_iter());
        let newest = fresh.block.received_time;
        self.tail_bytes += fresh.block.memory_bytes();
        self.tail.push_back(fresh.block);
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
    pub(crate) fn last_in(&self, at: &SegmentPath) -> Option<&Place> {
        self.segments.last().filter(|last| last.at == *at).and_then(|_| self.places.last())
    }

    /// All that is committed is now also known to be on disk.
    pub(crate) fn all_is_synced(&mut self) {
        self.synced_blocks = self.mark.next_number;
        self.synced_to = self.mark.next_offset;
    }

    pub(crate) fn head(&self) -> Head {
        Head {
            start: self.start(),
            end: self.mark.next_offset,
            received_time: self.mark.received_time,
            cursors: Arc::clone(&self.mark.cursors),
            epoch: self.mark.epoch,
        }
    }

    fn start(&self) -> Offset {
        self.segments.first().map_or(self.mark.next_offset, |first| first.at.first_offset)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            events: self.mark.next_offset.since(self.start()),
            raw_bytes: self.mark.raw_bytes - self.raw_before,
            stored_bytes: self.stored_before_last + self.segments.last().map_or(0, |last| last.end),
            segments: self.segments.len() as u64,
            blocks: self.mark.next_number - self.first_number,
        }
    }

    /// The segments in order.
    pub(crate) fn segment_files(&self) -> Vec<SegmentFile> {
        let one = |kept: &Kept| SegmentFile {
            path: kept.at.path.clone(),
            first_offset: kept.at.first_offset,
            bytes: kept.end,
            sealed: kept.summary.is_some_and(|summary| summary.sealed),
        };
        self.segments.iter().map(one).collect()
    }

    /// The finished segments in order: all but the last.
    pub(crate) fn finished_segments(&self) -> &[Kept] {
        self.segments.split_last().map_or(&[], |(_, finished)| finished)
    }

    /// Takes note of what a finished segment holds, and of its length; nothing when it is not there any more.
    pub(crate) fn describe(&mut self, at: &SegmentPath, end: u64, summary: Summary) {
        let count = self.segments.len();
        let Some(index) = self.segments.iter().position(|kept| kept.at == *at).filter(|index| index + 1 < count) else {
            return;
        };
        if let Some(kept) = self.segments.get_mut(index) {
            self.stored_before_last = self.stored_before_last + end - kept.end;
            *kept = Kept { end, end_is_known: true, summary: Some(summary), ..kept.clone() };
        }
    }

    /// Replaces the finished segments up to the last of `listed`, which are those that the files show.
    pub(crate) fn replace_finished(&mut self, listed: Vec<Kept>, first: Beginning) {
        let Some(last) = listed.last() else { return };
        let after = self.segments.partition_point(|kept| kept.at <= last.at);
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
        self.first_number = first.border.number;
        self.stored_before_last = self.finished_segments().iter().map(|kept| kept.end).sum();
    }

    /// When the first kept segment was begun, if it is not the stream's first and that is known.
    pub(crate) fn kept_since(&self) -> Option<Timestamp> {
        let first = self.segments.first().filter(|_| self.first_number > 0)?;
        let in_places = self.places.first().map(|place| place.received_time).filter(|_| self.segments.len() == 1);
        first.summary.map(|summary| summary.received_first).or(in_places)
    }

    /// The offsets `[from, to)` between which everything lies that `only` may want, as far as is known without reading.
    pub(crate) fn narrow(&self, only: &Only) -> (Offset, Offset) {
        let (start, end) = (self.start(), self.mark.next_offset);
        if only.everything() {
            return (start, end);
        }
        let ends = self.segments.iter().skip(1).map(|next| next.at.first_offset).chain([end]);
        let mut wanted = None;
        for (kept, segment_end) in self.segments.iter().zip(ends) {
            if kept.summary.is_some_and(|summary| !only.admits_segment(&summary)) {
                continue;
            }
            let from = wanted.map_or(kept.at.first_offset, |(from, _)| from);
            wanted = Some((from, segment_end));
        }
        wanted.unwrap_or((end, end))
    }

    /// Finds the block with the event at `offset`, the first of several when some are empty.
    pub(crate) fn find_offset(&self, offset: Offset, only: &Only) -> Whereabouts {
        let (start, end) = (self.start(), self.mark.next_offset);
        if offset < start || offset > end {
            return Whereabouts::OutOfRange { start, end };
        }
        if offset == end {
            return self.at_the_end();
        }
        if self.tail.front().is_some_and(|front| front.first_offset <= offset) {
            let index = self.tail.partition_point(|block| block.end_offset() <= offset);
            return self.tail.get(index).map_or_else(|| self.at_the_end(), |b| Whereabouts::Memory(Arc::clone(b)));
        }
        if self.places.first().is_some_and(|first| first.first_offset <= offset) {
            return self.last_from(self.places.partition_point(|place| place.end_offset() <= offset));
        }
        let after = self.segments.partition_point(|kept| kept.at.first_offset <= offset);
        self.finished(after.saturating_sub(1), only)
    }

    /// Finds block `number`, which follows the offset `position`. `read_through` is the finished segment that the reader
    /// has come to the end of, if it has.
    pub(crate) fn find_number(
        &self,
        number: u64,
        position: Offset,
        read_through: Option<&SegmentPath>,
        only: &Only,
    ) -> Whereabouts {
        if number < self.first_number {
            return Whereabouts::OutOfRange { start: self.start(), end: self.mark.next_offset };
        }
        if number >= self.mark.next_number {
            return self.at_the_end();
        }
        if let Some(front) = self.tail.front().filter(|front| front.number <= number) {
            let index = usize::try_from(number - front.number).unwrap_or(usize::MAX);
            return self.tail.get(index).map_or_else(|| self.at_the_end(), |b| Whereabouts::Memory(Arc::clone(b)));
        }
        if let Some(first) = self.places.first().filter(|first| first.number <= number) {
            return self.last_from(usize::try_from(number - first.number).unwrap_or(usize::MAX));
        }
        let index = match read_through {
            Some(at) => self.segments.partition_point(|kept| kept.at <= *at),
            // It is in the segment of the event before it, or in one after that.
            None => self.segments.partition_point(|kept| kept.at.first_offset < position).saturating_sub(1),
        };
        self.finished(index, only)
    }

    fn last_from(&self, index: usize) -> Whereabouts {
        let Some(last) = self.segments.last() else { return self.at_the_end() };
        let places: Vec<Place> = self.places.iter().skip(index).take(PLACES_AT_ONCE).copied().collect();
        let chain_before = index.checked_sub(1).and_then(|before| self.places.get(before)).map(|place| place.chain);
        Whereabouts::Last { at: last.at.clone(), places, chain_before }
    }

    fn finished(&self, index: usize, only: &Only) -> Whereabouts {
        let Some(kept) = self.segments.get(index) else { return self.at_the_end() };
        if let Some(summary) = kept.summary.filter(|summary| !only.admits_segment(summary)) {
            return Whereabouts::Skipped { at: kept.at.clone(), to: summary.ends(kept.at.first_offset) };
        }
        let after = self.segments.get(index + 1..).unwrap_or(&[]);
        let same = after.first().map(|first| first.at.first_offset);
        let next = after.iter().take_while(|next| Some(next.at.first_offset) == same).map(|next| next.at.clone());
        Whereabouts::Finished { kept: kept.clone(), next: next.collect() }
    }

    fn at_the_end(&self) -> Whereabouts {
        Whereabouts::AtTheEnd { next_number: self.mark.next_number }
    }
}
