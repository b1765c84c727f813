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
mod lake;
mod plain_types;
mod plan;
mod rewrite;
mod run;
pub mod sealed;
mod sieve;
mod snapshot;
mod state;
mod stream_table;
mod view;
mod view_table;

pub use aside::found_aside;
pub use audit::{Balance, Difference, Extent, Pace, ViewAudit};
pub use checkpoint::Kept;
pub use difference::{ChangedRow, ViewDifference};
pub use error::Error;
pub use explain::{ExplainedEvent, ExplainedRow, Explanation, Question};
pub use files::Slot;
pub use identity::Identity;
pub use lake::{Answer, Lake, Limits, Rows};
pub use plan::{Plans, TimeColumn, ViewPlan, check_view, check_views};
pub use sieve::Sieve;
pub use snapshot::{Snapshot, ViewHandle};
pub use view::{
    Counts, Digest, Late, LateBy, Round, View, ViewSettings, begin_next,
    changes::{Changes, Position},
    forget_next, kept, kept_next,
};

/// The DataFusion release whose aggregation state checkpoints hold; another one rebuilds its views from the log.
pub const DATAFUSION_VERSION: &str = datafusion::DATAFUSION_VERSION;
