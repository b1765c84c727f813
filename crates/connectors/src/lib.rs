//! Lakehead's connectors: one file, or one folder, for each outside system that events come from or go to.
//!
//! They stand on `connector-api` and see neither the engine nor the store; the engine is handed [`SOURCES`] and [`SINKS`]
//! and names none of them. What several share stands beside the folder under its own name.
//!
//! The binary installs rustls' crypto provider before it opens a source or a sink: the HTTP client cannot be made without one,
//! not even for plain HTTP.

mod event_key;
mod folder;
mod heavy;
mod http_error;
mod http_headers;
pub mod json_lines;
mod progress;
mod recent_keys;
mod sink;
mod source;
mod sse_link;

pub use heavy::{End, HEAVY, Heavy};
pub use sink::SINKS;
pub use source::{SOURCES, file};
