//! A pipeline file: TOML in, a checked [`Pipeline`](lakehead_engine::Pipeline) out, or everything that is wrong with it.
//!
//! One file for each kind of table. Each problem names file, line and key, and what would be valid; all of them are found in
//! one go. Nothing is connected to, and nothing is opened but the files of secrets and JSON
//! Schemas that it names.

mod document;
mod environment;
mod explain;
mod kind;
mod listen;
#[cfg(test)]
mod mistakes;
mod panel;
mod pipeline;
mod problem;
mod push_token;
mod reference;
mod repair;
mod sink;
mod source;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod verify;
mod view;
mod written;

pub(crate) use environment::environment;
pub(crate) use listen::Overrides;
pub(crate) use pipeline::{DEFAULT, DEFAULT_NAME, in_the_way, read};
pub(crate) use problem::Problems;
pub(crate) use reference::page;
pub(crate) use stream::BUILT_IN_STREAMS;
