//! Opening a stream: where does it stand, and what of its end can be believed?
//!
//! ```text
//!   the inventory, the folders ─▶ the last segment with a block ─▶ its end ─▶ mended, where it may be ─▶ the one before it
//! ```
//!
//! Only the end of the last segment is in doubt (docs/formats/segment.md, "Opening"); [`segment_end`] decides on it and
//! changes nothing. Here is who acts: corruption stops the opening and nothing is cut; a torn tail goes to the quarantine.

use std::path::PathBuf;

use lakehead_model::Offset;

use crate::{
    disk::{files::Access, log_files::LogFiles},
    error::Error,
    format::{boundary::Boundary, index::Index, key::IdempotencyKey},
    recover::{
        evidence::Standing,
        inventory::{self, InventoryFile},
        leftovers,
        listing::{self, ListedSegment},
        log_end::LogEnd,
        mending::{cut_tail, set_segment_aside, write_again},
        segment_end::{self, SegmentEnd, synced_but_gone},
    },
    segment::{
        block_ref::BlockRef,
        blocks::Walked,
        file::{FoundFooter, Segment},
        neighbours::{end_before, first_block},
        summary::Summary,
    },
};

/// What an opened stream starts from.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) log_end: LogEnd,
    /// The segments in order, each with the bytes of it that count.
    pub(crate) segments: Vec<ListedSegment>,
    /// The last segment, when there is one.
    pub(crate) last: Option<LastSegment>,
    /// Bytes of events before the first segment, and before the last.
    pub(crate) raw_before: u64,
    pub(crate) raw_before_last: u64,
    /// The number of the first block.
    pub(crate) first_number: u64,
    /// The idempotency keys of the last two segments, oldest first.
    pub(crate) keys: Vec<IdempotencyKey>,
    /// What was cut, and where it is now.
    pub(crate) quarantined: Vec<PathBuf>,
    /// What the inventory said.
    pub(crate) inventory: InventoryFile,
}

impl Recovered {
    /// Where the log stands, by its files.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            start: self.segments.first().map(|known| known.at.first_offset),
            end: Boundary { number: self.log_end.next_number, offset: self.log_end.next_offset },
        }
    }
}

/// The last segment as it was found.
#[derive(Debug)]
pub(crate) struct LastSegment {
    pub(crate) segment: Segment,
    /// Its blocks; none when it is sealed.
    pub(crate) block_refs: Vec<BlockRef>,
    /// Whether blocks may be added to it: not when a torn tail could not be cut.
    pub(crate) can_grow: bool,
    /// Whether its last footers are not yet covered by a later one's `synced_blocks`.
    pub(crate) unmarked: bool,
    /// Whether something was cut from its end. A footer in that may have been the only proof of what was synced, so the
    /// first thing to be written is a new one.
    pub(crate) was_cut: bool,
}

/// The last segment with something in it.
#[expect(clippy::large_enum_variant, reason = "there is one, for a moment")]
enum LastFound {
    /// It is sealed: nothing of it is in doubt.
    Sealed(Segment, Index),
    /// Blocks with footers; the last whole one.
    Open(Segment, SegmentEnd, FoundFooter),
}

/// Opens the log and, with [`Access::Write`], mends its end.
pub(crate) fn open(log: &LogFiles, access: Access) -> Result<Recovered, Error> {
    if access == Access::Write {
        leftovers::sweep(log)?;
    }
    // Before the folders: retention may be at work beside, and lets the inventory forget first.
    let inventory = inventory::read(log)?;
    let known = match &inventory {
        InventoryFile::Whole(known) => Some(known),
        InventoryFile::Missing | InventoryFile::Damaged => None,
    };
    let mut segments = listing::segments(log, known)?;
    let (last, without_block) = find_last(log, &mut segments, access)?;
    let log_end = match &last {
        None => LogEnd::default(),
        Some(LastFound::Sealed(_, index)) => LogEnd::after_index(index),
        Some(LastFound::Open(_, _, footer)) => LogEnd::after(&footer.0),
    };
    check_without_block(&without_block, &log_end)?;
    let mut repair = Repair { log, access, quarantined: Vec::new() };
    repair.set_aside(&without_block)?;
    let Some(last) = last else { return Ok(nothing(repair.quarantined, inventory)) };
    let OpenedLast { last, begins, raw_before: raw_before_last, end, summary, keys: keys_last } =
        repair.open_last(last)?;
    if let Some(known) = segments.last_mut() {
        known.summary = summary.or(known.summary);
    }
    let mut keys = repair.before_last(&mut segments, begins)?;
    keys.extend(keys_last);
    if let Some(known) = segments.last_mut() {
        known.len = end;
    }
    let first_offset = segments.first().map(|known| known.at.first_offset);
    let same_start = segments.iter().map(|known| &known.at).take_while(|at| Some(at.first_offset) == first_offset);
    let first = first_block(log, same_start)?;
    let (raw_before, first_number) = (first.raw_before, first.boundary.number);
    let quarantined = repair.quarantined;
    let last = Some(last);
    Ok(Recovered { log_end, segments, last, raw_before, raw_before_last, first_number, keys, quarantined, inventory })
}

fn nothing(quarantined: Vec<PathBuf>, inventory: InventoryFile) -> Recovered {
    let (log_end, segments, keys) = Default::default();
    let (raw_before, raw_before_last, first_number) = (0, 0, 0);
    let last = None;
    Recovered { log_end, segments, last, raw_before, raw_before_last, first_number, keys, quarantined, inventory }
}

/// A segment without a good block, and what was found at its end.
type WithoutBlock = (Segment, SegmentEnd);

/// The last segment with a good block, and those after it, which are taken from `segments`.
///
/// # Errors
/// `Corrupt` when something is damaged that is proven to have been synced, or that was sealed.
fn find_last(
    log: &LogFiles,
    segments: &mut Vec<ListedSegment>,
    access: Access,
) -> Result<(Option<LastFound>, Vec<WithoutBlock>), Error> {
    let mut without_block = Vec::new();
    while let Some(ListedSegment { at, .. }) = segments.last() {
        let segment = Segment::open(log, at.clone(), access)?;
        if let Some(index) = segment.index()? {
            return Ok((Some(LastFound::Sealed(segment, index)), without_block));
        }
        let mut end = segment_end::classify(&segment)?;
        if let Some(last) = end.last.take() {
            return Ok((Some(LastFound::Open(segment, end, last)), without_block));
        }
        if segment.was_sealed()? {
            return Err(segment.corrupt(end.file_len, "this segment was sealed, and its index is not at its end"));
        }
        without_block.push((segment, end));
        segments.pop();
    }
    Ok((None, without_block))
}

/// Whether segments without a good block may be taken out of a log that ends at `log_end`.
///
/// # Errors
/// `Corrupt` when one of them proves that something is missing.
fn check_without_block(segments: &[WithoutBlock], log_end: &LogEnd) -> Result<(), Error> {
    for (segment, end) in segments {
        if end.synced_blocks > log_end.next_number {
            return Err(synced_but_gone(segment, 0, end.synced_blocks));
        }
        if segment.at.first_offset > log_end.next_offset {
            let what =
                format!("it holds no good block, and the stream before it ends at offset {}", log_end.next_offset);
            return Err(segment.corrupt(0, what));
        }
    }
    Ok(())
}

/// What opening changes, where it may.
struct Repair<'a> {
    log: &'a LogFiles,
    access: Access,
    quarantined: Vec<PathBuf>,
}

/// The last segment, opened.
struct OpenedLast {
    last: LastSegment,
    begins: Boundary,
    /// Bytes of all the stream's events before it.
    raw_before: u64,
    /// Bytes of it that count.
    end: u64,
    /// Of a sealed one.
    summary: Option<Summary>,
    keys: Vec<IdempotencyKey>,
}

impl Repair<'_> {
    /// Takes segments without a good block out of the log.
    fn set_aside(&mut self, segments: &[WithoutBlock]) -> Result<(), Error> {
        if self.access == Access::Read {
            return Ok(());
        }
        for (segment, end) in segments {
            set_segment_aside(self.log, segment, end.file_len, &mut self.quarantined)?;
        }
        Ok(())
    }

    /// Mends the end of the last segment and finds its blocks.
    fn open_last(&mut self, found: LastFound) -> Result<OpenedLast, Error> {
        match found {
            LastFound::Sealed(segment, index) => {
                let end = segment.len()?;
                let last =
                    LastSegment { segment, block_refs: Vec::new(), can_grow: false, unmarked: false, was_cut: false };
                let (begins, summary) = (index.begins(), Some(Summary::of_index(&index)));
                Ok(OpenedLast { last, begins, raw_before: index.raw_before, end, summary, keys: index.keys })
            }
            LastFound::Open(segment, found_end, (footer, _)) => {
                let can_grow = self.mend_end(&segment, &found_end)?;
                let Walked { block_refs, keys, raw_before, .. } = segment.walk(found_end.good_end)?;
                let begins = block_refs.first().map_or(Boundary { number: 0, offset: Offset(0) }, BlockRef::begins);
                let unmarked = footer.count > 0 || footer.synced_blocks < footer.number;
                let was_cut = self.access == Access::Write && found_end.good_end < found_end.file_len;
                let last = LastSegment { segment, block_refs, can_grow, unmarked, was_cut };
                Ok(OpenedLast { last, begins, raw_before, end: found_end.good_end, summary: None, keys })
            }
        }
    }

    /// Writes the unproven blocks again and cuts the torn tail; answers whether the segment can grow.
    fn mend_end(&mut self, segment: &Segment, end: &SegmentEnd) -> Result<bool, Error> {
        if self.access == Access::Read {
            return Ok(true);
        }
        let mut can_grow = true;
        write_again(segment, end.unproven_from, end.good_end)?;
        if end.good_end < end.file_len {
            can_grow = self.cut(segment, end.good_end, end.file_len);
        }
        if end.unproven_from < end.good_end {
            self.log.sync_folders_to(&segment.at.path)?;
        }
        Ok(can_grow)
    }

    /// Finds the segment before the last, which begins at `begins`, cuts what it holds beyond, and answers its keys. Those
    /// that hold nothing that counts are set aside.
    fn before_last(
        &mut self,
        segments: &mut Vec<ListedSegment>,
        begins: Boundary,
    ) -> Result<Vec<IdempotencyKey>, Error> {
        while let Some(index) = segments.len().checked_sub(2) {
            let Some(ListedSegment { at, .. }) = segments.get(index).cloned() else { break };
            let before = Segment::open(self.log, at, self.access)?;
            if let Some(found) = before.index()? {
                if found.ends() != begins {
                    return Err(before.corrupt(before.len()?, found.ends().is_not_followed_by(begins)));
                }
                if let Some(known) = segments.get_mut(index) {
                    known.len = before.len()?;
                    known.summary = Some(Summary::of_index(&found));
                }
                return Ok(found.keys);
            }
            let (end, file_len) = (end_before(&before, begins)?, before.len()?);
            if end > 0 {
                if end < file_len && self.access == Access::Write {
                    self.cut(&before, end, file_len);
                }
                let walked = before.walk(end)?;
                if let Some(known) = segments.get_mut(index) {
                    known.len = end;
                    known.summary = Summary::of_blocks(&walked.block_refs, walked.raw_before);
                }
                return Ok(walked.keys);
            }
            if self.access == Access::Write {
                set_segment_aside(self.log, &before, file_len, &mut self.quarantined)?;
            }
            segments.remove(index);
        }
        Ok(Vec::new())
    }

    fn cut(&mut self, segment: &Segment, from: u64, until: u64) -> bool {
        cut_tail(self.log, segment, from, until, &mut self.quarantined)
    }
}
