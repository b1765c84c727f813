//! Keeps the views of one stream up to date: reads the log, decodes once for all of them, commits now and then.
//!
//! ```text
//!   log ──▶ feed: rounds, decoded and digested by several threads ──▶ live: absorb, publish, commit
//!    │                                                                  ▲ joins when it has come near
//!    └────▶ feed of its own, with threads that yield ────────────────▶ build
//! ```
//!
//! Every view has its own offset. Those at the head of the log, or near it, are live and go on together; one that is far
//! behind, such as a new view on an old stream, is built beside them and joins them at an exact offset. Parsing is
//! shared: the columns that any view of a feed asks for are decoded once.

mod bounds;
mod build;
mod feed;
mod group;
mod kept;
mod live;
mod priority;
mod progress;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Instant,
};

use lakehead_model::{Name, Offset, StreamSchema};
use lakehead_query::{Lake, Slot, View, ViewHandle, ViewSettings, check_view};
use lakehead_store::{Need, Stream};
use tokio::sync::{mpsc, watch};

pub(crate) use self::kept::catch_up;
use self::{
    bounds::Bounds,
    build::Builder,
    feed::Feed,
    group::Group,
    kept::{Kept, Log, Note, Noted, lock},
    live::{Live, Position},
    progress::Build,
};
use crate::{
    Error,
    pipeline::ViewConfig,
    status::{ViewState, ViewStatus},
};

/// A view's place among those of its stream, as they were given.
type Id = usize;

/// The views of one stream, running.
pub(crate) struct Running {
    stream: Stream,
    views: Vec<(ViewHandle, Noted)>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// What the views need of the logs: from the offset of their last checkpoint on.
#[derive(Clone, Default)]
pub(crate) struct Needs(BTreeMap<Name, Vec<(Name, Noted)>>);

impl Needs {
    /// Of all these.
    pub(crate) fn new(running: &[Running]) -> Self {
        let of = |running: &Running| {
            let views = running.views.iter().map(|(handle, note)| (handle.name().clone(), Arc::clone(note)));
            (running.stream.name().clone(), views.collect())
        };
        Self(running.iter().map(of).collect())
    }

    /// Of `stream`.
    pub(crate) fn of(&self, stream: &Name) -> Vec<Need> {
        let need = |(view, note): &(Name, Noted)| Need {
            by: format!("view {view}"),
            from: lock(note).checkpoint.unwrap_or_default(),
        };
        self.0.get(stream).into_iter().flatten().map(need).collect()
    }
}

/// Opens the views of `stream`, makes them tables of `lake`, and starts to keep them up to date.
///
/// # Errors
/// When a view's SQL does not fit, or its folder cannot be opened.
pub(crate) async fn start(
    lake: &Lake,
    stream: Stream,
    schemas: &BTreeMap<Name, StreamSchema>,
    configs: Vec<(Name, ViewConfig)>,
    data: &Path,
) -> Result<Running, Error> {
    start_within(Bounds::default(), lake, stream, schemas, configs, data).await
}

async fn start_within(
    bounds: Bounds,
    lake: &Lake,
    stream: Stream,
    schemas: &BTreeMap<Name, StreamSchema>,
    configs: Vec<(Name, ViewConfig)>,
    data: &Path,
) -> Result<Running, Error> {
    let mut views = Vec::with_capacity(configs.len());
    let mut lost = false;
    for (id, (name, config)) in configs.into_iter().enumerate() {
        let (view, was_beyond) = open(&stream, schemas, name, &config, data).await?;
        lost |= was_beyond;
        lake.add_view(view.handle());
        let note = Note { checkpoint: Some(view.next_offset()), ..Note::default() };
        views.push(Kept { id, view, note: Arc::new(Mutex::new(note)) });
    }

    if lost {
        match stream.raise_epoch().await {
            Ok(epoch) => {
                tracing::warn!(stream = %stream.name(), epoch, "views have seen events that the log does not hold: its epoch rises");
            }
            // The views are right without it; clients are told when it can be written.
            Err(error) => {
                tracing::warn!(stream = %stream.name(), "its epoch should rise, and cannot be written: {error}")
            }
        }
    }

    let schema = schemas.get(stream.name()).cloned().unwrap_or_default();
    run(&bounds, stream, schema, views)
}

/// Opens one view where it can go on; answers whether it had seen events beyond the log.
async fn open(
    stream: &Stream,
    schemas: &BTreeMap<Name, StreamSchema>,
    name: Name,
    config: &ViewConfig,
    data: &Path,
) -> Result<(View, bool), Error> {
    let failed = |source| Error::View { view: name.clone(), source };
    let plan = Arc::new(check_view(&config.sql, schemas).await.map_err(failed)?);
    let head = stream.head();
    let settings = ViewSettings { whole_log: head.start == Offset(0), ..config.settings() };
    let (mut view, rebuild) =
        View::open(data, name.clone(), plan, settings, Slot::Current, None).await.map_err(failed)?;
    let beyond = view.next_offset() > head.end;
    let rebuild = rebuild.or_else(|| beyond.then(|| "it has seen events beyond the log".into()));
    if let Some(why) = rebuild {
        tracing::warn!(view = %name, "rebuilding from the log: {why}");
        view.restart().map_err(failed)?;
    }
    if view.next_offset() < head.start {
        if view.next_offset() > Offset(0) {
            let missed = head.start.since(view.next_offset());
            tracing::warn!(view = %name, missed, "the log begins after what the view has seen; it goes on there");
        }
        view.begin_at(head.start);
    }
    Ok((view, beyond))
}

/// Starts the live views, and a build for each run of others that stand together.
fn run(bounds: &Bounds, stream: Stream, schema: StreamSchema, views: Vec<Kept>) -> Result<Running, Error> {
    let notes = views.iter().map(|kept| (kept.view.handle(), Arc::clone(&kept.note))).collect();
    let log = Log { stream: stream.clone(), schema: Arc::new(schema) };
    let head = stream.head();
    let (live, mut behind): (Vec<_>, Vec<_>) =
        views.into_iter().partition(|kept| near(&stream, kept.view.next_offset(), head.end, bounds));
    behind.sort_by_key(|kept| kept.view.next_offset());

    let (stop, stopped) = watch::channel(false);
    let (join, joining) = mpsc::channel(1);
    let position = Position::default();
    // Where nothing is live, whoever is foremost is what people wait for.
    let mut lowered = !live.is_empty();
    let live = Live::start(Group::new(log.clone(), bounds.clone(), live), position.clone())?;
    let mut threads = vec![spawn(format!("views-{}", stream.name()), false, live.run(joining, stopped.clone()))?];
    while let Some(foremost) = behind.last().map(|kept| kept.view.next_offset()) {
        let together = behind.partition_point(|kept| !near(&stream, kept.view.next_offset(), foremost, bounds));
        let views = behind.split_off(together);
        let from = views.iter().map(|kept| kept.view.next_offset()).min().unwrap_or(foremost);
        for kept in &views {
            let (name, at) = (kept.view.handle(), kept.view.next_offset());
            tracing::info!(view = %name.name(), events = head.end.since(at), "building from the log");
            lock(&kept.note).build = Some(Build::begin(head.start, at, Instant::now()));
        }
        let group = Group::new(log.clone(), bounds.clone(), views);
        let feed = Feed::start(&stream, from, group.crew()?, bounds, lowered)?;
        let build = Builder { group, feed, live: position.clone() };
        let work = build.run(join.clone(), stopped.clone());
        threads.push(spawn(format!("build-{}", stream.name()), lowered, work)?);
        lowered = true;
    }
    Ok(Running { stream, views: notes, stop, threads })
}

/// Whether the events of `stream` in `[at, to)` are so few that they are read in a moment.
fn near(stream: &Stream, at: Offset, to: Offset, bounds: &Bounds) -> bool {
    let stats = stream.stats();
    let ahead = to.since(at);
    let bytes = u128::from(ahead) * u128::from(stats.raw_bytes) / u128::from(stats.events.max(1));
    ahead <= bounds.near_events && bytes <= u128::from(bounds.near_bytes)
}

/// A thread that runs `work` to its end.
fn spawn(
    name: String,
    lowered: bool,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    let failed = |source| Error::Io { what: format!("starting the thread {name}"), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let run = move || {
        if lowered {
            priority::lower();
        }
        runtime.block_on(work);
    };
    std::thread::Builder::new().name(name.clone()).spawn(run).map_err(failed)
}

/// Returns when it is time to stop.
async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody can say so any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl Running {
    /// Each view's status.
    pub(crate) fn status(&self) -> Vec<(Name, ViewStatus)> {
        let end = self.stream.head().end;
        let one = |(handle, note): &(ViewHandle, Noted)| {
            let snapshot = handle.snapshot();
            let note = lock(note);
            let state = match &note.build {
                _ if note.stands_still => ViewState::Failed,
                Some(build) => build.state(snapshot.next_offset, end),
                None => ViewState::Live,
            };
            let status = ViewStatus {
                stream: handle.plan().stream().to_string(),
                state,
                offset: snapshot.next_offset,
                behind: end.since(snapshot.next_offset),
                watermark: snapshot.watermark,
                rows: snapshot.result_rows() + snapshot.open_rows as u64,
                late_corrected: snapshot.counts.late,
                late_dropped: snapshot.counts.late_dropped + snapshot.counts.too_late,
                without_time: snapshot.counts.without_time,
                checkpoint: note.checkpoint,
                failed: note.failed.clone(),
            };
            (handle.name().clone(), status)
        };
        self.views.iter().map(one).collect()
    }

    /// Lets the views absorb what is under way, commits them, and waits for the threads to end.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        for thread in self.threads {
            let name = thread.thread().name().unwrap_or("views").to_owned();
            match tokio::task::spawn_blocking(move || thread.join()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => tracing::error!("the thread {name} ended by a defect"),
            }
        }
    }
}
