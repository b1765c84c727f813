//! Answers: refusals, headers, the page of metrics, and bodies that are written as the client takes them.

pub(crate) mod headers;
mod prometheus;
mod refusal;
mod streamed;
mod turns;

pub(crate) use prometheus::MetricsPage;
pub(crate) use refusal::{Refusal, status_of};
pub(crate) use streamed::streamed;
pub(crate) use turns::Turns;
