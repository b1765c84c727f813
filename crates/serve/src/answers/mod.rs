//! Answers: refusals, headers, the page of metrics, and bodies that are written as the client takes them.

pub(crate) mod headers;
mod prometheus;
mod pushed;
mod refusal;
mod retention;
mod streamed;
mod turns;

pub(crate) use prometheus::MetricsPage;
pub(crate) use pushed::{EventsAnswer, PushAnswer, events_status};
pub(crate) use refusal::{ErrorAnswer, Refusal, status_of};
pub(crate) use retention::RetentionAnswer;
pub use retention::retention_document;
pub(crate) use streamed::streamed;
pub(crate) use turns::Turns;
