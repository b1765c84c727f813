//! Running pipelines: sources into streams, streams into views, both into sinks, pushes, supervision, reload, shutdown.
//!
//! One event's way through here: a source's chunk, or a pushed body → rejects and gaps committed → the event appended
//! with its cursor → committed, and so visible → the views of its stream. The engine names no kind of source: it is
//! handed a list of [`SourceSpec`](lakehead_connector_api::SourceSpec)s. It knows no HTTP and no TOML either; the floors
//! above bring those. It reads no clock but the one it is given.
//!
//! The files, each line standing on those above it:
//!
//! - what all use: `error`, `sync`, `components`, `rates`, `disk`, `backoff`
//! - a pipeline as data: [`pipeline`], [`dashboard`], `changes`, `pipeline_diff`, `plan`, [`catalog`]; the streams that are always
//!   there: `builtin`, `ledgers`
//! - what is shown: [`status`]
//! - the way in: `untimed`, `columns`, `conformance`, `inlet`; of a push `body`, `push`, and for
//!   several streams `envelope`, `event_ids`, `routing`; of an import [`import`] and [`imports`], of a source
//!   `watch`, `tail`, `ingest`, `supervise`, `sources`; `roster` keeps what runs on its own
//! - what reads the log: `claims`, `views`, [`audit`], `maintenance`; the way out: `follow`, `sinks`
//! - what runs: `stream_entry`, `current`, `shared`, `observers`, `engine`; what it can be asked for: `incoming`, `events`, `rebuild`,
//!   `reload`
//! - SQL from outside: [`sql`]; a directory on which nothing runs: [`offline`], [`records`]; a start that is not made yet:
//!   [`preview`]

pub mod audit;
mod backoff;
mod body;
mod builtin;
pub mod catalog;
mod changes;
mod claims;
mod columns;
mod components;
mod conformance;
mod current;
pub mod dashboard;
mod disk;
mod engine;
mod envelope;
mod error;
mod event_ids;
mod events;
mod fixed;
mod follow;
pub mod identity;
pub mod import;
pub mod imports;
mod incoming;
mod ingest;
mod inlet;
mod ledgers;
mod maintenance;
mod observers;
pub mod offline;
pub mod pipeline;
mod pipeline_diff;
mod plan;
pub mod preview;
mod push;
mod rates;
mod rebuild;
pub mod records;
mod reload;
mod roster;
mod routing;
mod shared;
mod sinks;
mod sources;
pub mod sql;
pub mod status;
mod stream_entry;
mod supervise;
mod sync;
mod tail;
mod untimed;
mod views;
mod watch;

pub use body::is_lines;
pub use builtin::schemas;
pub use changes::Changes;
pub use components::Parts;
pub use engine::Engine;
pub use error::Error;
pub use events::{EventsPush, EventsPushed, StreamPushed};
pub use fixed::Fixed;
pub use pipeline::Pipeline;
pub use pipeline_diff::Reloaded;
pub use push::{BODY_BYTES_MAX, INVALID_SHOWN_MAX, KEY_BYTES_MAX, Pushed, Pushing, Rejected};
pub use routing::{Cause, FailedEvent, FailedEvents};
pub use status::Status;

#[cfg(test)]
mod tests;
