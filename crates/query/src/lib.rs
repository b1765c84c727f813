//! SQL over the store and over the views: tables, the window functions, the incremental view.
//!
//! The last floor before the engine, and the only crate that names DataFusion. It compiles a view's SQL into pieces
//! that run again and again over what is new ([`ViewPlan`]), keeps a view's state, results and checkpoint ([`View`]),
//! and answers questions over streams and views of one moment ([`Lake`]). It starts no threads and owns no loop; the
//! engine drives it.

mod aside;
mod audit;
mod bounds;
mod cells;
mod checked;
mod checkpoint;
mod compact;
mod derived;
mod difference;
mod error;
mod explain;
mod files;
pub mod format;
mod functions;
mod identity;
mod interval;
mod lake;
mod latest;
mod mistake;
mod names;
mod outline;
mod panics;
mod plain_types;
mod plan;
mod rewrite;
mod run;
mod sealed;
mod seen;
mod sieve;
mod snapshot;
mod state;
mod stream_table;
mod syncing;
mod times;
mod view;
mod view_table;
pub mod worker;
mod writable;

pub use aside::found_aside;
pub use audit::{Balance, Difference, Extent, Pace, ViewAudit};
pub use checkpoint::Kept;
pub use difference::{ChangedRow, ViewDifference};
pub use error::Error;
pub use explain::{ExplainedEvent, ExplainedRow, Explanation, Question, Selection};
pub use files::Slot;
pub use identity::Identity;
pub use lake::{Answer, Lake, Limits, Rows};
pub use mistake::{Mistake, Place, Placed, type_name};
pub use outline::{Outline, OutlineColumn, Step, Values};
pub use panics::{defect, panic_words, unharmed, write_unexpected_panics_only};
pub use plan::{Plans, TimeColumn, ViewPlan, check_view, check_views};
pub use seen::seen;
pub use sieve::Sieve;
pub use snapshot::{FailedValues, Snapshot, ViewHandle};
pub use view::{
    Counts, Digest, FailedEvent, Late, LateBy, Round, View, ViewSettings, begin_next,
    changes::{Changes, Position},
    forget_next, kept, kept_next,
};

/// The stack of a thread that parses, plans or runs SQL, which is done by recursion: deep enough for every text that a person
/// writes. It is memory only as far as it is used.
pub const STACK_BYTES: usize = 64 << 20;

/// The DataFusion release whose aggregation state checkpoints hold; another one rebuilds its views from the log.
pub const DATAFUSION_VERSION: &str = datafusion::DATAFUSION_VERSION;
