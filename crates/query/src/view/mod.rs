//! A view: applies what is new, closes windows as the watermark passes, corrects what comes late, commits.
//!
//! ```text
//!   open ─▶ apply, apply, … ─▶ commit ─▶ publish          cutover: a shadow replaces the active view
//!             │                  │
//!             ▼                  ▼
//!           state/            files/: result files, partial rows, the checkpoint
//! ```
//!
//! One owner drives a [`View`]; queries read its snapshots by way of a [`ViewHandle`].

mod apply;
mod changes;
mod claims;
mod closing;
mod commit;
mod commit_id;
mod counts;
mod cutover;
mod cutover_changes;
pub(crate) mod derived;
pub(crate) mod diff;
mod failed_values;
pub(crate) mod files;
pub(crate) mod finish;
mod handle;
mod history;
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
mod source;
pub(crate) mod state;
pub(crate) mod table;
mod transaction;
mod windowed;

pub use self::{
    changes::{ChangedRows, Changes, CommitChanges},
    claims::{ChangeClaim, ChangeClaims, ClaimStatus},
    counts::{Counts, LateBy},
    failed_values::FailedValues,
    files::{SavedDefinition, Slot},
    handle::ViewHandle,
    instance::View,
    on_disk::{begin_shadow, committed_offset, forget_shadow, saved_definition, saved_shadow},
    quarantine::quarantined,
    settings::{Late, ViewSettings},
    snapshot::Snapshot,
    source::ViewSource,
};
pub(crate) use self::{lateness::last_end_in, snapshot::Listed};
