//! Reads a stream forward, block by block: from memory near the end, from the files further back, without a seam.

use std::{sync::Arc, vec};

use lakehead_model::Offset;

use crate::{
    disk::{files::Access, layout::SegmentPath},
    error::Error,
    format::boundary::Boundary,
    read::{
        block_filter::BlockFilter,
        claims::{Claim, ClaimGuard},
        encoded_blocks::{BlockDecoder, Content, EncodedBlocks},
        location::BlockLocation,
        published::SegmentEntry,
        read_side::ReadSide,
    },
    segment::{
        block::Block,
        block_ref::BlockRef,
        file::Segment,
        neighbours::{end_before, first_block},
        sealed::Sealed,
    },
};

/// Reads the committed events of a stream from an offset on. Many may read at once; none slows the writer, and each holds
/// at most a block, or a large frame of a sealed segment, and the places of one segment's blocks. While it is there,
/// retention leaves what it has not read yet.
#[derive(Debug)]
pub struct Reader {
    read: Arc<ReadSide>,
    /// The offset of the next event to be given.
    position: Offset,
    /// The same for those who ask whether the log is still needed there.
    claim: Arc<ClaimGuard>,
    block_filter: BlockFilter,
    /// The number of the next block, once one has been found.
    number: Option<u64>,
    walk: Option<Walk>,
    /// The finished segment that has been read to its end.
    read_through: Option<SegmentPath>,
    block_decoder: BlockDecoder,
}

/// A segment being read.
#[derive(Debug)]
enum Walk {
    /// Blocks with footers.
    Open {
        segment: Segment,
        block_refs: vec::IntoIter<BlockRef>,
        /// The chain before the next of them.
        chain: u64,
        is_finished: bool,
    },
    /// Blocks in large frames; the next one by its place in the index.
    Sealed { sealed: Sealed, next: usize },
}

impl Walk {
    fn segment(&self) -> &Segment {
        match self {
            Self::Open { segment, .. } => segment,
            Self::Sealed { sealed, .. } => &sealed.segment,
        }
    }
}

impl Reader {
    pub(crate) fn new(read: Arc<ReadSide>, claim: Claim) -> Self {
        let from = claim.from;
        let claim = read.claims.claim(claim);
        Self {
            read,
            position: from,
            claim,
            block_filter: BlockFilter::default(),
            number: None,
            walk: None,
            read_through: None,
            block_decoder: BlockDecoder::default(),
        }
    }

    /// From now on blocks without anything in these bounds are skipped, most of them unread.
    #[must_use]
    pub fn filtered(mut self, block_filter: BlockFilter) -> Self {
        self.block_filter = block_filter;
        self
    }

    /// The offset of the next event that [`next`](Self::next) will give, unless that is skipped.
    #[must_use]
    pub fn position(&self) -> Offset {
        self.position
    }

    /// The next block, or `None` at the committed end: then wait on [`Stream::committed`](crate::Stream::committed) and
    /// ask again. The first block is cut to begin with the offset that was asked for. May read files; blocks.
    ///
    /// # Errors
    /// `Corrupt` when a block is not as it was written, `Invalid` when the offset lies outside of the stream. After an error the
    /// reader stands where it stood.
    // Not an Iterator: `None` is not its end.
    #[expect(clippy::should_implement_trait, reason = "None means not yet, and it can fail")]
    pub fn next(&mut self) -> Result<Option<Arc<Block>>, Error> {
        let next = self.find(Take::Block).and_then(|found| {
            let Some(encoded) = found else { return Ok(None) };
            let mut decoded = None;
            self.block_decoder.decode(&encoded, |block| decoded = Some(block))?;
            self.pass(encoded.ends());
            Ok(decoded)
        });
        self.found(next)
    }

    /// As [`next`](Self::next), without reading: what is next is decoded by a [`BlockDecoder`], on any thread. Of a sealed
    /// segment it is all that is left of one large frame, whatever [`filtered`](Self::filtered) says of single blocks in it.
    ///
    /// # Errors
    /// As [`next`](Self::next), as far as that shows without reading the block.
    pub fn next_encoded(&mut self) -> Result<Option<EncodedBlocks>, Error> {
        let next = self.find(Take::Frame);
        if let Ok(Some(encoded)) = &next {
            self.pass(encoded.ends());
        }
        self.found(next)
    }

    fn found<T>(&mut self, next: Result<T, Error>) -> Result<T, Error> {
        if next.is_err() {
            self.walk = None;
        }
        self.claim.move_to(self.position);
        next
    }

    fn find(&mut self, take: Take) -> Result<Option<EncodedBlocks>, Error> {
        loop {
            if let Some(content) = self.next_of_walk(take) {
                return self.check(content).map(Some);
            }
            let location = {
                let published = self.read.published();
                match self.number {
                    None => published.find_offset(self.position, &self.block_filter),
                    Some(number) => {
                        published.find_number(number, self.position, self.read_through.as_ref(), &self.block_filter)
                    }
                }
            };
            match location {
                BlockLocation::AtTheEnd { next_number } => {
                    self.number = Some(next_number);
                    return Ok(None);
                }
                BlockLocation::Memory(block) => {
                    self.walk = None;
                    let received = (block.received_time, block.received_time);
                    if self.block_filter.admits(
                        received,
                        block.event_time_least.zip(block.event_time_greatest),
                        block.time_rule,
                    ) {
                        return self.check(Content::Memory(block)).map(Some);
                    }
                    self.skip(Boundary { number: block.number + 1, offset: block.end_offset() });
                }
                BlockLocation::Last { at, block_refs, chain_before } => self.walk_last(at, block_refs, chain_before)?,
                BlockLocation::Finished { entry, next } => self.walk_finished(&entry, &next)?,
                BlockLocation::Skipped { at, to } => {
                    self.skip(to);
                    self.read_through = Some(at);
                }
                BlockLocation::OutOfRange { start, end } => {
                    let (stream, asked) = (self.read.log.name.clone(), self.position);
                    return Err(Error::OffsetOutOfRange { stream, asked, start, end });
                }
            }
        }
    }

    /// Goes on at `to`.
    fn skip(&mut self, to: Boundary) {
        self.number = self.number.max(Some(to.number));
        self.position = self.position.max(to.offset);
    }

    /// Goes on at `to`, after what was found there was given.
    fn pass(&mut self, to: Boundary) {
        self.number = Some(to.number);
        self.position = to.offset;
    }

    fn next_of_walk(&mut self, take: Take) -> Option<Content> {
        loop {
            let to = match self.walk.as_mut()? {
                Walk::Open { segment, block_refs, chain, is_finished } => {
                    let Some(block_ref) = block_refs.next() else {
                        if *is_finished {
                            self.read_through = Some(segment.at.clone());
                            self.walk = None;
                        }
                        return None;
                    };
                    let chain_before = std::mem::replace(chain, block_ref.chain);
                    let received = (block_ref.received_time, block_ref.received_time);
                    if self.block_filter.admits(received, block_ref.event_times, block_ref.time_rule) {
                        return Some(Content::Open { segment: segment.clone(), block_ref, chain_before });
                    }
                    block_ref.ends()
                }
                Walk::Sealed { sealed, next } => {
                    let Some(entry) = sealed.index.blocks.get(*next) else {
                        self.read_through = Some(sealed.segment.at.clone());
                        self.walk = None;
                        return None;
                    };
                    let at = *next;
                    let received = (entry.received_time, entry.received_time);
                    if self.block_filter.admits(received, entry.event_times, entry.time_rule) {
                        let blocks = match take {
                            Take::Block => at..at + 1,
                            Take::Frame => sealed.rest_of_frame(at),
                        };
                        *next = blocks.end;
                        return Some(Content::Sealed { sealed: sealed.clone(), blocks });
                    }
                    *next = at + 1;
                    sealed.boundary(at + 1)
                }
            };
            self.skip(to);
        }
    }

    fn walk_last(
        &mut self,
        at: SegmentPath,
        block_refs: Vec<BlockRef>,
        chain_before: Option<u64>,
    ) -> Result<(), Error> {
        let segment = match self.walk.take() {
            Some(Walk::Open { segment, .. }) if segment.at == at => segment,
            _ => self.open(at)?,
        };
        let chain = chain_before.unwrap_or(segment.seed);
        if self.number.is_none() {
            self.number = block_refs.first().map(|block_ref| block_ref.number);
        }
        self.walk = Some(Walk::Open { segment, block_refs: block_refs.into_iter(), chain, is_finished: false });
        Ok(())
    }

    /// Finds the blocks of a finished segment from the next one to be read on; none when it has been read through.
    fn walk_finished(&mut self, entry: &SegmentEntry, next: &[SegmentPath]) -> Result<(), Error> {
        let segment = self.open(entry.at.clone())?;
        // What it is, the file itself says: it may have been sealed a moment ago.
        if let Some(index) = segment.index()? {
            return self.walk_sealed(Sealed::new(segment, index));
        }
        let end = if entry.end_is_known {
            entry.end
        } else {
            end_before(&segment, first_block(&self.read.log, next.iter())?.boundary)?
        };
        let all = self.read.block_refs(&segment, end)?;
        let is_before = |block_ref: &BlockRef| match self.number {
            Some(number) => block_ref.number < number,
            None => block_ref.end_offset() <= self.position,
        };
        let skipped = all.partition_point(is_before);
        let chain = skipped.checked_sub(1).and_then(|i| all.get(i)).map_or(segment.seed, |block_ref| block_ref.chain);
        let block_refs: Vec<BlockRef> = all.into_iter().skip(skipped).collect();
        if let Some(first) = block_refs.first() {
            self.number = Some(first.number);
        } else if self.number.is_none() {
            return Err(segment.corrupt(end, format!("offset {} must be in it and is not", self.position)));
        }
        self.walk = Some(Walk::Open { segment, block_refs: block_refs.into_iter(), chain, is_finished: true });
        Ok(())
    }

    fn walk_sealed(&mut self, sealed: Sealed) -> Result<(), Error> {
        let (first, blocks) = (sealed.index.first_number, &sealed.index.blocks);
        let next = match self.number {
            Some(number) => usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX).min(blocks.len()),
            None => blocks.partition_point(|block| block.end_offset() <= self.position),
        };
        if self.number.is_none() {
            if next == blocks.len() {
                let what = format!("offset {} must be in it and is not", self.position);
                return Err(sealed.segment.corrupt(sealed.index.frames_end(), what));
            }
            self.number = Some(first + next as u64);
        }
        self.walk = Some(Walk::Sealed { sealed, next });
        Ok(())
    }

    fn open(&self, at: SegmentPath) -> Result<Segment, Error> {
        Segment::open(&self.read.log, at, Access::Read)
    }

    /// Whether that is what must come next.
    fn check(&self, content: Content) -> Result<EncodedBlocks, Error> {
        let encoded = EncodedBlocks { content, from: self.position };
        let (begins, ends) = (encoded.begins(), encoded.ends());
        let in_order = self.number.is_none_or(|number| number == begins.number)
            && begins.offset <= self.position
            && ends.offset >= self.position;
        if in_order {
            return Ok(encoded);
        }
        let expected = self.number.unwrap_or(begins.number);
        let what = format!("block {expected} with offset {} was expected, and {begins} is there", self.position);
        let path = self.walk.as_ref().map(|walk| walk.segment().at.path.clone()).unwrap_or_default();
        Err(Error::corrupt(&path, 0, what))
    }
}

/// How much is taken at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Take {
    /// One block.
    Block,
    /// All blocks of a sealed segment's large frame.
    Frame,
}
