//! A stream's segments in order, by the inventory and the newest folders, or by all folders.

use crate::{
    disk::{layout::SegmentPath, log_files::LogFiles},
    error::Error,
    recover::inventory::{Inventory, Line},
    segment::summary::Summary,
};

/// A segment as it was listed or recorded.
#[derive(Clone, Debug)]
pub(crate) struct ListedSegment {
    pub(crate) at: SegmentPath,
    pub(crate) len: u64,
    /// What the inventory says of it.
    pub(crate) summary: Option<Summary>,
}

/// The stream's segments in order: the finished ones by the `inventory`, where that joins with what lies in the newest
/// folders; by all folders where it does not.
pub(crate) fn segments(log: &LogFiles, inventory: Option<&Inventory>) -> Result<Vec<ListedSegment>, Error> {
    if let Some(inventory) = inventory
        && let Some(known) = extend(log, &inventory.segments)?
    {
        return Ok(known);
    }
    let listed = log.list_segments("")?;
    Ok(listed.into_iter().map(|(at, len)| ListedSegment { at, len, summary: None }).collect())
}

/// The recorded segments and those after them; `None` when the folders say otherwise.
fn extend(log: &LogFiles, lines: &[Line]) -> Result<Option<Vec<ListedSegment>>, Error> {
    let Some(newest) = lines.last().map(|line| line.hour.clone()) else { return Ok(None) };
    let mut known: Vec<ListedSegment> = lines
        .iter()
        .map(|line| {
            let at = log.segment_in(&line.hour, line.first_offset);
            ListedSegment { at, len: line.bytes, summary: Some(line.summary) }
        })
        .collect();
    let Some(first) = known.first() else { return Ok(None) };
    if !log.has(&first.at.path)? {
        return Ok(None);
    }
    let listed = log.list_segments(&newest)?;
    let last = known.last().map(|known| known.at.clone());
    let recorded = listed.partition_point(|(at, _)| Some(at) <= last.as_ref());
    let (before, after) = listed.split_at(recorded);
    // Of the newest recorded hour both must name the same files, with the same lengths.
    let of_that_hour = known.iter().rev().take(before.len()).rev();
    let same = !before.is_empty()
        && before.len() <= known.len()
        && of_that_hour.zip(before).all(|(known, (at, len))| known.at == *at && known.len <= *len);
    if !same {
        return Ok(None);
    }
    known.extend(after.iter().map(|(at, len)| ListedSegment { at: at.clone(), len: *len, summary: None }));
    Ok(Some(known))
}
