//! Sinks around a sink: what several kinds need between the engine and their target, each written once.
//!
//! A kind puts the ones that it wants around its own sink when it opens; the engine sees one sink. A retry is not among them:
//! rows that are answered [`Later`](crate::Answer::Later) are written again by the delivery loop, which knows the lane, the
//! attempts and the stop signal. A second loop inside one write would hold up the lanes that have nothing to wait for.

mod batch;
mod limit;

pub use batch::{Batched, CutLimits, held_up, progress_or};
pub use limit::{Limited, TokenBucket};
