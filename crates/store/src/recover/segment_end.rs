//! The end of a segment that was being written when its process ended: which blocks are good, and which bytes are a torn tail.
//!
//! ```text
//!   …──[block]──[block]──[block]──[block]──[bl…        the last segment
//!            anchor ┘  ╰─ verified, unproven ───╯ └ torn
//!      < greatest synced_blocks  ≥ greatest synced_blocks
//! ```
//!
//! Damage below `synced_blocks` is corruption; at or above it, it is a torn tail (docs/formats/segment.md, "Opening").

use crate::{
    error::Error,
    segment::file::{FoundFooter, Segment},
};

/// What the end of a segment is.
#[derive(Debug)]
pub(crate) struct SegmentEnd {
    /// The byte after the last good block; 0 when there is none.
    pub(crate) good_end: u64,
    /// The first byte that no footer proves to have been synced.
    pub(crate) unproven_from: u64,
    /// The file's length.
    pub(crate) file_len: u64,
    /// The last good footer.
    pub(crate) last: Option<FoundFooter>,
    /// Blocks below this number were synced, as a footer in the file says.
    pub(crate) synced_blocks: u64,
}

/// Classifies the end of `segment`; reads only.
///
/// # Errors
/// `Corrupt` when something is damaged that a later footer proves to have been synced.
pub(crate) fn classify(segment: &Segment) -> Result<SegmentEnd, Error> {
    let file_len = segment.len()?;
    let (mut synced_blocks, mut synced_to) = (0, segment.at.first_offset);
    let mut above: Vec<FoundFooter> = Vec::new();
    let mut anchor = None;
    let mut end = file_len;
    while let Some((footer, block_ref)) = segment.last_footer_before(end)? {
        synced_blocks = synced_blocks.max(footer.synced_blocks);
        synced_to = synced_to.max(footer.synced_to);
        end = block_ref.start;
        if footer.number < synced_blocks {
            anchor = Some((footer, block_ref));
            break;
        }
        above.push((footer, block_ref));
    }
    let mut good_end = anchor.as_ref().map_or(0, |(_, block_ref)| block_ref.end());
    let unproven_from = good_end;
    let mut chain = anchor.as_ref().map_or(segment.seed, |(_, block_ref)| block_ref.chain);
    let mut last = anchor;
    for (footer, block_ref) in above.into_iter().rev() {
        let in_order = match &last {
            Some((_, before)) => before.ends() == block_ref.begins(),
            None => block_ref.first_offset == segment.at.first_offset,
        };
        if block_ref.start != good_end || !in_order || !segment.verify(&block_ref, chain)? {
            break;
        }
        good_end = block_ref.end();
        chain = block_ref.chain;
        last = Some((footer, block_ref));
    }
    let lost = match &last {
        Some((_, block_ref)) => block_ref.number + 1 < synced_blocks,
        None => synced_to > segment.at.first_offset,
    };
    if lost {
        return Err(synced_but_gone(segment, good_end, synced_blocks));
    }
    Ok(SegmentEnd { good_end, unproven_from, file_len, last, synced_blocks })
}

pub(crate) fn synced_but_gone(segment: &Segment, at: u64, synced_blocks: u64) -> Error {
    let what =
        format!("a later footer proves that all blocks below number {synced_blocks} were synced, and one is not here");
    segment.corrupt(at, what)
}
