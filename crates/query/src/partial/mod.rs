//! Partial aggregation: what is computed of a micro-batch for each view of a stream, before any state is touched.

mod partial_aggregate;
mod shared_filter;

pub(crate) use self::partial_aggregate::PartialOutput;
pub use self::{
    partial_aggregate::{FailedEvent, PartialAggregate},
    shared_filter::SharedFilter,
};
