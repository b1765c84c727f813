//! The log that is the lake: bytes in, bytes out, committed before anyone sees them.
//!
//! A stream's events lie in plain `.jsonl.zst` files (docs/formats/segment.md gives every byte). What is in an event the
//! store does not know: event times and cursors are handed to it. In floors, each standing only on those before it:
//!
//! ```text
//! disk      the file system beneath, and where a stream's files lie on it
//! format    the bytes: checksums, one zstd frame, one footer, the index of a sealed segment
//! segment   one file: its blocks by their footers, or its large frames by their index
//! recover   opening a log: its end, its inventory, what is lost, what goes to the quarantine
//! read      the read side: what is committed, where a reader finds it, who still needs it
//! write     the write side: the way in, a block in the making, the thread that writes and the one that syncs
//! maintain  beside the live path: sealing, retention, comparing the inventory with the files
//! stream    one log: the handle to its read side, its write side and its maintenance
//! fsck      checking a stream and repairing it
//! store     one data directory, one writer (format file, lock)
//! beside    crash, record: where a test can end the process; small records with checksums
//! ```
//!
//! **What survives what.** With [`Sync::Always`] and [`Sync::Every`] a [`Ticket`] that resolved well means that the events
//! survive the end of the process, a crash of the system and a power cut. With [`Sync::Off`] only the first. Readers,
//! and so views and clients, never see an event that is not committed in that sense.
//!
//! **What this is not.** Not a database of records: there is no key, no update, no delete of an event. Not a queue: readers
//! leave no trace and take nothing away. Not safe to share: one process writes a data directory, the second is refused.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod crash;
mod disk;
mod error;
mod format;
pub mod format_file;
mod fsck;
#[cfg(fuzzing)]
pub mod fuzzing;
mod lock;
mod maintain;
mod no_clock;
mod options;
mod read;
pub mod record;
mod recover;
mod segment;
mod store;
mod stream;
mod write;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use format::key::IdempotencyKey;
pub use fsck::finding::{CheckReport, Finding, Severity};
pub use lock::{Holder, holder};
pub use maintain::{
    retention::{ExpiredSegment, Retention, RetentionPlan},
    seal::{SealProgress, SealedSegment},
};
pub use options::{Options, SealOptions, Sync};
pub use read::{
    block_cache::BlockCache,
    block_filter::BlockFilter,
    claims::Claim,
    encoded_blocks::{BlockDecoder, EncodedBlocks},
    log_head::{LogHead, SegmentFile, Stats},
    pinned::{PinGuard, Pinned},
    reader::Reader,
};
pub use recover::{evidence::Witness, loss::Loss};
pub use segment::block::Block;
pub use store::Store;
pub use stream::Stream;
pub use write::{
    append::{Append, Appended},
    appender::Appender,
    health::Health,
    ticket::Ticket,
};
