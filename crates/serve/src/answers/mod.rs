//! Answers: refusals, headers, and bodies that are written as the client takes them.

pub(crate) mod headers;
mod refusal;
mod streamed;
mod turns;

pub(crate) use refusal::{Refusal, status_of};
pub(crate) use streamed::streamed;
pub(crate) use turns::Turns;
