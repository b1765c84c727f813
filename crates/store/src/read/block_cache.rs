//! The blocks of segments that another process is still writing, found once by their footers and kept for the next moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use lakehead_model::Name;

use crate::{
    disk::layout::SegmentPath,
    error::Error,
    segment::{block_ref::BlockRef, file::Segment},
};

/// A segment, and the blocks of it that were found.
type KnownBlocks = (SegmentPath, Vec<BlockRef>);

/// The blocks of the segments that were still being written when they were last read, by stream: what is known need not be
/// found again. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct BlockCache {
    known: Arc<Mutex<BTreeMap<Name, KnownBlocks>>>,
}

impl BlockCache {
    /// The blocks of `segment` that end at or before byte `end`, in order.
    ///
    /// # Errors
    /// `Corrupt` when the footers do not follow on each other.
    pub(crate) fn block_refs(&self, stream: &Name, segment: &Segment, end: u64) -> Result<Vec<BlockRef>, Error> {
        // Held while it is read: whoever else wants them waits instead of reading them, too.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut block_refs = match known.remove(stream) {
            Some((at, block_refs)) if at == segment.at => block_refs,
            _ => Vec::new(),
        };
        let known_end = block_refs.last().map_or(0, BlockRef::end);
        if known_end < end {
            if block_refs.is_empty() {
                block_refs = segment.walk(end)?.block_refs;
            } else {
                let mut at = end;
                let mut fresh: Vec<BlockRef> = Vec::new();
                while at > known_end {
                    let Some((_, block_ref)) = segment.footer_ending_at(at)? else {
                        return Err(segment.corrupt(at, "the footer that must end here is not there"));
                    };
                    at = block_ref.start;
                    fresh.push(block_ref);
                }
                if let (Some(last), Some(first)) = (block_refs.last(), fresh.last())
                    && (at != known_end || last.ends() != first.begins())
                {
                    return Err(segment.corrupt(at, last.ends().is_not_followed_by(first.begins())));
                }
                block_refs.extend(fresh.into_iter().rev());
            }
        }
        let wanted = block_refs.partition_point(|block_ref| block_ref.end() <= end);
        let answer = block_refs.get(..wanted).unwrap_or(&[]).to_vec();
        known.insert(stream.clone(), (segment.at.clone(), block_refs));
        Ok(answer)
    }
}
