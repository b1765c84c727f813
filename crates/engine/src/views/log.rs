//! The log that the views of a stream read, and where they say what they leave out.

use std::sync::Arc;

use lakehead_model::StreamSchema;
use lakehead_store::Stream;

/// The log that views read.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) stream: Stream,
    pub(super) schema: Arc<StreamSchema>,
    /// Where views report what they leave out.
    pub(super) rejects: Option<Stream>,
}
