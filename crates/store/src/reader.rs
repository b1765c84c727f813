//! Reads a stream forward, block by block: from memory near the end, from the files further back, without a seam.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    vec,
};

use lakehead_model::Offset;

use crate::{
    Block, Error, Only,
    data_frame::Decompressor,
    files::Access,
    layout::SegmentPath,
    published::{Kept, Whereabouts},
    recovery::{end_before, first_block},
    sealed::Sealed,
    segment::{Border, Place, Segment},
    stream::Inner,
};

/// Reads the committed events of a stream from an offset on. Many may read at once; none slows the writer, and each holds
/// at most a block, or a large frame of a sealed segment, and the places of one segment's blocks. While it is there,
/// retention leaves what it has not read yet.
#[derive(Debug)]
pub struct Reader {
    stream: Arc<Inner>,
    /// The offset of the next event to be given.
    position: Offset,
    /// The same for those who ask whether the log is still needed there.
    held: Arc<Held>,
    only: Only,
    /// The number of the next block, once one has been found.
    number: Option<u64>,
    walk: Option<Walk>,
    /// The finished segment that has been read to its end.
    read_through: Option<SegmentPath>,
    decompressor: Option<Decompressor>,
    buffer: Vec<u8>,
}

/// Where an open reader is; it needs the log from there on.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) by: String,
    pub(crate) from: AtomicU64,
}

/// A segment being read.
#[derive(Debug)]
enum Walk {
    /// Blocks with footers.
    Open {
        segment: Segment,
        places: vec::IntoIter<Place>,
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
    pub(crate) fn new(stream: Arc<Inner>, from: Offset, by: String) -> Self {
        let held = Arc::new(Held { by, from: AtomicU64::new(from.0) });
        stream.hold(&held);
        Self {
            stream,
            position: from,
            held,
            only: Only::default(),
            number: None,
            walk: None,
            read_through: None,
            decompressor: None,
            buffer: Vec::new(),
        }
    }

    /// From now on blocks without anything in these bounds are skipped, most of them unread.
    #[must_use]
    pub fn only(mut self, only: Only) -> Self {
        self.only = only;
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
        let next = self.find_next();
        if next.is_err() {
            self.walk = None;
        }
        self.held.from.store(self.position.0, Ordering::Release);
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
                    None => published.find_offset(self.position, &self.only),
                    Some(number) => {
                        published.find_number(number, self.position, self.read_through.as_ref(), &self.only)
                    }
                }
            };
            match whereabouts {
                Whereabouts::AtTheEnd { next_number } => {
                    self.number = Some(next_number);
                    return Ok(None);
                }
                Whereabouts::Memory(block) => {
                    self.walk = None;
                    let received = (block.received_time, block.received_time);
                    if self.only.admits(received, block.event_time_least.zip(block.event_time_greatest)) {
                        return self.give(block).map(Some);
                    }
                    self.skip(Border { number: block.number + 1, offset: block.end_offset() });
                }
                Whereabouts::Last { at, places, chain_before } => self.walk_last(at, places, chain_before)?,
                Whereabouts::Finished { kept, next } => self.walk_finished(&kept, &next)?,
                Whereabouts::Skipped { at, to } => {
                    self.skip(to);
                    self.read_through = Some(at);
                }
                Whereabouts::OutOfRange { start, end } => {
                    let (stream, asked) = (self.stream.name.clone(), self.position);
                    return Err(Error::OffsetOutOfRange { stream, asked, start, end });
                }
            }
        }
    }

    /// Goes on at `to`.
    fn skip(&mut self, to: Border) {
        self.number = self.number.max(Some(to.number));
        self.position = self.position.max(to.offset);
    }

    fn next_of_walk(&mut self) -> Result<Option<Block>, Error> {
        loop {
            let Some(walk) = &mut self.walk else { return Ok(None) };
            let decompressor = match &mut self.decompressor {
                Some(decompressor) => decompressor,
                none => {
                    let failed = Error::io("decompress", &walk.segment().at.path);
                    none.insert(Decompressor::new().map_err(failed)?)
                }
            };
            let to = match walk {
                Walk::Open { segment, places, chain, is_finished } => {
                    let Some(place) = places.next() else {
                        if *is_finished {
                            self.read_through = Some(segment.at.clone());
                            self.walk = None;
                        }
                        return Ok(None);
                    };
                    let received = (place.received_time, place.received_time);
                    if self.only.admits(received, place.event_times) {
                        let block = segment.block(&place, *chain, decompressor, &mut self.buffer)?;
                        *chain = place.chain;
                        return Ok(Some(block));
                    }
                    *chain = place.chain;
                    place.ends()
                }
                Walk::Sealed { sealed, next } => {
                    let Some(entry) = sealed.index.blocks.get(*next) else {
                        self.read_through = Some(sealed.segment.at.clone());
                        self.walk = None;
                        return Ok(None);
                    };
                    let at = *next;
                    *next += 1;
                    if self.only.admits((entry.received_time, entry.received_time), entry.event_times) {
                        return sealed.block(at, decompressor, &mut self.buffer);
                    }
                    Border { number: sealed.index.first_number + *next as u64, offset: entry.end_offset() }
                }
            };
            self.skip(to);
        }
    }

    fn walk_last(&mut self, at: SegmentPath, places: Vec<Place>, chain_before: Option<u64>) -> Result<(), Error> {
        let segment = match self.walk.take() {
            Some(Walk::Open { segment, .. }) if segment.at == at => segment,
            _ => self.open(at)?,
        };
        let chain = chain_before.unwrap_or(segment.seed);
        if self.number.is_none() {
            self.number = places.first().map(|place| place.number);
        }
        self.walk = Some(Walk::Open { segment, places: places.into_iter(), chain, is_finished: false });
        Ok(())
    }

    /// Finds the blocks of a finished segment from the next one to be read on; none when it has been read through.
    fn walk_finished(&mut self, kept: &Kept, next: &[SegmentPath]) -> Result<(), Error> {
        let segment = self.open(kept.at.clone())?;
        // What it is, the file itself says: it may have been sealed a moment ago.
        if let Some(index) = segment.index()? {
            return self.walk_sealed(Sealed::new(segment, index));
        }
        let end = if kept.end_is_known {
            kept.end
        } else {
            end_before(&segment, first_block(&*self.stream.files, &self.stream.name, next.iter())?.border)?
        };
        let all = segment.walk(end)?.places;
        let is_before = |place: &Place| match self.number {
            Some(number) => place.number < number,
            None => place.end_offset() <= self.position,
        };
        let skipped = all.partition_point(is_before);
        let chain = skipped.checked_sub(1).and_then(|i| all.get(i)).map_or(segment.seed, |place| place.chain);
        let places: Vec<Place> = all.into_iter().skip(skipped).collect();
        if let Some(first) = places.first() {
            self.number = Some(first.number);
        } else if self.number.is_none() {
            return Err(segment.corrupt(end, format!("offset {} must be in it and is not", self.position)));
        }
        self.walk = Some(Walk::Open { segment, places: places.into_iter(), chain, is_finished: true });
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
            let path = self.walk.as_ref().map(|walk| walk.segment().at.path.clone()).unwrap_or_default();
            return Err(Error::corrupt(&path, 0, what));
        }
        self.number = Some(block.number + 1);
        let block = if block.first_offset < self.position { Arc::new(block.slice_from(self.position)) } else { block };
        self.position = block.end_offset();
        Ok(block)
    }
}
