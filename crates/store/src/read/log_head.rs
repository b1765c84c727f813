//! What a stream says of itself: where it begins and ends, how much it holds, which files it is made of.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use lakehead_model::{Cursor, Name, Offset, Timestamp};

/// Where a stream begins and ends, and what its sources need to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The first offset that is kept.
    pub start: Offset,
    /// The offset after the last committed event.
    pub end: Offset,
    /// The last committed block's received time; `None` when nothing was ever written.
    pub received_time: Option<Timestamp>,
    /// Where every source stands, by its name, as committed.
    pub cursors: Arc<BTreeMap<Name, Cursor>>,
    /// Rises when the stream turns out to have lost events that were seen outside.
    pub epoch: u64,
}

/// How much a stream holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events.
    pub events: u64,
    /// Bytes of events, each with its newline.
    pub raw_bytes: u64,
    /// Bytes on disk.
    pub stored_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// Blocks, those without events included.
    pub blocks: u64,
}

/// One file of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Where it is.
    pub path: PathBuf,
    /// The offset of its first event.
    pub first_offset: Offset,
    /// Bytes of it that count; of the last segment, those committed so far.
    pub bytes: u64,
    /// Whether it is known to be sealed: then it never changes again.
    pub sealed: bool,
}
