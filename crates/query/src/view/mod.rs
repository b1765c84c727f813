//! A view: applies what is new, closes windows as the watermark passes, corrects what comes late, commits.
//!
//! ```text
//!   open ─▶ apply, apply, … ─▶ commit ─▶ publish          cutover: one that was built beside takes a view's place
//!             │                  │
//!             ▼                  ▼
//!           state/            files/: result files, partial rows, the checkpoint
//! ```
//!
//! One owner drives a [`View`]; queries read its snapshots by way of a [`ViewHandle`].

mod apply;
mod changes;
mod closing;
mod commit;
mod counts;
mod cutover;
pub(crate) mod derived;
pub(crate) mod diff;
mod failed_values;
pub(crate) mod files;
pub(crate) mod finish;
mod handle;
mod instance;
mod lateness;
mod latest;
mod on_disk;
mod open;
mod preserve;
mod projection;
mod publish;
mod quarantine;
mod settings;
mod snapshot;
pub(crate) mod state;
pub(crate) mod table;
mod transaction;
mod windowed;

pub use self::{
    changes::{Changes, Position},
    counts::{Counts, LateBy},
    failed_values::FailedValues,
    files::{Kept, Slot},
    handle::ViewHandle,
    instance::View,
    on_disk::{begin_next, forget_next, kept, kept_next, seen},
    quarantine::found_aside,
    settings::{Late, ViewSettings},
    snapshot::Snapshot,
};
pub(crate) use self::{lateness::last_end_in, snapshot::Listed};
