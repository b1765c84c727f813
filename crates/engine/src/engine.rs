//! The engine: everything of one pipeline, started in order and stopped in the reverse.
//!
//! ```text
//! start:  store → streams → lake → views (open) → sources (connect)
//! stop:   sources (what is under way is committed) → views (a last checkpoint) → store
//! ```

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use lakehead_connector_api::SourceSpec;
use lakehead_model::{Clock, Name, StreamSchema, Timestamp};
use lakehead_query::{Lake, Limits};
use lakehead_store::{Appender, RetentionPlan, Store, Stream};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tracing::warn;

use crate::{
    Error, Pipeline, Pushed, Pushing, Status,
    audit::{
        self, Auditor, Effort, Report, Scope, Throttle,
        watchman::{self, Watched},
    },
    catalog::Catalog,
    columns::{LOOK_EVERY, look_back},
    current::Current,
    disk, gaps, import,
    imports::Imports,
    pipeline::StreamConfig,
    plan::Plan,
    rates::SAMPLE_EVERY,
    rejects,
    sources::{STOP_WITHIN, Sources},
    status::{AuditStatus, DiskStatus, ReloadStatus, ViewStatus},
    untimed::Untimed,
    upkeep::{self, Needed, Upkeep},
    views,
};

/// How often the disk is measured: a walk over the views' files, so not often.
const DISK_EVERY: Duration = Duration::from_secs(10);

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
    own.chain([(rejects::name(), rejects::schema()), (gaps::name(), gaps::schema())]).collect()
}

/// The views of one stream.
pub(crate) enum Group {
    /// They run.
    Running(views::Running),
    /// They are being replaced, or could not be started: how they were, and what is wrong, if something is. Their last results
    /// can be read.
    Resting(Vec<(Name, ViewStatus)>),
}

pub(crate) struct Shared {
    current: RwLock<Arc<Current>>,
    disk: Mutex<DiskStatus>,
    audit: Arc<Mutex<AuditStatus>>,
    imports: Imports,
    pub(crate) reloads: Mutex<ReloadStatus>,
    begun: Instant,
}

/// A running pipeline. Dropping it without [`shutdown`](Self::shutdown) is like pulling the plug: nothing that was
/// acknowledged is lost, and the next start picks up where the log ends.
pub struct Engine {
    pub(crate) parts: Parts,
    started: Timestamp,
    pub(crate) shared: Arc<Shared>,
    pub(crate) lake: Lake,
    pub(crate) sources: Sources,
    /// By stream.
    pub(crate) views: Mutex<BTreeMap<Name, Group>>,
    pub(crate) upkeep: Upkeep,
    /// What the audit in the background looks at; nothing while that is being replaced.
    pub(crate) watched: watch::Sender<Option<Watched>>,
    pub(crate) stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) store: Mutex<Option<Store>>,
    /// One import writes at a time: each compares its cursor with the committed one.
    importing: tokio::sync::Mutex<()>,
    /// What imports have done.
    pub(crate) imports: Imports,
    /// One reload at a time, and none during a shutdown.
    pub(crate) reloading: tokio::sync::Mutex<()>,
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
        let plan = Plan::check(pipeline, &parts).await?;
        let pipeline = Arc::clone(&plan.pipeline);
        let (dir, options, clock) = (pipeline.data.clone(), pipeline.store.clone(), Arc::clone(&parts.clock));
        let store = blocking(move || Store::open(&dir, options, clock)).await??;
        let lake = Lake::new(Limits::default())?;
        let mut opened = BTreeMap::new();
        for (name, schema) in &plan.schemas {
            let stream = store.stream(name)?;
            lake.add_stream(schema.clone(), stream.clone());
            opened.insert(name.clone(), stream);
        }
        let imports = Imports::load(&pipeline.data)?;
        for stream in opened.values() {
            imports.take_over(stream).await?;
        }
        let audit = Arc::new(Mutex::new(AuditStatus::load(&pipeline.data)));
        let current = Current::new(plan, &BTreeMap::new(), &opened);
        let (mut groups, mut needed) = (BTreeMap::new(), BTreeMap::new());
        for stream in current.plan.views.keys() {
            let running = start_views(&lake, &current, stream).await?;
            needed.insert(stream.clone(), Needed::by(&running));
            groups.insert(stream.clone(), Group::Running(running));
        }
        save_catalog(&pipeline);
        let (stop, stopping) = watch::channel(false);
        let seal = pipeline.store.seal.clone();
        let upkeep = Upkeep::start(current.upkept(), needed, seal, Arc::clone(&parts.clock), stopping.clone())?;
        let sources = Sources::default();
        for name in pipeline.sources.keys() {
            sources.add(current.source(name, &parts)?);
        }
        let (watched, watching) = watch::channel(Some(current.watched()));
        let shared = Arc::new(Shared {
            current: RwLock::new(Arc::new(current)),
            disk: Mutex::default(),
            audit,
            imports: imports.clone(),
            reloads: Mutex::default(),
            begun: Instant::now(),
        });
        let watchman = audit::watchman::watch(
            lake.clone(),
            watching,
            Arc::clone(&parts.clock),
            watchman::Kept { status: Arc::clone(&shared.audit), imports: imports.clone(), data: pipeline.data.clone() },
            stopping.clone(),
        );
        let observer = observe(Arc::clone(&shared), pipeline.data.clone(), stopping.clone());
        let columns = look_at_columns(Arc::clone(&shared), stopping);
        let tasks = vec![tokio::spawn(observer), tokio::spawn(watchman), tokio::spawn(columns)];
        let started = parts.clock.now();
        let (views, tasks, store) = (Mutex::new(groups), Mutex::new(tasks), Mutex::new(Some(store)));
        let (importing, reloading) = Default::default();
        Ok(Self {
            parts,
            started,
            shared,
            lake,
            sources,
            views,
            upkeep,
            watched,
            stop,
            tasks,
            store,
            importing,
            imports,
            reloading,
        })
    }

    /// Starts the sources, each on its own: one that is away does not hold up another. A second call does nothing.
    pub fn connect(&self) {
        self.sources.connect();
    }

    /// The settings that it runs with.
    #[must_use]
    pub fn pipeline(&self) -> Arc<Pipeline> {
        Arc::clone(&self.shared.current().plan.pipeline)
    }

    /// The streams and views as tables.
    #[must_use]
    pub fn lake(&self) -> Lake {
        self.lake.clone()
    }

    /// A stream, for those who follow it.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<Stream> {
        self.shared.current().streams.get(name).map(|kept| kept.stream.clone())
    }

    /// The events that came into a stream in each of the last whole seconds, the newest last; at most five minutes of them.
    #[must_use]
    pub fn rates(&self, stream: &str) -> Vec<u64> {
        self.shared.current().streams.get(stream).map(|kept| lock(&kept.rate).seconds()).unwrap_or_default()
    }

    /// A stream's columns.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<StreamSchema> {
        self.shared.current().plan.schemas.get(name).cloned()
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
        let current = self.shared.current();
        match current.streams.get(stream).and_then(|kept| kept.gateway.as_ref()) {
            Some(gateway) => gateway.push(body, content_type, key).await,
            None => Err(current.unknown(stream)),
        }
    }

    /// Takes whole lines of a body that goes on, as they come; what became of them is added to `pushing`. Returns when they are
    /// on disk. In the end comes [`push_told`](Self::push_told).
    ///
    /// # Errors
    /// As [`push`](Self::push): `pushing` counts what was kept before.
    pub async fn push_lines(&self, stream: &str, lines: Bytes, pushing: &mut Pushing) -> Result<(), Error> {
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        let current = self.shared.current();
        match current.streams.get(stream).and_then(|kept| kept.gateway.as_ref()) {
            Some(gateway) => gateway.push_lines(lines, pushing).await,
            None => Err(current.unknown(stream)),
        }
    }

    /// A body whose lines were taken as they came is at its end.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn push_told(&self, stream: &str, pushing: &mut Pushing) -> Result<(), Error> {
        let current = self.shared.current();
        match current.streams.get(stream).and_then(|kept| kept.gateway.as_ref()) {
            Some(gateway) => gateway.told(pushing).await,
            None => Ok(()),
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
        let (stream, schema, rejects, untimed) = self.importable(stream, source)?;
        import::check_event_time(stream.name(), &schema, event_time)?;
        let _turn = self.importing.lock().await;
        let held = self.imports.held(&stream, source);
        if held.as_deref() != expected {
            return Err(Error::CursorMoved { source_name: source.clone(), held });
        }
        self.imports.begin(&stream, source).await?;
        let importer = import::Importer::counting(&stream, rejects, &schema, source.clone(), untimed);
        let cursor = Arc::clone(&run.cursor);
        let under_way = importer.hand_over(run).await?;
        let imported = under_way.committed().await?;
        self.imports.committed(&stream, source, &cursor).await?;
        Ok(imported)
    }

    /// Where an import stands.
    ///
    /// # Errors
    /// `Invalid` for an unknown stream, or a name that is no import's.
    pub fn import_cursor(&self, stream: &str, source: &Name) -> Result<Option<Arc<str>>, Error> {
        self.importable(stream, source).map(|(stream, ..)| self.imports.held(&stream, source))
    }

    fn importable(&self, stream: &str, source: &Name) -> Result<(Stream, StreamSchema, Appender, Arc<Untimed>), Error> {
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        let current = self.shared.current();
        if !source.as_str().starts_with(import::PREFIX) || current.plan.pipeline.sources.contains_key(source) {
            return Err(Error::Pipeline(format!("{source} is no import: its name begins with {}", import::PREFIX)));
        }
        let kept = current.streams.get(stream).filter(|kept| kept.gateway.is_some());
        let kept = kept.ok_or_else(|| current.unknown(stream))?;
        let rejects = current.streams[rejects::STREAM].stream.appender();
        Ok((kept.stream.clone(), current.plan.schemas[stream].clone(), rejects, Arc::clone(&kept.untimed)))
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
        let current = self.shared.current();
        let streams =
            current.streams.iter().map(|(name, kept)| (name.clone(), kept.status(now, self.upkeep.status(name))));
        Status {
            version: self.parts.version,
            now,
            started: self.started,
            uptime_seconds: self.shared.begun.elapsed().as_secs(),
            stopping: *self.stop.borrow(),
            streams: streams.collect(),
            sources: self.sources.status(),
            views: lock(&self.views).values().flat_map(Group::status).collect(),
            disk: lock(&self.shared.disk).clone(),
            audit: lock(&self.shared.audit).clone(),
            reloads: lock(&self.shared.reloads).clone(),
        }
    }

    /// What retention would do now, for each stream that has a rule. Reads files where nobody has looked yet; blocks.
    ///
    /// # Errors
    /// As the store's, when a segment cannot be read.
    pub fn retention(&self) -> Result<BTreeMap<Name, RetentionPlan>, Error> {
        self.upkeep.plans()
    }

    /// Pauses sealing, or lets it go on.
    pub fn pause_sealing(&self, paused: bool) {
        self.upkeep.pause(paused);
    }

    /// Whether sealing is paused.
    #[must_use]
    pub fn sealing_is_paused(&self) -> bool {
        self.upkeep.is_paused()
    }

    /// What a source's task tells.
    #[cfg(test)]
    pub(crate) fn watch_of(&self, source: &str) -> Arc<crate::watch::SourceWatch> {
        self.sources.watch_of(source)
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
        // One that is under way is finished; none begins after it.
        let _last = self.reloading.lock().await;
        self.sources.stop_all().await;
        let tasks = std::mem::take(&mut *lock(&self.tasks));
        let deadline = Instant::now() + STOP_WITHIN;
        for task in tasks {
            if tokio::time::timeout_at(deadline, task).await.is_err() {
                warn!("the audit did not stop within {STOP_WITHIN:?}; going on without it");
            }
        }
        let groups: Vec<Name> = lock(&self.views).keys().cloned().collect();
        for stream in &groups {
            self.rest_views(stream).await;
        }
        // It notices the stop within one large frame; the store is closed after it.
        let upkeep = self.upkeep.thread();
        blocking(move || upkeep.map(upkeep::join)).await?;
        let store = lock(&self.store).take();
        match store {
            Some(store) => blocking(move || store.close()).await?.map_err(Error::from),
            None => Ok(()),
        }
    }

    /// Stops the views of `stream`: what is under way is absorbed and committed. How they were still shows.
    pub(crate) async fn rest_views(&self, stream: &Name) {
        let running = {
            let mut views = lock(&self.views);
            let Some(group) = views.get_mut(stream) else { return };
            let were = Group::Resting(group.status());
            std::mem::replace(group, were)
        };
        if let Group::Running(running) = running {
            running.stop().await;
        }
    }
}

impl Shared {
    /// The pipeline that runs.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this one runs.
    pub(crate) fn set_current(&self, current: Arc<Current>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
    }

    fn auditor(&self, lake: &Lake, effort: Effort) -> Auditor {
        Auditor::new(lake.clone(), self.current().only_streams(), effort).with_imports(self.imports.clone())
    }
}

impl Group {
    pub(crate) fn status(&self) -> Vec<(Name, ViewStatus)> {
        match self {
            Self::Running(running) => running.status(),
            Self::Resting(were) => were.clone(),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.sources.halt();
    }
}

/// Starts the views of `stream`.
pub(crate) async fn start_views(lake: &Lake, current: &Current, stream: &Name) -> Result<views::Running, Error> {
    let configs = current.plan.views.get(stream).cloned().unwrap_or_default().into_iter().collect();
    let kept = current.streams.get(stream).ok_or_else(|| Error::Internal(format!("no stream {stream}")))?;
    // A view of what was refused that failed on a refusal would otherwise have one more to fail on.
    let rejects = current.streams.get(rejects::STREAM).filter(|_| stream.as_str() != rejects::STREAM);
    let rejects = rejects.map(|kept| kept.stream.clone());
    views::start(lake, kept.stream.clone(), &current.plan.schemas, configs, &current.plan.pipeline.data, rejects).await
}

/// Says in the data directory what tables there are.
pub(crate) fn save_catalog(pipeline: &Pipeline) {
    if let Err(error) = Catalog::of(pipeline).save(&pipeline.data) {
        // A full disk, perhaps: what is there can be read and served all the same.
        warn!("queries without a running process may not know every table: {error}");
    }
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
        let current = shared.current();
        for kept in current.streams.values() {
            lock(&kept.rate).observe(shared.begun.elapsed(), kept.stream.head().end.0);
        }
        if measured.is_none_or(|at| at.elapsed() >= DISK_EVERY) {
            measured = Some(Instant::now());
            current.streams.values().for_each(|kept| kept.stream.forget_old());
            let dir = data.clone();
            let streams = current.only_streams();
            // One that nobody writes at the moment is looked after as well.
            let looked = tokio::task::spawn_blocking(move || streams.values().for_each(Stream::look_after)).await;
            if let Err(error) = looked {
                warn!("the streams' files could not be looked after: {error}");
            }
            let found =
                tokio::task::spawn_blocking(move || (disk::size_below(&dir.join("views")), disk::free_bytes(&dir)));
            let logs: u64 = current.streams.values().map(|kept| kept.stream.stats().stored_bytes).sum();
            if let Ok((views, Ok(free_bytes))) = found.await {
                *lock(&shared.disk) = DiskStatus { data_bytes: logs + views, free_bytes };
            }
        }
    }
}

/// Looks at how well what comes fits the columns.
async fn look_at_columns(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let current = shared.current();
        let look = move || {
            for (name, kept) in &current.streams {
                let Some(schema) = current.plan.schemas.get(name).filter(|_| kept.gateway.is_some()) else { continue };
                // Where the one cannot read what lies behind, the other may still follow what comes.
                let looked = kept.untimed.look_back(|events_max| look_back(&kept.stream, schema, events_max));
                if let Err(error) = looked.and(kept.columns.look(&kept.stream, schema)) {
                    // Whoever needs the events says it louder.
                    tracing::debug!(stream = %name, "its columns cannot be looked at: {error}");
                }
            }
        };
        // An error means that it panicked, which the log has; the next time it is tried again.
        let _ = blocking(look).await;
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
