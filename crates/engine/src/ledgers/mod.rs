//! What is written to the built-in streams: one file for each of them.

pub(crate) mod dead_letters;
pub(crate) mod gaps;
pub(crate) mod rejects;
