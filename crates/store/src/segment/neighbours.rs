//! Where a segment begins and ends among its neighbours: one ends where the next begins, whatever its file holds beyond.

use crate::{
    disk::{files::Access, layout::SegmentPath, log_files::LogFiles},
    error::Error,
    format::boundary::Boundary,
    segment::file::{Beginning, Segment},
};

/// What the first of these segments that has a block begins with. They begin with the same offset; the others failed before
/// their first block was committed.
///
/// # Errors
/// `Corrupt` when none has a whole first block.
pub(crate) fn first_block<'a>(
    log: &LogFiles,
    segments: impl Iterator<Item = &'a SegmentPath>,
) -> Result<Beginning, Error> {
    let mut last = None;
    for at in segments {
        let segment = Segment::open(log, at.clone(), Access::Read)?;
        if let Some(found) = segment.beginning()? {
            return Ok(found);
        }
        last = Some(segment);
    }
    Err(last.map_or_else(
        || Error::Internal("a segment has one after it or is the last".to_owned()),
        |segment| segment.corrupt(0, "its first block is not whole"),
    ))
}

/// The byte at which `segment`, which is not sealed, ends, given where the segment after it begins. What it holds beyond
/// never counted ("A segment ends where the next begins"); 0 when nothing of it did.
///
/// # Errors
/// `Corrupt` when the two do not join.
pub(crate) fn end_before(segment: &Segment, next: Boundary) -> Result<u64, Error> {
    let mut end = segment.len()?;
    while let Some((_, block_ref)) = segment.last_footer_before(end)? {
        if block_ref.number < next.number {
            return if block_ref.ends() == next {
                Ok(block_ref.end())
            } else {
                Err(segment.corrupt(block_ref.end(), block_ref.ends().is_not_followed_by(next)))
            };
        }
        end = block_ref.start;
    }
    if segment.was_sealed()? {
        return Err(segment.corrupt(segment.len()?, "this segment was sealed, and its index is not at its end"));
    }
    if segment.at.first_offset == next.offset {
        return Ok(0);
    }
    Err(segment.corrupt(0, format!("it holds no block before number {}, where the next segment begins", next.number)))
}
