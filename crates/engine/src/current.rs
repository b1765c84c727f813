//! The pipeline that runs, as one value: its plan, and its streams with what belongs to each.
//!
//! A reload makes the next one and replaces it as a whole, so whoever holds one sees one pipeline. Streams that stay are the
//! same in both.

use std::{collections::BTreeMap, sync::Arc};

use lakehead_connector_api::{Feed, Takes};
use lakehead_json::EventTimes;
use lakehead_model::Name;
use lakehead_query::Lake;
use lakehead_store::Stream;

use crate::{
    Error, Parts,
    audit::background::Watched,
    builtin,
    claims::Claims,
    follow::handle::ViewFeed,
    identity::Identities,
    ingest::{FedStream, Ingest},
    ledgers::dead_letters::Refuser,
    maintenance::MaintainedStream,
    plan::Plan,
    sinks::{
        course::{Course, Followed},
        position_file::PositionFile,
        ready::ReadySink,
        watch::SinkWatch,
    },
    sources::Ready,
    stream_entry::StreamEntry,
    views::{self, Bounds, RunningViews, Surroundings},
    watch::SourceWatch,
};

/// One pipeline.
pub(crate) struct Current {
    pub(crate) plan: Plan,
    /// Every stream of the plan.
    pub(crate) streams: BTreeMap<Name, Arc<StreamEntry>>,
    /// Where the events of each stream say which they are upstream, those of sources that are gone among them.
    pub(crate) identities: Identities,
}

impl Current {
    /// Of `plan`. `there` are streams that run already; the others stand in `opened`. `known` are the identities of before.
    pub(crate) fn new(
        plan: Plan,
        there: &BTreeMap<Name, Arc<StreamEntry>>,
        opened: &BTreeMap<Name, Stream>,
        known: &Identities,
    ) -> Self {
        let stream = |name: &Name| there.get(name).map_or_else(|| opened[name].clone(), |entry| entry.stream.clone());
        let rejects = stream(&builtin::rejects());
        let entries = plan.schemas.iter().map(|(name, schema)| {
            let fresh = || {
                let config = plan.config(name);
                let json_schema = config.and_then(|config| config.json_schema.clone());
                Arc::new(StreamEntry::new(stream(name), json_schema, config.map(|_| (schema, rejects.appender()))))
            };
            (name.clone(), there.get(name).cloned().unwrap_or_else(fresh))
        });
        let streams = entries.collect();
        let identities = plan.identities().after(Some(known), std::iter::empty());
        Self { plan, streams, identities }
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
        self.streams.iter().map(|(name, entry)| (name.clone(), entry.stream.clone())).collect()
    }

    /// What the audit in the background looks at.
    pub(crate) fn watched(&self) -> Watched {
        let identities = self.identities.clone();
        Watched { streams: self.only_streams(), identities, settings: self.plan.pipeline.verify }
    }

    /// The streams that maintenance keeps in shape.
    pub(crate) fn maintained(&self) -> BTreeMap<Name, MaintainedStream> {
        let maintained = self.streams.iter().map(|(name, entry)| {
            let retention = self.plan.config(name).map(|config| config.retention).unwrap_or_default();
            (name.clone(), MaintainedStream { stream: entry.stream.clone(), retention })
        });
        maintained.collect()
    }

    /// Starts the views of `stream`, which become tables of `lake` and claim what they need.
    pub(crate) async fn start_views(&self, stream: &Name, lake: &Lake, claims: &Claims) -> Result<RunningViews, Error> {
        let configs = self.plan.views.get(stream).cloned().unwrap_or_default();
        let entry = self.streams.get(stream).ok_or_else(|| Error::Internal(format!("no stream {stream}")))?;
        // A view of what was refused that failed on a refusal would otherwise have one more to fail on.
        let rejects = self.streams.get(builtin::REJECTS).filter(|_| stream.as_str() != builtin::REJECTS);
        let bounds = Bounds { rejects: rejects.map(|entry| entry.stream.clone()), ..Bounds::default() };
        let (schemas, data) = (&self.plan.schemas, self.plan.pipeline.data.as_path());
        views::start(entry.stream.clone(), configs, bounds, Surroundings { lake, schemas, data, claims }).await
    }

    /// The sink of this name, to be connected. Its view runs.
    pub(crate) async fn sink(
        &self,
        name: &Name,
        parts: &Parts,
        lake: &Lake,
        claims: &Claims,
    ) -> Result<ReadySink, Error> {
        let absent = |what: &str| Error::Internal(format!("sink {name} has no {what}, though it was checked"));
        let config = self.plan.pipeline.sinks.get(name).ok_or_else(|| absent("settings"))?;
        let planned = self.plan.sinks.get(name).ok_or_else(|| absent("kind"))?;
        let (followed, view) = match &planned.feed {
            Feed::Stream { name: from, .. } => {
                let stream = self.streams.get(from).ok_or_else(|| absent("stream"))?.stream.clone();
                let schema = self.plan.schemas.get(from).ok_or_else(|| absent("schema"))?;
                (Followed::Log { stream, times: Arc::new(EventTimes::new(schema)) }, None)
            }
            Feed::View { name: from, .. } => {
                let view = lake.view(from).ok_or_else(|| absent("view"))?;
                let feed = ViewFeed::new(view, planned.spec.takes == Takes::Appends);
                (Followed::View { name: from.clone(), feed: Arc::new(feed) }, Some(from.clone()))
            }
        };
        let watched = followed.clone();
        let told = (planned.spec.name, config.from.clone(), planned.spec.delivery);
        let watch = SinkWatch::new(name.clone(), told, Arc::clone(&parts.clock), move || Some(watched.newest()));
        let course = Course {
            name: name.clone(),
            spec: planned.spec,
            config: config.clone(),
            feed: planned.feed.clone(),
            followed,
            rejects: (!planned.is_of_rejects()).then(|| self.streams[builtin::REJECTS].stream.appender()),
            refuser: Refuser { sink: name.clone(), stream: planned.stream.clone(), view },
            file: PositionFile::of(&self.plan.pipeline.data, name),
            watch: Arc::new(watch),
            clock: Arc::clone(&parts.clock),
        };
        ReadySink::of(course, claims).await
    }

    /// All followers have claimed what they need of views: what others once claimed is forgotten.
    pub(crate) fn followers_have_claimed(&self, lake: &Lake) {
        lake.views().iter().for_each(|view| view.claims().forget_absent());
    }

    /// The source of this name, to be connected.
    pub(crate) fn source(&self, name: &Name, parts: &Parts) -> Result<Ready, Error> {
        let absent = |what: &str| Error::Internal(format!("source {name} has no {what}, though it was checked"));
        let config = self.plan.pipeline.sources.get(name).ok_or_else(|| absent("settings"))?;
        let spec = *self.plan.specs.get(name).ok_or_else(|| absent("kind"))?;
        let fed = |stream: &Name| {
            let entry = self.streams.get(stream).ok_or_else(|| absent("stream"))?;
            let schema = self.plan.schemas.get(stream).ok_or_else(|| absent("schema"))?;
            let (stream, untimed) = (entry.stream.clone(), Arc::clone(&entry.untimed));
            let conformance = Arc::clone(&entry.conformance);
            Ok(FedStream { stream, times: EventTimes::new(schema), untimed, conformance })
        };
        let ingest = Ingest {
            source: name.clone(),
            streams: config.streams.iter().map(fed).collect::<Result<_, Error>>()?,
            rejects: self.streams[builtin::REJECTS].stream.appender(),
            gaps: self.streams[builtin::GAPS].stream.appender(),
            watch: Arc::new(
                SourceWatch::new(name.clone(), spec.name, config.streams.clone()).counts_since(parts.clock.now()),
            ),
            clock: Arc::clone(&parts.clock),
        };
        Ok(Ready { ingest, spec, settings: config.settings.clone() })
    }
}
