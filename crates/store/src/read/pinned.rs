//! A stream as of one moment, told to another process of this machine, so that it reads the same events from the same
//! files and never one more.
//!
//! What is told is where the segments lie, which of their bytes count and where the committed end is: nothing of what is in
//! memory, since all that is committed is in the files. The last segment is told like a finished one; its blocks are
//! found by their footers, once, and kept for the next moment in [`BlockCache`]. Whoever tells keeps the [`PinGuard`]
//! for as long as the other reads: retention leaves the log alone meanwhile. Sealing may go on: it replaces a file by
//! the same events under the same name.

use std::{path::PathBuf, sync::Arc};

use lakehead_model::{Name, Offset};
use serde::{Deserialize, Serialize};

use crate::{
    disk::{
        layout::{Layout, SegmentPath},
        log_files::LogFiles,
        system::Disk,
    },
    read::{
        block_cache::BlockCache,
        claims::{Claim, ClaimGuard},
        published::{Published, SegmentEntry},
        read_side::ReadSide,
    },
    recover::log_end::LogEnd,
    segment::summary::Summary,
};

/// Where a stream's committed events lie, as of one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pinned {
    root: PathBuf,
    name: Name,
    segments: Vec<PinnedSegment>,
    first_number: u64,
    next_number: u64,
    next_offset: Offset,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PinnedSegment {
    /// Below the root.
    path: PathBuf,
    first_offset: Offset,
    /// Bytes of it that count.
    end: u64,
    end_is_known: bool,
    summary: Option<Summary>,
}

/// Keeps the log of a stream from being removed, for as long as it is there.
#[derive(Debug)]
pub struct PinGuard {
    _claim: Arc<ClaimGuard>,
}

impl Pinned {
    /// The offset after the last committed event.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.next_offset
    }

    /// All that is committed now, and what keeps it where it is. `by` says for whom.
    pub(crate) fn new(read: &ReadSide, by: &str) -> (Self, PinGuard) {
        // Claimed before it is looked at: what is removed between the two is not in what was seen.
        let claim = read.claims.claim(Claim::new(by, Offset(0)));
        let root = read.log.layout.root();
        let published = read.published();
        claim.move_to(published.head().start);
        let segment = |entry: &SegmentEntry| PinnedSegment {
            path: entry.at.path.strip_prefix(root).unwrap_or(&entry.at.path).to_owned(),
            first_offset: entry.at.first_offset,
            end: entry.end,
            end_is_known: entry.end_is_known,
            summary: entry.summary,
        };
        let pinned = Self {
            root: root.to_owned(),
            name: read.log.name.clone(),
            segments: published.segments().iter().map(segment).collect(),
            first_number: published.first_number(),
            next_number: published.log_end.next_number,
            next_offset: published.log_end.next_offset,
        };
        (pinned, PinGuard { _claim: claim })
    }

    /// The read side of the stream as it was at that moment.
    pub(crate) fn into_read_side(self, block_cache: &BlockCache) -> ReadSide {
        let entry = |segment: PinnedSegment| SegmentEntry {
            at: SegmentPath { first_offset: segment.first_offset, path: self.root.join(segment.path) },
            end: segment.end,
            end_is_known: segment.end_is_known,
            summary: segment.summary,
        };
        let log_end = LogEnd { next_number: self.next_number, next_offset: self.next_offset, ..LogEnd::default() };
        let segments = self.segments.into_iter().map(entry).collect();
        let published = Published::of_files(segments, self.first_number, log_end);
        let log = LogFiles { name: self.name, files: Arc::new(Disk), layout: Layout::new(&self.root) };
        ReadSide::pinned(log, published, block_cache.clone())
    }
}
