//! Reload: replaces the pipeline that runs by another one, without a restart.
//!
//! ```text
//! check all of it ─▶ open new streams ─▶ stop sources, sinks ─▶ streams, views ─▶ start sinks, sources ─▶ done
//!    └ refused          └ refused         from here on it is applied; what fails is said and tried again by the next
//! ```
//! What did not change is not touched: its streams take events, its sources bring them, its views count them. What changed is
//! stopped as at a shutdown, so that what is under way is committed, and started as at a start, so that it goes on from there.
//! A view that is gone keeps its files, a stream its log and a sink its position; if they come back they go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lakehead_model::{Kind, Name};
use tracing::{error, info, warn};

use crate::{
    Engine, Error, Pipeline, catalog,
    changes::Changes,
    current::Current,
    pipeline_diff::{Reloaded, fixed},
    plan::Plan,
    roster::Runs,
    status::{LastReload, ReloadOutcome, ViewState, ViewStatus},
    sync::{blocking, lock, stopped},
    views::ViewGroup,
};

impl Engine {
    /// Makes `pipeline` the one that runs: all of it or, where it is refused, nothing. Comes to its end even when the future is
    /// dropped.
    ///
    /// # Errors
    /// `Invalid` when it does not fit together, or changes what takes a restart; `Closed` while stopping. Nothing has changed
    /// then. [`Error::PartlyReloaded`] when a view could not be opened, most likely for want of room on the disk: it
    /// is stopped, and all else is as `pipeline` says.
    pub async fn reload(self: &Arc<Self>, pipeline: Pipeline) -> Result<Reloaded, Error> {
        let engine = Arc::clone(self);
        let whole = async move {
            let _alone = engine.reloading.lock().await;
            let outcome = engine.replace(pipeline).await;
            engine.note(match &outcome {
                Ok(reloaded) => ReloadOutcome::Done { changes: reloaded.in_words() },
                Err(error) if matches!(error.kind(), Kind::Internal) || matches!(error, Error::PartlyReloaded(_)) => {
                    ReloadOutcome::Failed { why: error.to_string() }
                }
                Err(error) => ReloadOutcome::Refused { why: error.to_string() },
            });
            outcome
        };
        tokio::spawn(whole).await.map_err(|error| Error::Internal(format!("reloading: {error}")))?
    }

    /// Notes that a pipeline was to be reloaded and could not even be read.
    pub fn reload_refused(&self, why: String) {
        self.note(ReloadOutcome::Refused { why });
    }

    fn note(&self, outcome: ReloadOutcome) {
        let mut reloads = lock(&self.shared.reloads);
        match &outcome {
            ReloadOutcome::Done { changes } => {
                reloads.done += 1;
                info!(
                    "reloaded: {}",
                    if changes.is_empty() { "nothing has changed".into() } else { changes.join(", ") }
                );
            }
            ReloadOutcome::Refused { why } => {
                reloads.refused += 1;
                warn!("not reloaded, and the pipeline goes on as it was: {why}");
            }
            ReloadOutcome::Failed { why } => {
                reloads.failed += 1;
                error!("reloaded, but not as a whole: {why}");
            }
        }
        reloads.last = Some(LastReload { at: self.parts.clock.now(), outcome });
    }

    async fn replace(self: &Arc<Self>, mut pipeline: Pipeline) -> Result<Reloaded, Error> {
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        let before = self.shared.current();
        if let (Ok(old), Ok(new)) = (before.plan.pipeline.data.canonicalize(), pipeline.data.canonicalize())
            && old == new
        {
            // Written otherwise, it is the same directory.
            pipeline.data.clone_from(&before.plan.pipeline.data);
        }
        let in_the_way = fixed(&before.plan.pipeline, &pipeline);
        if !in_the_way.is_empty() {
            return Err(Error::TakesRestart(in_the_way));
        }
        // SQL may take long to plan and cannot be interrupted in it; a stop does not wait for that.
        let (parts, mut stop) = (self.parts.clone(), self.stop.subscribe());
        let checking = tokio::spawn(async move { Plan::check(pipeline, &parts).await });
        let plan = tokio::select! {
            plan = checking => plan.map_err(|error| Error::Internal(format!("checking: {error}")))??,
            () = stopped(&mut stop) => return Err(Error::Stopping),
        };
        let reloaded = Reloaded::between(&before.plan.pipeline, &plan.pipeline);
        let standing = self.views.stopped();
        if reloaded.is_empty() && standing.is_empty() {
            return Ok(reloaded);
        }
        let opened = self.open_streams(&before, &plan).await?;
        let now = Arc::new(Current::new(plan, &before.streams, &opened, &before.identities));

        // From here on it is applied.
        self.watched.send_replace(None);
        let Touched { sources, sinks, groups } = Touched::by(&reloaded, &before, &now, standing);
        self.sources.stop(&sources.leave).await;
        self.sinks.stop(&sinks.leave).await;
        self.show_streams(&reloaded, &now);
        let stand_still = self.replace_views(&groups, &before, &now).await;
        for stream in &reloaded.streams.removed {
            self.lake.remove_stream(stream);
        }
        self.maintenance.set_streams(now.maintained());
        self.replace_sinks(&sinks, &now).await?;
        self.replace_sources(&sources, &now)?;
        let running = Arc::clone(&now);
        blocking(move || catalog::save_or_warn(&running.plan.pipeline, &running.identities)).await?;
        self.watched.send_replace(Some(now.watched()));
        if stand_still.is_empty() { Ok(reloaded) } else { Err(Error::PartlyReloaded(stand_still)) }
    }

    /// Opens what only `plan` has.
    async fn open_streams(
        self: &Arc<Self>,
        before: &Current,
        plan: &Plan,
    ) -> Result<BTreeMap<Name, lakehead_store::Stream>, Error> {
        let added: Vec<Name> =
            plan.schemas.keys().filter(|name| !before.streams.contains_key(*name)).cloned().collect();
        let engine = Arc::clone(self);
        let opened: BTreeMap<Name, lakehead_store::Stream> = blocking(move || {
            let store = lock(&engine.store);
            let store = store.as_ref().ok_or(Error::Stopping)?;
            added.into_iter().map(|name| Ok::<_, Error>((name.clone(), store.stream(&name)?))).collect::<Result<_, _>>()
        })
        .await??;
        for stream in opened.values() {
            self.imports.take_over(stream).await?;
        }
        Ok(opened)
    }

    /// New streams and columns become tables and can be pushed to.
    fn show_streams(&self, reloaded: &Reloaded, now: &Arc<Current>) {
        for name in reloaded.streams.added.iter().chain(&reloaded.streams.changed) {
            let (Some(entry), Some(schema)) = (now.streams.get(name), now.plan.schemas.get(name)) else { continue };
            if let Some(gateway) = &entry.gateway {
                gateway.set_schema(schema);
            }
            entry.conformance.set(now.plan.config(name).and_then(|config| config.json_schema.clone()));
            self.lake.add_stream(schema.clone(), entry.stream.clone());
        }
        self.shared.set_current(Arc::clone(now));
    }

    /// Replaces the views of these streams. All are stopped before any is started: a view may move from one stream to another,
    /// and its files are one group's alone. Answers what could not be started, in words.
    async fn replace_views(
        self: &Arc<Self>,
        groups: &BTreeSet<Name>,
        before: &Current,
        now: &Arc<Current>,
    ) -> Vec<String> {
        for stream in groups {
            self.stop_group(stream).await;
        }
        let gone = before.plan.pipeline.views.keys().filter(|view| !now.plan.pipeline.views.contains_key(*view));
        gone.for_each(|view| self.lake.remove_view(view));
        let mut stand_still = Vec::new();
        for stream in groups {
            stand_still.extend(self.start_group(stream, now).await.err().map(|error| error.to_string()));
        }
        stand_still
    }

    /// Stops the views of `stream`. Nothing leaves its log until they are started again.
    pub(crate) async fn stop_group(self: &Arc<Self>, stream: &Name) {
        self.keep_all(stream, true).await;
        self.views.stop(stream).await;
    }

    /// Starts the views that `now` has of `stream`, if any. Where that fails they are stopped, and say why.
    pub(crate) async fn start_group(self: &Arc<Self>, stream: &Name, now: &Current) -> Result<(), Error> {
        let Some(configs) = now.plan.views.get(stream) else {
            self.views.remove(stream);
            self.keep_all(stream, false).await;
            return Ok(());
        };
        match now.start_views(stream, &self.lake, &self.claims).await {
            Ok(running) => {
                self.keep_all(stream, false).await;
                self.views.insert(stream.clone(), ViewGroup::Running(Box::new(running)));
                Ok(())
            }
            // What they need of the log is not known, so all of it stays.
            Err(error) => {
                let why = format!("the views of stream {stream} could not be started: {error}");
                let were = configs.keys().map(|view| (view.clone(), stopped_status(stream, &why)));
                self.views.insert(stream.clone(), ViewGroup::Stopped(were.collect()));
                Err(Error::ViewsStopped(why))
            }
        }
    }

    /// Waits, off the threads that serve everyone, while retention removes something.
    async fn keep_all(self: &Arc<Self>, stream: &Name, keeps_all: bool) {
        let (claims, of) = (self.claims.clone(), stream.clone());
        if let Err(error) = blocking(move || claims.keep_all(&of, keeps_all)).await {
            error!("retention of {stream} does not know what its views need: {error}");
        }
    }

    /// Each claims what it needs before the one of its name that was stopped gives its claim back.
    async fn replace_sinks(&self, sinks: &Restarted, now: &Current) -> Result<(), Error> {
        let mut ready = Vec::with_capacity(sinks.join.len());
        for name in &sinks.join {
            // The view may be one that could not be started: what is wrong with it is told already.
            match now.sink(name, &self.parts, &self.lake, &self.claims).await {
                Ok(sink) => ready.push(sink),
                Err(error) => error!("sink {name} could not be started: {error}"),
            }
        }
        let mut last = self.sinks.remove_all(&sinks.leave);
        for sink in ready {
            if let Some(before) = last.remove(sink.name()) {
                sink.watch().continue_from(&before);
            }
            self.sinks.add(sink);
        }
        now.followers_have_claimed(&self.lake);
        Ok(())
    }

    fn replace_sources(&self, sources: &Restarted, now: &Current) -> Result<(), Error> {
        let mut last = self.sources.remove_all(&sources.leave);
        for name in &sources.join {
            let ready = now.source(name, &self.parts)?;
            if let Some(before) = last.remove(name) {
                ready.ingest.watch.continue_from(&before);
            }
            self.sources.add(ready);
        }
        Ok(())
    }
}

/// The status of a view that could not be started.
fn stopped_status(stream: &Name, why: &str) -> ViewStatus {
    let state = ViewState::Failed;
    ViewStatus { stream: stream.to_string(), state, failed: Some(why.to_owned()), ..ViewStatus::default() }
}

/// What a reload has to stop and to start.
struct Touched {
    sources: Restarted,
    sinks: Restarted,
    /// Streams whose views are replaced.
    groups: BTreeSet<Name>,
}

/// What of one kind stops, and what starts.
struct Restarted {
    leave: Vec<Name>,
    join: Vec<Name>,
}

impl Restarted {
    /// What `changes` say, and whatever is in both pipelines and `is_touched` by something else.
    fn by<T>(changes: &Changes, new: &BTreeMap<Name, T>, is_touched: impl Fn(&Name, &T) -> bool) -> Self {
        let stays = |name: &Name| !changes.added.contains(name);
        let both =
            new.iter().filter(|(name, of)| stays(name) && (changes.changed.contains(*name) || is_touched(name, of)));
        let both: Vec<Name> = both.map(|(name, _)| name.clone()).collect();
        let with = |these: &[Name]| these.iter().chain(&both).cloned().collect();
        Self { leave: with(&changes.removed), join: with(&changes.added) }
    }
}

impl Touched {
    /// `stopped` are streams whose views are stopped, which are tried again.
    fn by(reloaded: &Reloaded, before: &Current, now: &Current, stopped: Vec<Name>) -> Self {
        // What reads a stream holds its columns, and what writes it where the event time stands.
        let (old, new) = (&before.plan, &now.plan);
        let columns = |name: &&Name| old.schemas.get(*name) != new.schemas.get(*name);
        let groups = old.views.keys().chain(new.views.keys()).filter(|stream| {
            old.views.get(*stream) != new.views.get(*stream) || old.schemas.get(*stream) != new.schemas.get(*stream)
        });
        let groups: BTreeSet<Name> = groups.cloned().chain(stopped).collect();
        let retimed: BTreeSet<&Name> = reloaded.streams.changed.iter().filter(columns).collect();
        let sources = Restarted::by(&reloaded.sources, &new.pipeline.sources, |_, source| {
            source.streams.iter().any(|of| retimed.contains(of))
        });
        // A sink holds the columns of its stream, and its view, which is another one when the group is replaced.
        let sinks = Restarted::by(&reloaded.sinks, &new.pipeline.sinks, |name, sink| {
            let planned = new.sinks.get(name);
            let is_of_a_view = planned.is_some_and(|planned| !new.schemas.contains_key(planned.feed.name()));
            retimed.contains(&sink.from)
                || planned.is_some_and(|planned| is_of_a_view && groups.contains(&planned.stream))
        });
        Self { sources, sinks, groups }
    }
}

#[cfg(test)]
mod tests;
