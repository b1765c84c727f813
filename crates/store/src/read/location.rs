//! Where a reader finds its next block: in memory, in the last segment, in a finished one, or not at all.

use std::sync::Arc;

use lakehead_model::Offset;

use crate::{
    disk::layout::SegmentPath,
    format::boundary::Boundary,
    read::{
        block_filter::BlockFilter,
        published::{Published, SegmentEntry},
    },
    segment::{block::Block, block_ref::BlockRef},
};

/// Blocks of the last segment handed to a reader at once, so that a copy stays small.
const BLOCKS_AT_ONCE: usize = 256;

/// Where a reader finds its next block.
#[derive(Debug)]
pub(crate) enum BlockLocation {
    /// Nowhere yet: it reads at the end.
    AtTheEnd { next_number: u64 },
    /// In memory.
    Memory(Arc<Block>),
    /// In the last segment, at these places.
    Last {
        /// The segment.
        at: SegmentPath,
        /// The next blocks, at most so many that the copy stays small.
        block_refs: Vec<BlockRef>,
        /// The chain before the first of them; `None` when that is the segment's first block.
        chain_before: Option<u64>,
    },
    /// In a finished segment; the next one is needed to know where this one ends.
    Finished {
        /// The segment.
        entry: SegmentEntry,
        /// Those after it that begin with the same offset: among them may be one that failed before its first block was
        /// committed and could not be removed.
        next: Vec<SegmentPath>,
    },
    /// In a segment of which nothing is wanted: after it.
    Skipped {
        /// The segment.
        at: SegmentPath,
        /// Where it ends.
        to: Boundary,
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
    /// The offsets `[from, to)` between which everything lies that `block_filter` may want, as far as is known without
    /// reading.
    pub(crate) fn bounds_for(&self, block_filter: &BlockFilter) -> (Offset, Offset) {
        let (start, end) = (self.start(), self.log_end.next_offset);
        if block_filter.everything() {
            return (start, end);
        }
        let ends = self.segments.iter().skip(1).map(|next| next.at.first_offset).chain([end]);
        let mut wanted = None;
        for (entry, segment_end) in self.segments.iter().zip(ends) {
            if entry.summary.is_some_and(|summary| !block_filter.admits_segment(&summary)) {
                continue;
            }
            let from = wanted.map_or(entry.at.first_offset, |(from, _)| from);
            wanted = Some((from, segment_end));
        }
        wanted.unwrap_or((end, end))
    }

    /// Finds the block with the event at `offset`, the first of several when some are empty.
    pub(crate) fn find_offset(&self, offset: Offset, block_filter: &BlockFilter) -> BlockLocation {
        let (start, end) = (self.start(), self.log_end.next_offset);
        if offset < start || offset > end {
            return BlockLocation::OutOfRange { start, end };
        }
        if offset == end {
            return self.at_the_end();
        }
        if self.tail.front().is_some_and(|front| front.first_offset <= offset) {
            let index = self.tail.partition_point(|block| block.end_offset() <= offset);
            return self.tail.get(index).map_or_else(|| self.at_the_end(), |b| BlockLocation::Memory(Arc::clone(b)));
        }
        if self.block_refs.first().is_some_and(|first| first.first_offset <= offset) {
            return self.last_from(self.block_refs.partition_point(|block_ref| block_ref.end_offset() <= offset));
        }
        let after = self.segments.partition_point(|entry| entry.at.first_offset <= offset);
        self.finished(after.saturating_sub(1), block_filter)
    }

    /// Finds block `number`, which follows the offset `position`. `read_through` is the finished segment that the reader
    /// has come to the end of, if it has.
    pub(crate) fn find_number(
        &self,
        number: u64,
        position: Offset,
        read_through: Option<&SegmentPath>,
        block_filter: &BlockFilter,
    ) -> BlockLocation {
        if number < self.first_number {
            return BlockLocation::OutOfRange { start: self.start(), end: self.log_end.next_offset };
        }
        if number >= self.log_end.next_number {
            return self.at_the_end();
        }
        if let Some(front) = self.tail.front().filter(|front| front.number <= number) {
            let index = usize::try_from(number - front.number).unwrap_or(usize::MAX);
            return self.tail.get(index).map_or_else(|| self.at_the_end(), |b| BlockLocation::Memory(Arc::clone(b)));
        }
        if let Some(first) = self.block_refs.first().filter(|first| first.number <= number) {
            return self.last_from(usize::try_from(number - first.number).unwrap_or(usize::MAX));
        }
        let index = match read_through {
            Some(at) => self.segments.partition_point(|entry| entry.at <= *at),
            // It is in the segment of the event before it, or in one after that.
            None => self.segments.partition_point(|entry| entry.at.first_offset < position).saturating_sub(1),
        };
        self.finished(index, block_filter)
    }

    fn last_from(&self, index: usize) -> BlockLocation {
        let Some(last) = self.segments.last() else { return self.at_the_end() };
        let block_refs: Vec<BlockRef> = self.block_refs.iter().skip(index).take(BLOCKS_AT_ONCE).copied().collect();
        let chain_before =
            index.checked_sub(1).and_then(|before| self.block_refs.get(before)).map(|block_ref| block_ref.chain);
        BlockLocation::Last { at: last.at.clone(), block_refs, chain_before }
    }

    fn finished(&self, index: usize, block_filter: &BlockFilter) -> BlockLocation {
        let Some(entry) = self.segments.get(index) else { return self.at_the_end() };
        if let Some(summary) = entry.summary.filter(|summary| !block_filter.admits_segment(summary)) {
            return BlockLocation::Skipped { at: entry.at.clone(), to: summary.ends(entry.at.first_offset) };
        }
        let after = self.segments.get(index + 1..).unwrap_or(&[]);
        let same = after.first().map(|first| first.at.first_offset);
        let next = after.iter().take_while(|next| Some(next.at.first_offset) == same).map(|next| next.at.clone());
        BlockLocation::Finished { entry: entry.clone(), next: next.collect() }
    }

    fn at_the_end(&self) -> BlockLocation {
        BlockLocation::AtTheEnd { next_number: self.log_end.next_number }
    }
}
