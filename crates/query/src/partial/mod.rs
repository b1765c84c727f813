//! What views of one stream make of a micro-batch before any of them applies it.

mod digest;
mod shared_filter;

pub(crate) use self::digest::Digested;
pub use self::{
    digest::{Digest, FailedEvent},
    shared_filter::Sieve,
};
