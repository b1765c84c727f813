//! What a pipeline runs with: the components, apart from the settings.

use std::sync::Arc;

use lakehead_connector_api::SourceSpec;
use lakehead_model::Clock;

/// The components of a running pipeline.
#[derive(Clone)]
pub struct Parts {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The kinds of source there are.
    pub sources: &'static [SourceSpec],
    /// Lakehead's version, for people.
    pub version: &'static str,
}
