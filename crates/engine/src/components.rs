//! What a pipeline runs with: the components, apart from the settings.

use std::sync::Arc;

use lakehead_connector_api::{SinkSpec, SourceSpec};
use lakehead_model::Clock;

/// The components of a running pipeline.
#[derive(Clone)]
pub struct Parts {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The kinds of source there are.
    pub sources: &'static [SourceSpec],
    /// The kinds of sink there are.
    pub sinks: &'static [SinkSpec],
    /// Lakehead's version, for people.
    pub version: &'static str,
}
