//! Running pipelines: sources into streams, streams into views, pushes, supervision, reload, shutdown.
//!
//! One event's way through here: a source's chunk, or a pushed body → rejects and gaps committed → the event appended
//! with its cursor → committed, and so visible → the views of its stream. The engine names no kind of source: it is
//! handed a list of [`SourceSpec`](lakehead_connector_api::SourceSpec)s. It knows no HTTP and no TOML either; the floors
//! above bring those. It reads no clock but the one it is given.

pub mod audit;
mod backoff;
mod body;
pub mod catalog;
mod changes;
mod columns;
mod current;
pub mod dashboard;
mod disk;
mod engine;
mod error;
mod gaps;
pub mod import;
pub mod imports;
mod ingest;
pub mod offline;
pub mod pipeline;
mod plan;
mod push;
mod rates;
mod rebuild;
pub mod records;
mod refusals;
mod rejects;
mod reload;
mod sources;
pub mod sql;
pub mod status;
mod supervise;
mod tail;
#[cfg(test)]
mod tests;
mod untimed;
pub mod upkeep;
mod views;
mod watch;

pub use body::is_lines;
pub use changes::{Changes, Fixed, Reloaded};
pub use engine::{Engine, Parts, schemas};
pub use error::Error;
pub use pipeline::Pipeline;
pub use push::{BODY_BYTES_MAX, KEY_BYTES_MAX, Pushed, Pushing, Rejected, TOLD_MAX};
pub use status::Status;
