//! Reads a stream forward, block by block: from memory near the end, from the files further back, without a seam.

use std::{sync::Arc, vec};

use lakehead_model::Offset;

use crate::{
    Block, Error,
    data_frame::Decompressor,
    files::Access,
    layout::SegmentPath,
    published::{Kept, Whereabouts},
    recovery::{end_before, first_block},
    segment::{Place, Segment},
    stream::Inner,
};

/// Reads the committed events of a stream from an offset on. Many may read at once; none slows the writer, and each holds
/// at most a block and the places of one segment's blocks.
#[derive(Debug)]
pub struct Reader {
    stream: Arc<Inner>,
    /// The offset of the next event to be given.
    position: Offset,
    /// The number of the next block, once one has been found.
    number: Option<u64>,
    walk: Option<Walk>,
    /// The finished segment that has been read to its end.
    read_through: Option<SegmentPath>,
    decompressor: Option<Decompressor>,
    buffer: Vec<u8>,
}

/// A segment being read.
#[derive(Debug)]
struct Walk {
    segment: Segment,
    places: vec::IntoIter<Place>,
    /// The chain before the next of them.
    chain: u64,
    is_finished: bool,
}

impl Reader {
    pub(crate) fn new(stream: Arc<Inner>, from: Offset) -> Self {
        Self {
            stream,
            position: from,
            number: None,
            walk: None,
            read_through: None,
            decompressor: None,
            buffer: Vec::new(),
        }
    }

    /// The offset of the next event that [`next`](Self::next) will give.
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
        let next = self.find_next();
        if next.is_err() {
            self.walk = None;
        }
        next
    }

    fn find_next(&mut self) -> Result<Option<Arc<Block>>, Error> {
        loop {
            if let Some(block) = self.next_of_walk()? {
                return self.give(Arc::new(block)).map(Some);
            }
            let whereabouts = {
                let published = self.stream.published();
                match self.number {
                    None => published.find_offset(self.position),
                    Some(number) => published.find_number(number, self.position, self.read_through.as_ref()),
                }
            };
            match whereabouts {
                Whereabouts::AtTheEnd { next_number } => {
                    self.number = Some(next_number);
                    return Ok(None);
                }
                Whereabouts::Memory(block) => {
                    self.walk = None;
                    return self.give(block).map(Some);
                }
                Whereabouts::Last { at, places, chain_before } => self.walk_last(at, places, chain_before)?,
                Whereabouts::Finished { kept, next } => self.walk_finished(&kept, &next)?,
                Whereabouts::OutOfRange { start, end } => {
                    let (stream, asked) = (self.stream.name.clone(), self.position);
                    return Err(Error::OffsetOutOfRange { stream, asked, start, end });
                }
            }
        }
    }

    fn next_of_walk(&mut self) -> Result<Option<Block>, Error> {
        let Some(walk) = &mut self.walk else { return Ok(None) };
        let Some(place) = walk.places.next() else {
            if walk.is_finished {
                self.read_through = Some(walk.segment.at.clone());
                self.walk = None;
            }
            return Ok(None);
        };
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new().map_err(Error::io("decompress", &walk.segment.at.path))?),
        };
        let block = walk.segment.block(&place, walk.chain, decompressor, &mut self.buffer)?;
        walk.chain = place.chain;
        Ok(Some(block))
    }

    fn walk_last(&mut self, at: SegmentPath, places: Vec<Place>, chain_before: Option<u64>) -> Result<(), Error> {
        let segment = match self.walk.take() {
            Some(walk) if walk.segment.at == at => walk.segment,
            _ => self.open(at)?,
        };
        let chain = chain_before.unwrap_or(segment.seed);
        self.walk = Some(Walk { segment, places: places.into_iter(), chain, is_finished: false });
        Ok(())
    }

    /// Finds the blocks of a finished segment from the next one to be read on; none when it has been read through.
    fn walk_finished(&mut self, kept: &Kept, next: &[SegmentPath]) -> Result<(), Error> {
        let segment = self.open(kept.at.clone())?;
        let end = if kept.end_is_known {
            kept.end
        } else {
            let first = first_block(&*self.stream.files, &self.stream.name, next.iter())?;
            end_before(&segment, &first.1)?
        };
        let all = segment.places(end)?;
        let is_before = |place: &Place| match self.number {
            Some(number) => place.number < number,
            None => place.end_offset() <= self.position,
        };
        let skipped = all.partition_point(|(_, place)| is_before(place));
        let chain = skipped.checked_sub(1).and_then(|i| all.get(i)).map_or(segment.seed, |(_, place)| place.chain);
        let places: Vec<Place> = all.into_iter().skip(skipped).map(|(_, place)| place).collect();
        if let Some(first) = places.first() {
            self.number = Some(first.number);
        } else if self.number.is_none() {
            return Err(segment.corrupt(end, format!("offset {} must be in it and is not", self.position)));
        }
        self.walk = Some(Walk { segment, places: places.into_iter(), chain, is_finished: true });
        Ok(())
    }

    fn open(&self, at: SegmentPath) -> Result<Segment, Error> {
        Segment::open(&*self.stream.files, &self.stream.name, at, Access::Read)
    }

    fn give(&mut self, block: Arc<Block>) -> Result<Arc<Block>, Error> {
        let in_order = self.number.is_none_or(|number| number == block.number)
            && block.first_offset <= self.position
            && block.end_offset() >= self.position;
        if !in_order {
            let expected = self.number.unwrap_or(block.number);
            let what = format!(
                "block {expected} with offset {} was expected, and block {} from offset {} is there",
                self.position, block.number, block.first_offset
            );
            let path = self.walk.as_ref().map(|walk| walk.segment.at.path.clone()).unwrap_or_default();
            return Err(Error::corrupt(&path, 0, what));
        }
        self.number = Some(block.number + 1);
        let block = if block.first_offset < self.position { Arc::new(block.slice_from(self.position)) } else { block };
        self.position = block.end_offset();
        Ok(block)
    }
}
