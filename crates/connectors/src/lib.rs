//! Lakehead's connectors: one file, or one folder, for each outside system that events come from.
//!
//! They stand on `connector-api` and see neither the engine nor the store; the engine is handed [`SOURCES`] and names
//! none of them. What several share stands beside the folder under its own name.

mod source;
mod sse;

pub use source::SOURCES;
