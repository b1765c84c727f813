//! The pipeline that runs, as one value: its plan, and its streams with what belongs to each.
//!
//! A reload makes the next one and replaces it as a whole, so whoever holds one sees one pipeline. Streams that stay are the
//! same in both.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use lakehead_json::EventTimes;
use lakehead_model::{Name, Timestamp};
use lakehead_store::Stream;

use crate::{
    Error, Parts,
    audit::watchman::Watched,
    columns::ColumnWatch,
    engine::lock,
    gaps,
    ingest::Ingest,
    plan::Plan,
    push::Gateway,
    rates::{Rate, SPAN_MAX},
    rejects,
    sources::Ready,
    status::StreamStatus,
    untimed::Untimed,
    upkeep::{self, UpkeepStatus},
    watch::SourceWatch,
};

/// One pipeline.
pub(crate) struct Current {
    pub(crate) plan: Plan,
    /// Every stream of the plan.
    pub(crate) streams: BTreeMap<Name, Arc<Kept>>,
}

/// A stream, and what belongs to it for as long as it is in the pipeline.
pub(crate) struct Kept {
    pub(crate) stream: Stream,
    /// None for the built-in ones.
    pub(crate) gateway: Option<Gateway>,
    pub(crate) rate: Mutex<Rate>,
    /// How many of its events have no event time.
    pub(crate) untimed: Arc<Untimed>,
    /// How well they fit the columns.
    pub(crate) columns: ColumnWatch,
}

impl Current {
    /// Of `plan`. `there` are streams that run already; the others stand in `opened`.
    pub(crate) fn new(plan: Plan, there: &BTreeMap<Name, Arc<Kept>>, opened: &BTreeMap<Name, Stream>) -> Self {
        let stream = |name: &Name| there.get(name).map_or_else(|| opened[name].clone(), |kept| kept.stream.clone());
        let rejects = stream(&rejects::name());
        let kept = plan.schemas.iter().map(|(name, schema)| {
            let fresh = || {
                let own = plan.config(name).is_some();
                let untimed = Arc::<Untimed>::default();
                let gateway = || Gateway::new(stream(name), schema, rejects.appender(), Arc::clone(&untimed));
                let gateway = own.then(gateway);
                let (stream, rate) = (stream(name), Mutex::default());
                let columns = ColumnWatch::from(stream.head().end);
                Arc::new(Kept { stream, gateway, rate, untimed, columns })
            };
            (name.clone(), there.get(name).cloned().unwrap_or_else(fresh))
        });
        let streams = kept.collect();
        Self { plan, streams }
    }

    /// The refusal of a push to `stream`.
    pub(crate) fn unknown(&self, stream: &str) -> Error {
        Error::UnknownStream {
            name: stream.chars().take(80).collect(),
            known: self.plan.pipeline.streams.keys().map(Name::as_str).collect::<Vec<_>>().join(", "),
        }
    }

    /// The streams alone.
    pub(crate) fn only_streams(&self) -> BTreeMap<Name, Stream> {
        self.streams.iter().map(|(name, kept)| (name.clone(), kept.stream.clone())).collect()
    }

    /// What the audit in the background looks at.
    pub(crate) fn watched(&self) -> Watched {
        Watched { streams: self.only_streams(), settings: self.plan.pipeline.verify }
    }

    /// What upkeep looks after.
    pub(crate) fn upkept(&self) -> BTreeMap<Name, upkeep::Kept> {
        let kept = self.streams.iter().map(|(name, kept)| {
            let retention = self.plan.config(name).map(|config| config.retention).unwrap_or_default();
            (name.clone(), upkeep::Kept { stream: kept.stream.clone(), retention })
        });
        kept.collect()
    }

    /// The source of this name, to be connected.
    pub(crate) fn source(&self, name: &Name, parts: &Parts) -> Result<Ready, Error> {
        let absent = |what: &str| Error::Internal(format!("source {name} has no {what}, though it was checked"));
        let config = self.plan.pipeline.sources.get(name).ok_or_else(|| absent("settings"))?;
        let spec = *self.plan.specs.get(name).ok_or_else(|| absent("kind"))?;
        let kept = self.streams.get(&config.stream).ok_or_else(|| absent("stream"))?;
        let schema = self.plan.schemas.get(&config.stream).ok_or_else(|| absent("schema"))?;
        let ingest = Ingest {
            source: name.clone(),
            stream: kept.stream.clone(),
            rejects: self.streams[rejects::STREAM].stream.appender(),
            gaps: self.streams[gaps::STREAM].stream.appender(),
            times: EventTimes::new(schema),
            watch: Arc::new(
                SourceWatch::new(name.clone(), spec.name, config.stream.clone()).counts_since(parts.clock.now()),
            ),
            untimed: Arc::clone(&kept.untimed),
            clock: Arc::clone(&parts.clock),
        };
        Ok(Ready { ingest, spec, settings: config.settings.clone() })
    }
}

impl Kept {
    pub(crate) fn status(&self, now: Timestamp, upkeep: UpkeepStatus) -> StreamStatus {
        let (head, stats) = (self.stream.head(), self.stream.stats());
        let (pushed, push_rejects) = self.gateway.as_ref().map_or((0, 0), Gateway::counts);
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
            rebuildable_since: self.stream.kept_since(),
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
