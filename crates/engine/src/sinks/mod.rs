//! What is delivered to other systems: the sinks of a pipeline, each with a position of its own.

pub(crate) mod planned;
