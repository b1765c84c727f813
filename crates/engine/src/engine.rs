//! The engine: everything of one pipeline, started in order and stopped in the reverse.
//!
//! ```text
//! start:  store → streams → lake → views (open) → sources (connect)
//! stop:   sources (what is under way is committed) → views (a last checkpoint) → store
//! ```

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use lakehead_connector_api::SourceSpec;
use lakehead_json::EventTimes;
use lakehead_model::{Clock, Name, StreamSchema, Timestamp};
use lakehead_query::{Lake, Limits};
use lakehead_store::{Appender, RetentionPlan, Store, Stream};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tracing::warn;

use crate::{
    Error, Pipeline, Pushed, Status,
    audit::{self, Auditor, Effort, Report, Scope, Throttle},
    catalog::Catalog,
    disk, gaps, import,
    ingest::Ingest,
    pipeline::StreamConfig,
    push::Gateway,
    rates::{Rate, SAMPLE_EVERY, SPAN_MAX},
    rejects,
    status::{AuditStatus, DiskStatus, StreamStatus},
    supervise::supervise,
    upkeep::{self, Upkeep, UpkeepStatus},
    views::{self, Needs},
    watch::SourceWatch,
};

/// How often the disk is measured: a walk over the views' files, so not often.
const DISK_EVERY: Duration = Duration::from_secs(10);

/// How long sources get to finish what is under way; the store commits within a quarter of a second, so past this the
/// disk is in trouble and waiting does not help.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// What a pipeline runs with: the components, apart from the settings.
#[derive(Clone)]
pub struct Parts {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The kinds of source there are.
    pub sources: &'static [SourceSpec],
    /// Lakehead's version, for people.
    pub version: &'static str,
}

/// The schemas by which `pipeline`'s streams are tables, the built-in streams among them.
#[must_use]
pub fn schemas(streams: &BTreeMap<Name, StreamConfig>) -> BTreeMap<Name, StreamSchema> {
    let own = streams.iter().map(|(name, config)| (name.clone(), config.schema.clone()));
    own.chain([(built_in(rejects::STREAM), rejects::schema()), (built_in(gaps::STREAM), gaps::schema())]).collect()
}

fn built_in(name: &str) -> Name {
    Name::new(name).expect("a constant that is a name")
}

struct Kept {
    stream: Stream,
    gateway: Option<Gateway>,
    rate: Mutex<Rate>,
}

struct Shared {
    streams: BTreeMap<Name, Kept>,
    disk: Mutex<DiskStatus>,
    audit: Arc<Mutex<AuditStatus>>,
    begun: Instant,
}

/// A running pipeline. Dropping it without [`shutdown`](Self::shutdown) is like pulling the plug: nothing that was
/// acknowledged is lost, and the next start picks up where the log ends.
pub struct Engine {
    pipeline: Pipeline,
    parts: Parts,
    started: Timestamp,
    schemas: BTreeMap<Name, StreamSchema>,
    shared: Arc<Shared>,
    lake: Lake,
    sources: Watches,
    /// Sources that are not connected yet.
    waiting: Mutex<Vec<Waiting>>,
    views: Mutex<Vec<views::Running>>,
    upkeep: Mutex<Upkeep>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    store: Mutex<Option<Store>>,
    /// One import writes at a time: each compares its cursor with the committed one.
    importing: tokio::sync::Mutex<()>,
}

/// What each source's task tells.
type Watches = BTreeMap<Name, Arc<SourceWatch>>;

/// A source that is ready to be connected.
struct Waiting {
    ingest: Ingest,
    spec: SourceSpec,
    settings: serde_json::Value,
}

impl Engine {
    /// [`open`](Self::open), then [`connect`](Self::connect).
    ///
    /// # Errors
    /// As `open`.
    pub async fn start(pipeline: Pipeline, parts: Parts) -> Result<Self, Error> {
        let engine = Self::open(pipeline, parts).await?;
        engine.connect();
        Ok(engine)
    }

    /// Opens the store and the streams, and starts the views. What is there can be asked and pushed to from now on; the
    /// sources are not connected yet.
    ///
    /// # Errors
    /// By kind: `Invalid` for a data directory that is another's, or in use, or of a newer format, and for a pipeline
    /// that does not fit together; `Unavailable` when the disk says no; `Corrupt` when the log is damaged.
    pub async fn open(pipeline: Pipeline, parts: Parts) -> Result<Self, Error> {
        let schemas = schemas(&pipeline.streams);
        let (dir, options, clock) = (pipeline.data.clone(), pipeline.store.clone(), Arc::clone(&parts.clock));
        let store = blocking(move || Store::open(&dir, options, clock)).await??;
        let mut streams = BTreeMap::new();
        for name in schemas.keys() {
            streams.insert(name.clone(), store.stream(name)?);
        }
        let lake = Lake::new(Limits::default())?;
        for (name, schema) in &schemas {
            lake.add_stream(schema.clone(), streams[name].clone());
        }
        let (stop, stopping) = watch::channel(false);
        let views = start_views(&pipeline, &lake, &schemas, &streams).await?;
        if let Err(error) = Catalog::of(&pipeline).save(&pipeline.data) {
            // A full disk, perhaps: what is there can be read and served all the same.
            warn!("queries without a running process may not know every table: {error}");
        }
        let upkeep = start_upkeep(&pipeline, &parts, &streams, Needs::new(&views), stop.subscribe())?;
        let (sources, waiting) = prepare_sources(&pipeline, &parts, &schemas, &streams)?;
        let shared = Arc::new(Shared {
            streams: with_gateways(&pipeline, &schemas, streams),
            disk: Mutex::default(),
            audit: Arc::default(),
            begun: Instant::now(),
        });
        let watchman = audit::watchman::watch(
            shared.auditor(&lake, Effort::Background),
            pipeline.verify,
            Arc::clone(&parts.clock),
            Arc::clone(&shared.audit),
            stopping.clone(),
        );
        let observer = observe(Arc::clone(&shared), pipeline.data.clone(), stopping);
        let tasks = vec![tokio::spawn(observer), tokio::spawn(watchman)];
        let started = parts.clock.now();
        let waiting = Mutex::new(waiting);
        let upkeep = Mutex::new(upkeep);
        let (views, tasks, store) = (Mutex::new(views), Mutex::new(tasks), Mutex::new(Some(store)));
        Ok(Self {
            pipeline,
            parts,
            started,
            schemas,
            shared,
            lake,
            sources,
            waiting,
            views,
            upkeep,
            stop,
            tasks,
            store,
            importing: tokio::sync::Mutex::default(),
        })
    }

    /// Starts the sources, each on its own: one that is away does not hold up another. A second call does nothing.
    pub fn connect(&self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        let start =
            |Waiting { ingest, spec, settings }| tokio::spawn(supervise(ingest, spec, settings, self.stop.subscribe()));
        lock(&self.tasks).extend(waiting.into_iter().map(start));
    }

    /// The settings it was started with.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The streams and views as tables.
    #[must_use]
    pub fn lake(&self) -> Lake {
        self.lake.clone()
    }

    /// A stream, for those who follow it.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<Stream> {
        self.shared.streams.get(name).map(|kept| kept.stream.clone())
    }

    /// A stream's columns.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<&StreamSchema> {
        self.schemas.get(name)
    }

    /// Writes into the data directory where this process listens, so that `lakehead query` finds it.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be written; `Closed` after the shutdown.
    pub fn publish_address(&self, address: &str) -> Result<(), Error> {
        match lock(&self.store).as_ref() {
            Some(store) => Ok(store.publish_address(address)?),
            None => Err(Error::Stopping),
        }
    }

    /// Takes a pushed body: one JSON document, an array of them, or one on each line. What is not JSON, or too large, is
    /// refused by itself, with its place and reason. Returns when all of it is on disk.
    ///
    /// `key` makes a push idempotent: while the stream remembers the key, the same push again does nothing.
    ///
    /// # Errors
    /// `Invalid` for an unknown stream, a body above [`BODY_BYTES_MAX`](crate::BODY_BYTES_MAX) or an empty one;
    /// `Unavailable` while the store cannot write: nothing of the body was kept then; `Closed` while stopping.
    pub async fn push(
        &self,
        stream: &str,
        body: Bytes,
        content_type: Option<&str>,
        key: Option<&str>,
    ) -> Result<Pushed, Error> {
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        match self.shared.streams.get(stream).and_then(|kept| kept.gateway.as_ref()) {
            Some(gateway) => gateway.push(body, content_type, key).await,
            None => Err(self.unknown(stream)),
        }
    }

    /// Takes a run of lines from an import that stands at the cursor `expected`, and moves it to `cursor` with them; see
    /// [`Importer`](crate::import::Importer).
    ///
    /// # Errors
    /// `CursorMoved` when the import stands elsewhere: nothing was taken then; else as [`push`](Self::push).
    pub async fn import(
        &self,
        stream: &str,
        source: &Name,
        event_time: Option<&str>,
        expected: Option<&str>,
        run: import::Run,
    ) -> Result<import::Imported, Error> {
        let (stream, schema, rejects) = self.importable(stream, source)?;
        let _turn = self.importing.lock().await;
        let held = import::held(&stream, source);
        if held.as_deref() != expected {
            return Err(Error::CursorMoved { source_name: source.clone(), held });
        }
        let importer = import::Importer::new(&stream, rejects, schema, event_time, source.clone());
        let under_way = importer.hand_over(run).await?;
        under_way.committed().await
    }

    /// Where an import stands.
    ///
    /// # Errors
    /// `Invalid` for an unknown stream, or a name that is no import's.
    pub fn import_cursor(&self, stream: &str, source: &Name) -> Result<Option<Arc<str>>, Error> {
        self.importable(stream, source).map(|(stream, ..)| import::held(&stream, source))
    }

    fn importable(&self, stream: &str, source: &Name) -> Result<(Stream, &StreamSchema, Appender), Error> {
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        if !source.as_str().starts_with(import::PREFIX) || self.pipeline.sources.contains_key(source) {
            return Err(Error::Pipeline(format!("{source} is no import: its name begins with {}", import::PREFIX)));
        }
        let kept = self.shared.streams.get(stream).filter(|kept| kept.gateway.is_some());
        let kept = kept.ok_or_else(|| self.unknown(stream))?;
        let rejects = self.shared.streams[rejects::STREAM].stream.appender();
        Ok((kept.stream.clone(), &self.schemas[stream], rejects))
    }

    fn unknown(&self, stream: &str) -> Error {
        Error::UnknownStream {
            name: stream.chars().take(80).collect(),
            known: self.pipeline.streams.keys().map(Name::as_str).collect::<Vec<_>>().join(", "),
        }
    }

    /// Audits `scope` as fast as it goes, whatever the audit in the background has found. It ends when the future is
    /// dropped, and when the engine stops.
    ///
    /// # Errors
    /// `Corrupt` when a log cannot be read; `Unavailable` when a file of a view cannot.
    pub async fn verify(&self, scope: &Scope) -> Result<Report, Error> {
        let throttle = Arc::new(Throttle::unlimited(None));
        let _stop = throttle.stop_on_drop();
        let mut auditor = self.shared.auditor(&self.lake, Effort::Whole);
        let mut stop = self.stop.subscribe();
        tokio::select! {
            report = auditor.audit(scope, &throttle) => report,
            _ = stop.wait_for(|stop| *stop) => Err(Error::Stopping),
        }
    }

    /// Everything at this moment. Cheap.
    #[must_use]
    pub fn status(&self) -> Status {
        let now = self.parts.clock.now();
        let upkeep = |name| lock(&self.upkeep).status(name);
        let streams = self.shared.streams.iter().map(|(name, kept)| (name.clone(), kept.status(now, upkeep(name))));
        Status {
            version: self.parts.version,
            now,
            started: self.started,
            uptime_seconds: self.shared.begun.elapsed().as_secs(),
            stopping: *self.stop.borrow(),
            streams: streams.collect(),
            sources: self.sources.iter().map(|(name, watch)| (name.clone(), watch.status())).collect(),
            views: lock(&self.views).iter().flat_map(views::Running::status).collect(),
            disk: lock(&self.shared.disk).clone(),
            audit: lock(&self.shared.audit).clone(),
        }
    }

    /// What retention would do now, for each stream that has a rule. Reads files where nobody has looked yet; blocks.
    ///
    /// # Errors
    /// As the store's, when a segment cannot be read.
    pub fn retention(&self) -> Result<BTreeMap<Name, RetentionPlan>, Error> {
        lock(&self.upkeep).plans()
    }

    /// Pauses sealing, or lets it go on.
    pub fn pause_sealing(&self, paused: bool) {
        lock(&self.upkeep).pause(paused);
    }

    /// Whether sealing is paused.
    #[must_use]
    pub fn sealing_is_paused(&self) -> bool {
        lock(&self.upkeep).is_paused()
    }

    /// What a source's task tells.
    #[cfg(test)]
    pub(crate) fn watch_of(&self, source: &str) -> &SourceWatch {
        &self.sources[source]
    }

    /// Whether a shutdown has begun; for those who serve long answers.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Stops the sources, commits what is under way, saves the views, closes the store. A second call does nothing.
    ///
    /// # Errors
    /// The store's, when its last write fails. Nothing that was acknowledged is lost by it.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        let deadline = Instant::now() + STOP_WITHIN;
        for task in tasks {
            if tokio::time::timeout_at(deadline, task).await.is_err() {
                warn!("a source did not finish within {STOP_WITHIN:?}; going on without it");
            }
        }
        let views = std::mem::take(&mut *lock(&self.views));
        for views in views {
            views.stop().await;
        }
        // It notices the stop within one large frame; the store is closed after it.
        let upkeep = lock(&self.upkeep).thread();
        blocking(move || upkeep.map(upkeep::join)).await?;
        let store = lock(&self.store).take();
        match store {
            Some(store) => blocking(move || store.close()).await?.map_err(Error::from),
            None => Ok(()),
        }
    }
}

impl Shared {
    fn auditor(&self, lake: &Lake, effort: Effort) -> Auditor {
        let streams = self.streams.iter().map(|(name, kept)| (name.clone(), kept.stream.clone()));
        Auditor::new(lake.clone(), streams.collect(), effort)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl Kept {
    fn status(&self, now: Timestamp, upkeep: UpkeepStatus) -> StreamStatus {
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
            cannot_write: match &*self.stream.health().borrow() {
                lakehead_store::Health::CannotWrite(reason) => Some(reason.to_string()),
                lakehead_store::Health::Ok => None,
            },
            epoch: head.epoch,
        }
    }
}

/// Views are run by stream: each block is decoded once for all views of its stream.
async fn start_views(
    pipeline: &Pipeline,
    lake: &Lake,
    schemas: &BTreeMap<Name, StreamSchema>,
    streams: &BTreeMap<Name, Stream>,
) -> Result<Vec<views::Running>, Error> {
    let mut by_stream: BTreeMap<Name, Vec<_>> = BTreeMap::new();
    for (name, config) in &pipeline.views {
        let plan = lakehead_query::check_view(&config.sql, schemas)
            .await
            .map_err(|source| Error::View { view: name.clone(), source })?;
        by_stream.entry(plan.stream().clone()).or_default().push((name.clone(), config.clone()));
    }
    let mut running = Vec::new();
    for (stream, views) in by_stream {
        running.push(views::start(lake, streams[&stream].clone(), schemas, views, &pipeline.data).await?);
    }
    Ok(running)
}

fn start_upkeep(
    pipeline: &Pipeline,
    parts: &Parts,
    streams: &BTreeMap<Name, Stream>,
    needs: Needs,
    stop: watch::Receiver<bool>,
) -> Result<Upkeep, Error> {
    let kept = streams.iter().map(|(name, stream)| {
        let retention = pipeline.streams.get(name).map(|config| config.retention).unwrap_or_default();
        (name.clone(), upkeep::Kept { stream: stream.clone(), retention })
    });
    Upkeep::start(kept.collect(), needs, pipeline.store.seal.clone(), Arc::clone(&parts.clock), stop)
}

fn prepare_sources(
    pipeline: &Pipeline,
    parts: &Parts,
    schemas: &BTreeMap<Name, StreamSchema>,
    streams: &BTreeMap<Name, Stream>,
) -> Result<(Watches, Vec<Waiting>), Error> {
    let (mut watches, mut waiting) = (BTreeMap::new(), Vec::new());
    for (name, config) in &pipeline.sources {
        let spec = parts.sources.iter().find(|spec| spec.name == config.kind);
        let spec = spec.ok_or_else(|| Error::Pipeline(format!("source {name}: no kind {:?}", config.kind)))?;
        let stream = streams.get(&config.stream);
        let stream =
            stream.ok_or_else(|| Error::Pipeline(format!("source {name}: no stream {:?}", config.stream.as_str())))?;
        let watch = Arc::new(SourceWatch::new(name.clone(), spec.name, config.stream.clone()));
        let ingest = Ingest {
            source: name.clone(),
            stream: stream.clone(),
            rejects: streams[rejects::STREAM].appender(),
            gaps: streams[gaps::STREAM].appender(),
            times: EventTimes::new(&schemas[&config.stream]),
            watch: Arc::clone(&watch),
            clock: Arc::clone(&parts.clock),
        };
        waiting.push(Waiting { ingest, spec: *spec, settings: config.settings.clone() });
        watches.insert(name.clone(), watch);
    }
    Ok((watches, waiting))
}

fn with_gateways(
    pipeline: &Pipeline,
    schemas: &BTreeMap<Name, StreamSchema>,
    streams: BTreeMap<Name, Stream>,
) -> BTreeMap<Name, Kept> {
    let rejects = streams[rejects::STREAM].clone();
    let kept = streams.into_iter().map(|(name, stream)| {
        let own = pipeline.streams.contains_key(&name);
        let gateway = own.then(|| Gateway::new(stream.clone(), &schemas[&name], rejects.appender()));
        (name, Kept { stream, gateway, rate: Mutex::default() })
    });
    kept.collect()
}

/// Looks at the streams' ends and at the disk, so that a status needs no history and no I/O.
async fn observe(shared: Arc<Shared>, data: std::path::PathBuf, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut measured: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        for kept in shared.streams.values() {
            lock(&kept.rate).observe(shared.begun.elapsed(), kept.stream.head().end.0);
        }
        if measured.is_none_or(|at| at.elapsed() >= DISK_EVERY) {
            measured = Some(Instant::now());
            let dir = data.clone();
            let found =
                tokio::task::spawn_blocking(move || (disk::size_below(&dir.join("views")), disk::free_bytes(&dir)));
            let logs: u64 = shared.streams.values().map(|kept| kept.stream.stats().stored_bytes).sum();
            if let Ok((views, Ok(free_bytes))) = found.await {
                *lock(&shared.disk) = DiskStatus { data_bytes: logs + views, free_bytes };
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
