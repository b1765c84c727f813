//! Lakehead's connectors: one file, or one folder, for each outside system that events come from.
//!
//! They stand on `connector-api` and see neither the engine nor the store; the engine is handed [`SOURCES`] and names
//! none of them. What several share stands beside the folder under its own name.
//!
//! The binary installs rustls' crypto provider before it opens a source: the HTTP client cannot be made without one,
//! not even for plain HTTP.

pub mod json_lines;
mod source;

pub use source::{SOURCES, file};
