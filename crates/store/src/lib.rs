//! The log that is the lake: bytes in, bytes out, committed before anyone sees them.
//!
//! A stream's events lie in plain `.jsonl.zst` files (docs/formats/segment.md gives every byte). What is in an event the
//! store does not know: event times and cursors are handed to it. In floors, each standing only on those before it:
//!
//! ```text
//! frame     checksum, fields, data_frame,     bytes of one zstd frame, of one footer, of a sealed segment's index
//!           envelope, footer, index
//! block     block, gathering, only            the events of one write, and one in the making; which of them are wanted
//! segment   files, layout, segment, sealed,   files, where they lie, walking them by their footers or their index;
//!           seal, inventory, evidence         making the second out of the first; what the finished ones hold; what is lost
//! stream    recovery, published, commit,      opening; what readers see; one thread writes, one syncs
//!           writer, aside, reader, packed,    and publishes; blocking readers, and what they have found and not read;
//!           append, queue, retention, upkeep  the way in; what leaves the log; sealing and removing beside the live path
//! store     marker, lock, store, fsck         one data directory, one writer; checking and repairing it
//! beside    pinned                            a stream as of one moment, told to another process
//!           crash, checked                    where a test can end the process; small records with checksums
//! ```
//!
//! **What survives what.** With [`Sync::Always`] and [`Sync::Every`] a [`Ticket`] that resolved well means that the events
//! survive the end of the process, a crash of the system and a power cut. With [`Sync::Off`] only the first. Readers,
//! and so views and clients, never see an event that is not committed in that sense.
//!
//! **What this is not.** Not a database of records: there is no key, no update, no delete of an event. Not a queue: readers
//! leave no trace and take nothing away. Not safe to share: one process writes a data directory, the second is refused.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod append;
mod aside;
mod block;
pub mod checked;
mod checksum;
mod commit;
pub mod crash;
mod data_frame;
mod disk;
mod envelope;
mod error;
mod evidence;
mod fields;
mod files;
mod footer;
mod fsck;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gathering;
mod index;
mod inventory;
mod layout;
mod lock;
mod mark;
pub mod marker;
mod only;
mod options;
mod packed;
mod pinned;
mod published;
mod quarantine;
mod queue;
mod reader;
mod recovery;
mod retention;
mod seal;
mod sealed;
mod segment;
mod store;
mod stream;
mod upkeep;
mod writer;

#[cfg(test)]
mod tests;

pub use append::{Append, Appended, Appender, Ticket};
pub use block::Block;
pub use error::Error;
pub use evidence::{Loss, Witness};
pub use footer::IdempotencyKey;
pub use fsck::{Checked, Finding, Severity};
pub use lock::{Holder, holder};
pub use only::Only;
pub use options::{Options, SealOptions, Sync};
pub use packed::{Packed, Unpacker};
pub use pinned::{Hold, Pinned, Walks};
pub use published::{Head, SegmentFile, Stats};
pub use reader::Reader;
pub use retention::{Expired, Need, Retention, RetentionPlan};
pub use seal::{Pace, SealedSegment};
pub use store::Store;
pub use stream::{Health, Stream};
