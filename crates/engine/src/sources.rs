//! The sources of a running pipeline, each ready to be run.

use std::sync::Arc;

use lakehead_connector_api::SourceSpec;
use lakehead_model::Name;
use tokio::sync::watch;

use crate::{
    ingest::Ingest,
    roster::{Roster, Runs},
    status::SourceStatus,
    supervise::supervise,
    watch::SourceWatch,
};

/// All of them.
pub(crate) type Sources = Roster<Ready>;

/// A source that can be connected.
pub(crate) struct Ready {
    pub(crate) ingest: Ingest,
    pub(crate) spec: SourceSpec,
    pub(crate) settings: serde_json::Value,
}

impl Runs for Ready {
    const WHAT: &'static str = "source";
    type Watch = SourceWatch;
    type Status = SourceStatus;

    fn name(&self) -> &Name {
        &self.ingest.source
    }

    fn watch(&self) -> Arc<SourceWatch> {
        Arc::clone(&self.ingest.watch)
    }

    fn status(watch: &SourceWatch) -> SourceStatus {
        watch.status()
    }

    async fn run(self, stop: watch::Receiver<bool>) {
        supervise(self.ingest, self.spec, self.settings, stop).await;
    }
}
