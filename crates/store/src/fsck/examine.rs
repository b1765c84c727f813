//! One segment under examination: every checksum, every frame, every line; what is good, and what is lost between.

use std::ops::Range;

use lakehead_model::{Offset, Timestamp};

use crate::{
    disk::{files::Access, layout::SegmentPath, log_files::LogFiles},
    error::Error,
    format::{
        boundary::Boundary,
        data_frame::{self, Decompressor},
        index::Index,
    },
    fsck::finding::{Finding, Severity},
    segment::{
        blocks::Proof,
        file::{Beginning, FoundFooter, Segment},
        neighbours::first_block,
        sealed::read_frame,
        summary::Summary,
    },
};

const AS_NULL: &str =
    "these events are put in as null, so that every other keeps its offset; the file is kept in the quarantine";

/// Where a segment ends: what the next one must go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) boundary: Boundary,
    pub(super) raw_end: u64,
    pub(super) received_last: Timestamp,
}

/// What was found in one segment.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) at: SegmentPath,
    /// Where it begins, and where it ends; `None` when nothing of it tells.
    pub(super) begins: Option<Boundary>,
    pub(super) tail: Option<Tail>,
    pub(super) raw_before: Option<u64>,
    pub(super) received_first: Option<Timestamp>,
    /// Of a finished segment without damage.
    pub(super) summary: Option<Summary>,
    pub(super) good_blocks: u64,
    pub(super) good_events: u64,
    pub(super) findings: Vec<Finding>,
}

/// A segment's blocks as far as they can be told.
#[derive(Debug)]
pub(super) enum Contents {
    /// Blocks with footers that prove themselves, in order, each with whether its data is good, and the byte up to which
    /// the segment counts.
    Open { blocks: Vec<(FoundFooter, bool)>, counts_to: u64, torn_from: Option<u64> },
    /// Large frames, each with whether it is good.
    Sealed { index: Index, frames: Vec<bool> },
    /// It was sealed, and its index is gone.
    Unindexed,
}

/// Examines the segment at `at`; `next` are those after it. `None` when the file has gone meanwhile.
pub(super) fn examine(log: &LogFiles, at: &SegmentPath, next: &[&SegmentPath]) -> Result<Option<Examined>, Error> {
    let segment = match Segment::open(log, at.clone(), Access::Read) {
        Ok(segment) => segment,
        // Retention may be at work.
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let next = next_of(log, next);
    let next_begins = next.beginning();
    let contents = contents(&segment, next)?;
    let mut examined = Examined {
        at: at.clone(),
        begins: None,
        tail: None,
        raw_before: None,
        received_first: None,
        summary: None,
        good_blocks: 0,
        good_events: 0,
        findings: Vec::new(),
    };
    match contents {
        Contents::Open { blocks, counts_to, torn_from } => {
            examined.open(&segment, &blocks, counts_to, torn_from, next_begins)?;
        }
        Contents::Sealed { index, frames } => examined.sealed(&index, &frames),
        Contents::Unindexed => {
            let lost = (at.first_offset, next_begins.map_or(at.first_offset, |next| next.boundary.offset));
            let what = "this segment was sealed, and its index is damaged or gone".to_owned();
            let repair = "its frames are read without it: events are kept, block borders and times are not".to_owned();
            examined.damage(segment.len()?, what, lost, &repair);
        }
    }
    Ok(Some(examined))
}

/// What comes after a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing with a block in it: this is the last.
    Nothing,
    /// A segment that begins there.
    Begins(Beginning),
    /// A segment of which the beginning cannot be read.
    Damaged,
}

impl Next {
    pub(super) fn beginning(self) -> Option<Beginning> {
        match self {
            Self::Begins(beginning) => Some(beginning),
            Self::Nothing | Self::Damaged => None,
        }
    }
}

/// What comes first of the segments `next`.
pub(super) fn next_of(log: &LogFiles, next: &[&SegmentPath]) -> Next {
    let Some(first) = next.first() else { return Next::Nothing };
    let same = next.iter().copied().take_while(|at| at.first_offset == first.first_offset);
    if let Ok(beginning) = first_block(log, same) {
        return Next::Begins(beginning);
    }
    let holds_something = |at: &&SegmentPath| {
        let segment = Segment::open(log, SegmentPath::clone(at), Access::Read)?;
        Ok::<_, Error>(segment.was_sealed()? || segment.last_footer_before(segment.len()?)?.is_some())
    };
    match next.iter().any(|at| holds_something(at).unwrap_or(true)) {
        true => Next::Damaged,
        false => Next::Nothing,
    }
}

/// Reads all there is in a segment.
pub(super) fn contents(segment: &Segment, next: Next) -> Result<Contents, Error> {
    match segment.index() {
        Ok(Some(index)) => {
            let frames = good_frames(segment, &index)?;
            return Ok(Contents::Sealed { index, frames });
        }
        Err(error @ (Error::NewerSegment { .. } | Error::Io { .. })) => return Err(error),
        Err(_) => return Ok(Contents::Unindexed),
        Ok(None) if segment.was_sealed()? => return Ok(Contents::Unindexed),
        Ok(None) => {}
    }
    let file_len = segment.len()?;
    let mut blocks: Vec<(FoundFooter, bool)> = Vec::new();
    let mut end = file_len;
    while let Some(found) = segment.last_footer_before(end)? {
        end = found.1.start;
        blocks.push((found, false));
    }
    blocks.reverse();
    if blocks.is_empty() && next != Next::Nothing && !frames_of(segment)?.is_empty() {
        return Ok(Contents::Unindexed);
    }
    // What does not count: beyond where the next segment begins.
    if let Some(next) = next.beginning() {
        blocks.retain(|((_, block_ref), _)| block_ref.number < next.boundary.number);
    }
    prove(segment, &mut blocks)?;
    let mut torn_from = None;
    if next == Next::Nothing {
        let good_end = cut_torn_tail(segment, &mut blocks);
        torn_from = Some(good_end).filter(|end| *end < file_len);
    }
    let counts_to = blocks.last().map_or(0, |((_, block_ref), _)| block_ref.end());
    Ok(Contents::Open { blocks, counts_to, torn_from })
}

/// Finds out of each block whether its data is good.
fn prove(segment: &Segment, blocks: &mut [(FoundFooter, bool)]) -> Result<(), Error> {
    let mut decompressor = Decompressor::new().map_err(Error::io("decompress", &segment.at.path))?;
    let mut before: Option<(u64, u64)> = Some((0, segment.seed));
    for ((_, block_ref), good) in blocks {
        *good = match before {
            Some((at, chain)) if at == block_ref.start => segment.verify(block_ref, chain)?,
            // The block before it is not there: the footer proves itself, and zstd's own checksum the data.
            _ => {
                let bytes = segment.read(block_ref.start, block_ref.footer_start())?;
                let payload = decompressor.decompress(&bytes, block_ref.raw_len as usize);
                payload.is_some_and(|payload| data_frame::line_ends(&payload, block_ref.count as usize).is_some())
            }
        };
        before = Some((block_ref.end(), block_ref.chain));
    }
    Ok(())
}

/// At the end of the last segment, what is not proven to have been synced is a torn tail when it is not good: leaves it out of
/// `blocks`, and answers where it begins.
fn cut_torn_tail(segment: &Segment, blocks: &mut Vec<(FoundFooter, bool)>) -> u64 {
    let synced_blocks = blocks.iter().map(|((footer, _), _)| footer.synced_blocks).max().unwrap_or(0);
    let synced_to = blocks.iter().map(|((footer, _), _)| footer.synced_to).max();
    let (mut good_end, mut keep) = (0, 0);
    let mut kept_to: Option<u64> = None;
    for ((_, block_ref), good) in &*blocks {
        let proven = block_ref.number < synced_blocks;
        // What lies before this block and is not whole was synced, as a footer says: it is damage, and this block, which a
        // clean stop may have left as that proof, is no part of a torn tail.
        let is_damage = kept_to.map_or(synced_to > Some(segment.at.first_offset), |to| to < synced_blocks);
        if !proven && (!*good || (block_ref.start != good_end && !is_damage)) {
            break;
        }
        good_end = block_ref.end();
        kept_to = Some(block_ref.number + 1);
        keep += 1;
    }
    blocks.truncate(keep);
    good_end
}

fn good_frames(segment: &Segment, index: &Index) -> Result<Vec<bool>, Error> {
    let mut decompressor = Decompressor::new().map_err(Error::io("decompress", &segment.at.path))?;
    let (mut buffer, mut memory) = (Vec::new(), Vec::new());
    let mut good = Vec::with_capacity(index.frames.len());
    for (i, frame) in index.frames.iter().enumerate() {
        let payload = match read_frame(segment, frame, memory, &mut decompressor, &mut buffer, Proof::Both) {
            Ok(payload) => payload,
            Err(Error::Corrupt { .. }) => {
                good.push(false);
                memory = Vec::new();
                continue;
            }
            Err(error) => return Err(error),
        };
        let end = index.frames.get(i + 1).map_or(index.blocks.len(), |next| next.first_block);
        let blocks = index.blocks.get(frame.first_block..end).unwrap_or(&[]);
        let mut at = 0;
        good.push(blocks.iter().all(|block| {
            let bytes = payload.get(at..at + block.raw_len as usize).unwrap_or(&[]);
            at += block.raw_len as usize;
            data_frame::line_ends(bytes, block.count as usize).is_some()
        }));
        memory = payload.try_into_mut().map_or_else(|_| Vec::new(), Vec::from);
    }
    Ok(good)
}

impl Examined {
    fn damage(&mut self, at: u64, what: String, lost: (Offset, Offset), repair: &str) {
        self.findings.push(Finding::damage(&self.at.path, at, what, lost, repair));
    }

    fn notice(&mut self, at: u64, what: String, repair: &str) {
        self.findings.push(Finding::notice(&self.at.path, at, what, repair));
    }

    fn open(
        &mut self,
        segment: &Segment,
        blocks: &[(FoundFooter, bool)],
        counts_to: u64,
        torn_from: Option<u64>,
        next_begins: Option<Beginning>,
    ) -> Result<(), Error> {
        let file_len = segment.len()?;
        let first = Boundary { number: 0, offset: self.at.first_offset };
        let mut end: (u64, Option<Boundary>) = (0, None);
        for ((footer, block_ref), good) in blocks {
            let (begins, hole) = (block_ref.begins(), end.0..block_ref.start);
            let expected = end.1.unwrap_or(Boundary { number: begins.number, ..first });
            if !hole.is_empty() {
                let what = format!("{} bytes here are no block; {begins} comes after them", hole.end - hole.start);
                self.damage(hole.start, what, (expected.offset, begins.offset), AS_NULL);
            } else if expected != begins {
                let what = format!("{expected} was expected next, and {begins} is there");
                self.damage(block_ref.start, what, (expected.offset, begins.offset), AS_NULL);
            }
            if *good {
                self.good_blocks += 1;
                self.good_events += u64::from(block_ref.count);
            } else {
                let what = format!("block {} fails its checksum", block_ref.number);
                self.damage(block_ref.start, what, (block_ref.first_offset, block_ref.end_offset()), AS_NULL);
            }
            end = (block_ref.end(), Some(block_ref.ends()));
            self.tail = Some(Tail {
                boundary: block_ref.ends(),
                raw_end: footer.raw_before + u64::from(footer.raw_len),
                received_last: footer.received_time,
            });
        }
        if let Some(((footer, block_ref), _)) = blocks.first() {
            self.begins = Some(block_ref.begins());
            self.raw_before = Some(footer.raw_before);
            self.received_first = Some(footer.received_time);
        }
        self.open_end(file_len, counts_to, torn_from, next_begins);
        let block_refs: Vec<_> = blocks.iter().map(|((_, block_ref), _)| *block_ref).collect();
        let whole = self.findings.iter().all(|finding| finding.severity < Severity::Damage);
        // Of the last, too: the inventory names it where the file after it is gone or cannot be read, and it is whole for that.
        if let Some(raw_before) = self.raw_before.filter(|_| whole) {
            self.summary = Summary::of_blocks(&block_refs, raw_before);
        }
        Ok(())
    }

    /// What is wrong at the end of a segment with footers.
    fn open_end(&mut self, file_len: u64, counts_to: u64, torn_from: Option<u64>, next_begins: Option<Beginning>) {
        if let Some(torn_from) = torn_from {
            let what = format!(
                "a tail of {} bytes that is not known to have been synced and is not whole",
                file_len - torn_from
            );
            self.notice(torn_from, what, "the next opening moves it to the quarantine; nothing of it was ever shown");
        }
        match (next_begins, self.tail) {
            (Some(Beginning { boundary: next, raw_before }), Some(tail))
                if counts_to < file_len && tail.boundary.number < next.number =>
            {
                let what = format!("{} was expected next, and nothing whole follows up to {next}", tail.boundary);
                self.damage(counts_to, what, (tail.boundary.offset, next.offset), AS_NULL);
                // Said here; the boundary itself is then in order.
                self.tail = Some(Tail { boundary: next, raw_end: raw_before, ..tail });
            }
            (Some(_), Some(_)) if counts_to < file_len => {
                let what = format!("{} bytes after its end never counted: a write failed here", file_len - counts_to);
                self.notice(counts_to, what, "they may stay; an opening while it was the last but one moves them away");
            }
            (Some(Beginning { boundary: next, .. }), None) if next.offset > self.at.first_offset => {
                let what = "no block in it is whole".to_owned();
                self.damage(0, what, (self.at.first_offset, next.offset), AS_NULL);
            }
            _ => {}
        }
    }

    fn sealed(&mut self, index: &Index, frames: &[bool]) {
        for (i, (frame, good)) in index.frames.iter().zip(frames).enumerate() {
            let end = index.frames.get(i + 1).map_or(index.blocks.len(), |next| next.first_block);
            let blocks = index.blocks.get(frame.first_block..end).unwrap_or(&[]);
            let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { continue };
            if *good {
                self.good_blocks += blocks.len() as u64;
                self.good_events += last.end_offset().since(first.first_offset);
            } else {
                let what = format!("the large frame with {} blocks that begins here fails its checksum", blocks.len());
                self.damage(frame.start, what, (first.first_offset, last.end_offset()), AS_NULL);
            }
        }
        self.begins = Some(index.begins());
        self.raw_before = Some(index.raw_before);
        self.received_first = index.blocks.first().map(|block| block.received_time);
        self.tail = index.blocks.last().map(|last| Tail {
            boundary: index.ends(),
            raw_end: index.raw_before + index.raw_bytes(),
            received_last: last.received_time,
        });
        self.summary = self.findings.is_empty().then(|| Summary::of_index(index));
    }
}

/// The byte ranges of the zstd frames of a file, up to the first that is none.
pub(super) fn frames_of(segment: &Segment) -> Result<Vec<Range<u64>>, Error> {
    let len = segment.len()?;
    let mut frames = Vec::new();
    let mut at = 0;
    while at < len {
        let mut want = (8_u64 << 20).min(len - at);
        let frame = loop {
            let bytes = segment.read(at, at + want)?;
            match data_frame::frame_len(&bytes) {
                Some(frame) => break Some(frame as u64),
                None if want == len - at => break None,
                None => want = (want * 4).min(len - at),
            }
        };
        let Some(frame) = frame else { break };
        frames.push(at..at + frame);
        at += frame;
    }
    Ok(frames)
}
