//! The files of a view: result files and partial rows for each result period, written once and never changed.
//!
//! ```text
//!   views/<view>/2026-11-23T10.parquet          what other programs read: always exactly one file for a period
//!   views/<view>/.state/checkpoint.json         what is true, see `checkpoint.rs`
//!   views/<view>/.state/next.json               the same of its shadow, until the cutover
//!   views/<view>/.state/2026-11-23T10.0.7.result   the result file by build and generation, which queries pin
//!   views/<view>/.state/2026-11-23T10.0.7.partial  partial rows of the period, for as long as late events may come
//!   views/<view>/.state/2026-11-23T10.0.7.part     rows of a projection in a period that is not over
//!   views/<view>/.state/state.0.7.2.partial        a run of the state: partial rows of open windows
//!   views/<view>/.state/changes.0.7.arrow          what the commit changed in the results
//! ```
//!
//! Each of them has a checksum, which is computed while it is written, stands in the checkpoint, and is compared before the
//! file is read ([`check`]).
//!
//! A result file that a newer one replaces is deleted when the last query that reads it is done, and a file of changes with the
//! last follower that reads it. Who opens a view again, as a reload does, finds the files that are pinned (`pinned.rs`), shares
//! them, and lets those be that are still read.

mod arrow_ipc;
mod checkpoint;
mod checksum;
mod folder;
mod named;
mod parquet;
mod pinned;
mod run_file;
mod saved_definition;
mod sealed;

pub(crate) use self::{
    arrow_ipc::{IpcWriter, partial_batches, read_partial, write_partial},
    checkpoint::{Checkpoint, Rebuild},
    checksum::{check, expect, sum, told},
    folder::{Folder, label, public_beside},
    named::{ChangeFile, MadeOf, PartFile, Partials, Parts, Period},
    parquet::{ParquetWriter, parquet_batches, read_parquet},
    pinned::{ResultFile, is_pinned, release, result_file},
    run_file::RunFile,
};
pub use self::{folder::Slot, saved_definition::SavedDefinition};
