//! The audit of a view: what it says against a second count of the log.
//!
//! ```text
//!   log ──▶ the view's SQL, planned as a batch query ──▶ rows ─┐
//!    │                                                         ├─ compared, row by row
//!    │      result files, partial rows, open windows ──▶ rows ─┘
//!    └────▶ events that pass its WHERE, by window ──▶ the balance of its counts
//! ```
//!
//! The second count shares the decoder and DataFusion's functions with the view, and nothing else: no state, no
//! watermark, no checkpoint, no partial rows. What it takes for true is the log. Late events that the view left out are
//! in the log all the same; a window that differs because of them is *explained*, as far as the view's own counts of
//! such events go, and not one event further.
//!
//! Memory is bounded: the result periods are taken a few at a time, by how many rows they have, and one that has too many
//! window by window.

mod amounts;
mod balance;
mod blocking;
mod budget;
mod derived;
mod extent;
mod passes;
mod projection;
mod recount;
mod report;
mod run;
mod under_way;
mod window_counts;
mod windowed;

pub use self::{
    extent::Extent,
    report::{Balance, Difference, ViewAudit},
};
