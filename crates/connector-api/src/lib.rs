//! What a source and a sink promise, and how one is registered.
//!
//! The engine holds [`SourceSpec`]s and [`SinkSpec`]s and never names a connector; a connector implements [`SourceKind`] or
//! [`SinkKind`] and never sees the engine. They meet here. Opening again, counting and keeping positions are the engine's work,
//! not a connector's.

mod batch;
mod discontinuity;
mod error;
mod kind;
mod probe;
mod sink;
mod source;
mod spec;
pub mod wrappers;

pub use batch::{Batch, BatchKind, Operation, Row, RowHead};
pub use discontinuity::{Discontinuity, Gap, Renumbering, SkippedOffsets};
pub use error::Error;
pub use kind::{ConnectorKind, KindSpec};
pub use probe::{Peeked, Probed};
pub use sink::{Answer, Delivery, Feed, Sink, SinkContext, Takes};
pub use source::{
    Acknowledge, Activity, Chunk, Identity, Opened, Reader, Resume, StreamIndex, StreamResume, TailEvents, TailReader,
};
pub use spec::{SinkKind, SinkSpec, SourceKind, SourceSpec};
