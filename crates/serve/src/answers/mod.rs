//! Answers: refusals, headers, the page of metrics, and bodies that are written as the client takes them.

pub(crate) mod headers;
mod prometheus;
mod refusal;
mod retention;
mod streamed;
mod turns;

pub(crate) use prometheus::MetricsPage;
pub(crate) use refusal::{Refusal, status_of};
pub use retention::retention_document;
pub(crate) use streamed::streamed;
pub(crate) use turns::Turns;
