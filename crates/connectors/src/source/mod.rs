//! The sources, one line each, in alphabetical order. Nothing else in the tree lists them.

mod eventstreams;
mod fake;
pub mod file;
#[cfg(feature = "kafka")]
mod kafka;
mod poll;
mod spool;
mod sse;

use lakehead_connector_api::SourceSpec;

/// Every kind of source that a pipeline may name.
pub const SOURCES: &[SourceSpec] = &[
    SourceSpec::of::<eventstreams::EventStreams>(),
    SourceSpec::of::<fake::Fake>(),
    SourceSpec::of::<file::JsonFiles>(),
    #[cfg(feature = "kafka")]
    SourceSpec::of::<kafka::KafkaTopics>(),
    SourceSpec::of::<poll::Poll>(),
    SourceSpec::of::<spool::SpoolDirectory>(),
    SourceSpec::of::<sse::Sse>(),
];
