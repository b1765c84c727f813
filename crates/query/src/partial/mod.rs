//! Partial aggregation: what is computed of a micro-batch for each view of a stream, before any state is touched.

mod digest;
mod shared_filter;

pub(crate) use self::digest::Digested;
pub use self::{
    digest::{Digest, FailedEvent},
    shared_filter::Sieve,
};
