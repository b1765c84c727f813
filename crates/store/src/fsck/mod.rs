//! `fsck`: reads every byte of a stream and says exactly what is not as it was written, where, and what a repair would do.
//!
//! ```text
//!   list ─▶ where each file belongs ─▶ each segment: footers or index, checksums, frames, lines
//!        ─▶ each boundary: numbers, offsets, times ─▶ the inventory and those who have seen the stream against what was found
//!        ─▶ what opening says                    ─▶ findings
//! ```
//!
//! Two records that disagree are damage. Whatever opening refuses is a finding, and after a repair it opens.
//!
//! Checking changes nothing and needs no lock, so it may run beside a process that writes: what is not known to be synced at the
//! end of the last segment is left to that process. [`repair`] is apart, and needs the store for itself.

mod arrange;
pub(crate) mod check;
mod examine;
pub(crate) mod finding;
mod losses;
pub(crate) mod mending;
mod open_writer;
pub(crate) mod put_back;
pub(crate) mod repair;
