//! The engine: everything of one pipeline, started in order and stopped in the reverse.
//!
//! ```text
//! start:  store → streams → lake → views (open) → sources (connect)
//! stop:   sources (what is under way is committed) → views (a last checkpoint) → store
//! ```

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use lakehead_model::{Name, StreamSchema, Timestamp};
use lakehead_query::{Lake, Limits};
use lakehead_store::{RetentionPlan, Store, Stream};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tracing::warn;

use crate::{
    Error, Parts, Pipeline, Status,
    audit::{
        Auditor, Effort, Report, Scope, Throttle,
        background::{BackgroundAuditor, Watched},
    },
    catalog::{self, Catalog},
    claims::Claims,
    current::Current,
    identity::Identities,
    imports::Imports,
    maintenance::{self, Maintenance},
    observers,
    plan::Plan,
    shared::Shared,
    sources::{STOP_WITHIN, Sources},
    stream_entry::StreamEntry,
    sync::{blocking, lock, stopped},
    views::{ViewGroup, ViewRoster},
};

/// A running pipeline. Dropping it without [`shutdown`](Self::shutdown) is like pulling the plug: nothing that was
/// acknowledged is lost, and the next start picks up where the log ends.
pub struct Engine {
    pub(crate) parts: Parts,
    started: Timestamp,
    pub(crate) shared: Arc<Shared>,
    pub(crate) lake: Lake,
    pub(crate) sources: Sources,
    pub(crate) views: ViewRoster,
    /// Who needs which events of the log.
    pub(crate) claims: Claims,
    pub(crate) maintenance: Maintenance,
    /// What the audit in the background looks at; nothing while that is being replaced.
    pub(crate) watched: watch::Sender<Option<Watched>>,
    pub(crate) stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) store: Mutex<Option<Store>>,
    /// One import writes at a time: each compares its cursor with the committed one.
    pub(crate) importing: tokio::sync::Mutex<()>,
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
        // A directory without a catalog is a new one, or one whose catalog is damaged: then the log may hold anything.
        let known = match Catalog::load(&pipeline.data) {
            Ok(catalog) => catalog.known_identities(),
            Err(_) => Identities::of_a_log(opened.values()),
        };
        let current = Current::new(plan, &BTreeMap::new(), &opened, &known);
        let (views, claims) = (ViewRoster::default(), Claims::default());
        for stream in current.plan.views.keys() {
            let running = current.start_views(stream, &lake, &claims).await?;
            views.insert(stream.clone(), ViewGroup::Running(running));
        }
        catalog::save_or_warn(&pipeline, &current.identities);
        let (stop, stopping) = watch::channel(false);
        let seal = pipeline.store.seal.clone();
        let clock = || Arc::clone(&parts.clock);
        let maintenance = Maintenance::start(current.maintained(), claims.clone(), seal, clock(), stopping.clone())?;
        let sources = Sources::default();
        for name in pipeline.sources.keys() {
            sources.add(current.source(name, &parts)?);
        }
        let (watched, watching) = watch::channel(Some(current.watched()));
        let shared = Arc::new(Shared::new(current, &pipeline.data));
        let data = pipeline.data.clone();
        let background =
            BackgroundAuditor::new(lake.clone(), clock(), imports.clone(), Arc::clone(&shared.audit), data.clone());
        let tasks = vec![
            tokio::spawn(observers::sample(Arc::clone(&shared), data, stopping.clone())),
            tokio::spawn(background.run(watching, stopping.clone())),
            tokio::spawn(observers::look_at_columns(Arc::clone(&shared), stopping)),
        ];
        let started = parts.clock.now();
        let (tasks, store) = (Mutex::new(tasks), Mutex::new(Some(store)));
        let (importing, reloading) = Default::default();
        Ok(Self {
            parts,
            started,
            shared,
            lake,
            sources,
            views,
            claims,
            maintenance,
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
        self.shared.current().streams.get(name).map(|entry| entry.stream.clone())
    }

    /// The events that came into a stream in each of the last whole seconds, the newest last; at most five minutes of them.
    #[must_use]
    pub fn rates(&self, stream: &str) -> Vec<u64> {
        self.shared.current().streams.get(stream).map(|entry| lock(&entry.rate).seconds()).unwrap_or_default()
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

    /// Audits `scope` as fast as it goes, whatever the audit in the background has found. It ends when the future is
    /// dropped, and when the engine stops.
    ///
    /// # Errors
    /// `Corrupt` when a log cannot be read; `Unavailable` when a file of a view cannot.
    pub async fn verify(&self, scope: &Scope) -> Result<Report, Error> {
        let throttle = Arc::new(Throttle::unlimited(None));
        let _stop = throttle.stop_on_drop();
        let current = self.shared.current();
        let auditor = Auditor::new(self.lake.clone(), current.only_streams(), Effort::Whole);
        let mut auditor = auditor.with_imports(self.imports.clone()).with_identities(current.identities.clone());
        let mut stop = self.stop.subscribe();
        tokio::select! {
            report = auditor.audit(scope, &throttle) => report,
            () = stopped(&mut stop) => Err(Error::Stopping),
        }
    }

    /// Everything at this moment. Cheap.
    #[must_use]
    pub fn status(&self) -> Status {
        let now = self.parts.clock.now();
        let current = self.shared.current();
        let stream = |(name, entry): (&Name, &Arc<StreamEntry>)| {
            (name.clone(), entry.status(now, self.maintenance.status(name)))
        };
        Status {
            version: self.parts.version,
            now,
            started: self.started,
            uptime_seconds: self.shared.begun.elapsed().as_secs(),
            stopping: *self.stop.borrow(),
            streams: current.streams.iter().map(stream).collect(),
            sources: self.sources.status(),
            views: self.views.status(),
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
        self.maintenance.plans()
    }

    /// Pauses sealing, or lets it go on.
    pub fn pause_sealing(&self, paused: bool) {
        self.maintenance.pause(paused);
    }

    /// Whether sealing is paused.
    #[must_use]
    pub fn sealing_is_paused(&self) -> bool {
        self.maintenance.is_paused()
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
        self.views.stop_all().await;
        // It notices the stop within one large frame; the store is closed after it.
        let thread = self.maintenance.thread();
        blocking(move || thread.map(maintenance::join)).await?;
        let store = lock(&self.store).take();
        match store {
            Some(store) => blocking(move || store.close()).await?.map_err(Error::from),
            None => Ok(()),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.sources.halt();
    }
}
