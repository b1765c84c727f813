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
mod gathering;
mod group;
mod kept;
mod left_out;
mod live;
mod opening;
mod priority;
mod progress;
mod shown;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Instant,
};

use lakehead_model::{Name, Offset, StreamSchema};
use lakehead_query::{Lake, STACK_BYTES, ViewHandle};
use lakehead_store::{Need, Stream};
use tokio::sync::{mpsc, watch};

use self::{
    bounds::Bounds,
    build::Builder,
    feed::Feed,
    group::Group,
    kept::{Kept, Log, lock},
    live::{Live, Position},
    opening::{Opened, Opening},
    progress::Build,
    shown::Shown,
};
pub(crate) use self::{kept::catch_up, live::Asked};
use crate::{Error, pipeline::ViewConfig, status::ViewStatus};

/// A view's place among those of its stream, as they were given.
type Id = usize;

/// The views of one stream, running.
pub(crate) struct Running {
    stream: Stream,
    shown: Shown,
    asking: mpsc::Sender<Asked>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// What the views need of the logs: from the offset of their last checkpoint on.
#[derive(Clone, Default)]
pub(crate) struct Needs(BTreeMap<Name, Shown>);

impl Needs {
    /// Of all these.
    pub(crate) fn new(running: &[Running]) -> Self {
        Self(running.iter().map(|running| (running.stream.name().clone(), running.shown.clone())).collect())
    }

    /// Of `stream`.
    pub(crate) fn of(&self, stream: &Name) -> Vec<Need> {
        let needs = self.0.get(stream).map(Shown::needs).unwrap_or_default();
        needs.into_iter().map(|(view, from)| Need { by: format!("view {view}"), from }).collect()
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
    rejects: Option<Stream>,
) -> Result<Running, Error> {
    let bounds = Bounds { rejects, ..Bounds::default() };
    start_within(bounds, lake, stream, schemas, configs, data).await
}

async fn start_within(
    bounds: Bounds,
    lake: &Lake,
    stream: Stream,
    schemas: &BTreeMap<Name, StreamSchema>,
    configs: Vec<(Name, ViewConfig)>,
    data: &Path,
) -> Result<Running, Error> {
    let opening = Opening { lake, stream: &stream, data, shown: Shown::default() };
    let Opened { views, lost } = opening.open_all(&configs.into_iter().collect(), schemas).await?;
    let shown = opening.shown.clone();
    // Where opening the log has found the same, it has risen.
    if lost && !stream.has_lost_its_end() {
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
    run(&bounds, stream.clone(), schema, views, Surroundings { shown, lake: lake.clone(), data: data.to_owned() })
}

/// What the live views' thread needs beside the views.
struct Surroundings {
    shown: Shown,
    lake: Lake,
    data: PathBuf,
}

/// Starts the live views, and a build for each run of others that stand together.
fn run(
    bounds: &Bounds,
    stream: Stream,
    schema: StreamSchema,
    views: Vec<Kept>,
    surroundings: Surroundings,
) -> Result<Running, Error> {
    let Surroundings { shown, lake, data } = surroundings;
    let log = Log { stream: stream.clone(), schema: Arc::new(schema), rejects: bounds.rejects.clone() };
    let head = stream.head();
    let (live, mut behind): (Vec<_>, Vec<_>) =
        views.into_iter().partition(|kept| near(&stream, kept.view.next_offset(), head.end, bounds));
    behind.sort_by_key(|kept| kept.view.next_offset());

    let (stop, stopped) = watch::channel(false);
    let (join, joining) = mpsc::channel(1);
    let position = Position::default();
    // Where nothing is live, whoever is foremost is what people wait for.
    let mut lowered = !live.is_empty();
    let group = Group::new(log.clone(), bounds.clone(), live);
    let live = Live::start(group, position.clone(), shown.clone(), lake, data)?;
    let (asking, asked) = mpsc::channel(1);
    let work = live.run(joining, asked, stopped.clone());
    let mut threads = vec![spawn(format!("views-{}", stream.name()), false, work)?];
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
    Ok(Running { stream, shown, asking, stop, threads })
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
    std::thread::Builder::new().name(name.clone()).stack_size(STACK_BYTES).spawn(run).map_err(failed)
}

/// Returns when it is time to stop.
async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody can say so any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl Running {
    /// Each view's status.
    pub(crate) fn status(&self) -> Vec<(Name, ViewStatus)> {
        self.shown.status(self.stream.head().end)
    }

    /// The view of this name, and the one that is built to take its place.
    pub(crate) fn find(&self, name: &Name) -> Option<(ViewHandle, Option<ViewHandle>)> {
        self.shown.find(name)
    }

    /// Asks the live views' thread; for those who cannot hold on to this while they wait.
    pub(crate) fn asking(&self) -> mpsc::Sender<Asked> {
        self.asking.clone()
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
