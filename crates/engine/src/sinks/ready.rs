//! A sink that can be connected, and all of them.

use std::sync::Arc;

use lakehead_model::Name;
use tokio::sync::watch;

use super::{course::Course, position_file::PositionRecord, watch::SinkWatch};
use crate::{
    Error,
    claims::Claims,
    follow::step::Finding,
    roster::{Roster, Runs},
    status::SinkStatus,
    supervise::supervise_sink,
    sync::blocking,
};

/// All of them.
pub(crate) type Sinks = Roster<ReadySink>;

/// A sink that can be connected.
pub(crate) struct ReadySink {
    course: Arc<Course>,
    /// How far it has got; why that is not known, of one that cannot run.
    record: Result<PositionRecord, String>,
}

impl ReadySink {
    /// Reads how far the sink has got, and claims what it still needs; of one that begins now, notes where.
    ///
    /// # Errors
    /// For a defect alone: a sink that cannot run is a failed sink, and no reason to refuse a start.
    pub(crate) async fn of(course: Course, claims: &Claims) -> Result<Self, Error> {
        let course = Arc::new(course);
        let loading = Arc::clone(&course);
        let record = match blocking(move || loading.load()).await? {
            Ok((record, told)) => {
                if let Some(why) = told {
                    course.watch.found(&Finding { lost_rows: 0, why }, record.lost_rows);
                }
                course.watch.claims(course.claim(claims, record.position));
                course.watch.begins(record.position);
                Ok(record)
            }
            Err(error) => {
                // Where it stands is not known, so it may need all that there is.
                course.watch.claims(course.claim(claims, None));
                Err(error.to_string())
            }
        };
        Ok(Self { course, record })
    }
}

impl Runs for ReadySink {
    const WHAT: &'static str = "sink";
    type Watch = SinkWatch;
    type Status = SinkStatus;

    fn name(&self) -> &Name {
        &self.course.name
    }

    fn watch(&self) -> Arc<SinkWatch> {
        Arc::clone(&self.course.watch)
    }

    fn status(watch: &SinkWatch) -> SinkStatus {
        watch.status()
    }

    async fn run(self, stop: watch::Receiver<bool>) {
        match self.record {
            Ok(record) => supervise_sink(self.course, record, stop).await,
            Err(why) => self.course.watch.failed(why),
        }
    }
}
