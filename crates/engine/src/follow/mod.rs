//! Following a stream or a view from a position on: one way for sinks, and for whoever else delivers what comes.
//!
//! ```text
//!   stream ─ blocks ──▶ log ──┐
//!                             ├─▶ follower ─▶ batches, each with the position after it
//!   view ─ commits ──▶ view ──┘
//! ```
//! The files: `step` (what is brought), `position` (whether a position is of this stream), `log`, `view`, `changes` (where a
//! view's changes come from), `handle` (a view of this process), `follower`, `claim`.

pub(crate) mod changes;
pub(crate) mod claim;
pub(crate) mod follower;
pub(crate) mod handle;
pub(crate) mod log;
pub(crate) mod position;
pub(crate) mod step;
pub(crate) mod view;
