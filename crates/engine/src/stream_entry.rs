//! One stream of a running pipeline, and what belongs to it for as long as it is in the pipeline.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use lakehead_json_schema::JsonSchema;
use lakehead_model::{StreamSchema, Timestamp};
use lakehead_store::{Appender, Stream};

use crate::{
    columns::ColumnWatch,
    conformance::Conformance,
    push::Gateway,
    rates::{Rate, SPAN_MAX},
    status::{MaintenanceStatus, StreamStatus},
    sync::lock,
    untimed::Untimed,
};

/// A stream, and what belongs to it for as long as it is in the pipeline.
pub(crate) struct StreamEntry {
    pub(crate) stream: Stream,
    /// None for the built-in ones.
    pub(crate) gateway: Option<Gateway>,
    pub(crate) rate: Mutex<Rate>,
    /// How many of its events have no event time.
    pub(crate) untimed: Arc<Untimed>,
    /// The JSON Schema that its events have to conform to.
    pub(crate) conformance: Arc<Conformance>,
    /// How well they fit the columns.
    pub(crate) columns: ColumnWatch,
}

impl StreamEntry {
    /// Of a stream that was just opened. It can be pushed to where a schema, by which event times are read, and the way to the
    /// rejects are given. Its events have to conform to `json_schema`, if there is one.
    pub(crate) fn new(
        stream: Stream,
        json_schema: Option<Arc<JsonSchema>>,
        pushed: Option<(&StreamSchema, Appender)>,
    ) -> Self {
        let untimed = Arc::<Untimed>::default();
        let conformance = Arc::new(Conformance::new(json_schema));
        let gateway = pushed.map(|(schema, rejects)| {
            Gateway::new(stream.clone(), schema, rejects, Arc::clone(&untimed), Arc::clone(&conformance))
        });
        let columns = ColumnWatch::from(stream.head().end);
        Self { stream, gateway, rate: Mutex::default(), untimed, conformance, columns }
    }

    pub(crate) fn status(&self, now: Timestamp, upkeep: MaintenanceStatus) -> StreamStatus {
        let (head, stats) = (self.stream.head(), self.stream.stats());
        let (pushed, push_rejects, push_lost) = self.gateway.as_ref().map_or((0, 0, 0), Gateway::counts);
        let rate = lock(&self.rate);
        StreamStatus {
            start: head.start,
            end: head.end,
            events: head.end.since(head.start),
            rate_now: rate.over(Duration::from_secs(1)),
            rate_10s: rate.over(SPAN_MAX),
            raw_bytes: stats.raw_bytes,
            stored_bytes: stats.stored_bytes,
            segments: stats.segments,
            last_received: head.received_time,
            freshness_seconds: head.received_time.map(|received| now.since(received).as_secs_f64()),
            pushed,
            push_rejects,
            push_lost,
            rebuildable_since: self.stream.retained_since(),
            upkeep,
            lost: self.stream.losses().iter().filter(|loss| !loss.acknowledged).map(ToString::to_string).collect(),
            cannot_write: match &*self.stream.health().borrow() {
                lakehead_store::Health::CannotWrite(reason) => Some(reason.to_string()),
                lakehead_store::Health::Ok => None,
            },
            epoch: head.epoch,
            event_times: self.untimed.status(),
            columns: self.columns.status(),
        }
    }
}
