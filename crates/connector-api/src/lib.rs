//! What a source promises, and how one is registered.
//!
//! The engine holds [`SourceSpec`]s and never names a connector; a connector implements [`SourceKind`] and [`Source`]
//! and never sees the engine. They meet here. Retrying, batching and counting are the engine's work, not a connector's.

mod error;
mod source;
mod spec;

pub use error::Error;
pub use source::{Activity, Chunk, Gap, Renumbering, Resume, Source, TailReader};
pub use spec::{SourceKind, SourceSpec};
