//! The standing audit: whether what was brought in, what is in the log, and what the views say add up.
//!
//! ```text
//!   upstream offsets ── events ──┐            ┌── the balance of each view
//!   rejects, gap ledger ─────────┴── the log ─┴── its rows, counted again
//! ```
//!
//! It only reads, and takes nothing for true but the log. A stream is scanned once, in order (`scan.rs`); each view is
//! counted again by [`Lake::audit`](lakehead_query::Lake::audit). `lakehead verify` runs it whole; a running process runs it
//! now and then in the background (`background.rs`), at a pace that the live path does not feel.

mod auditor;
pub(crate) mod background;
mod ids;
mod intervals;
pub mod last;
mod ledger;
mod pace;
mod report;
mod scan;
mod scope;
mod sequence;
mod settings;

pub(crate) use self::auditor::{Auditor, Effort};
pub use self::{
    pace::Throttle,
    report::{AuditFinding, Minute, PartitionAudit, Report, StreamAudit},
    scope::Scope,
    settings::AuditSettings,
};

#[cfg(test)]
mod tests;
