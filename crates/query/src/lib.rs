//! SQL over the store and over the views: tables, the window functions, the incremental view.
//!
//! The last floor before the engine, and the only crate that names DataFusion. It compiles a view's SQL into pieces
//! that run again and again over what is new ([`ViewPlan`]), keeps a view's state, results and checkpoint ([`View`]),
//! and answers questions over streams and views of one moment ([`Lake`]). It starts no threads and owns no loop; the
//! engine drives it.

mod answer;
mod audit;
mod bounds;
mod change_lines;
mod checked;
mod compact;
mod difference;
mod error;
mod explain;
pub mod format;
mod functions;
mod identity;
mod interval;
mod keyed_rows;
mod lake;
mod micro_batch;
mod names;
mod outline;
mod pace;
mod panics;
mod partial;
mod plain_types;
mod plan;
mod rewrite;
mod stream_table;
mod syncing;
mod times;
mod view;
mod wording;
pub mod worker;
mod writable;

pub use answer::{Answer, Limits, RowStream};
pub use audit::{Balance, Difference, Extent, ViewAudit};
pub use change_lines::{ChangeHead, ChangeLines};
pub use difference::{ChangedRow, ViewDifference};
pub use error::{Error, Placed};
pub use explain::{ExplainedEvent, ExplainedRow, Explanation, Question, Selection};
pub use identity::Identity;
pub use lake::Lake;
pub use micro_batch::MicroBatch;
pub use outline::{Outline, OutlineColumn, ValueKind, WindowStep};
pub use pace::Pace;
pub use panics::{defect, panic_words, unharmed, write_unexpected_panics_only};
pub use partial::{FailedEvent, PartialAggregate, SharedFilter};
pub use plan::{Plans, TimeColumn, ViewPlan, check_view, check_views};
pub use view::{
    ChangeClaim, ChangeClaims, ChangedRows, Changes, ClaimStatus, CommitChanges, Counts, FailedValues, Late, LateBy,
    SavedDefinition, Slot, Snapshot, View, ViewHandle, ViewSettings, ViewSource, begin_shadow, committed_offset,
    forget_shadow, quarantined, saved_definition, saved_shadow,
};
pub use wording::{Mistake, Place, type_name};

/// The stack of a thread that parses, plans or runs SQL, which is done by recursion: deep enough for every text that a person
/// writes. It is memory only as far as it is used.
pub const STACK_BYTES: usize = 64 << 20;

/// The DataFusion release whose aggregation state checkpoints hold; another one rebuilds its views from the log.
pub const DATAFUSION_VERSION: &str = datafusion::DATAFUSION_VERSION;
