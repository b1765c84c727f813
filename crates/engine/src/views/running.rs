//! The views of one stream, running: opened, each with a thread that keeps it up to date, until they are stopped.

use std::{collections::BTreeMap, path::Path, sync::Arc, thread::JoinHandle, time::Instant};

use futures::future::BoxFuture;
use lakehead_model::{Name, StreamSchema};
use lakehead_query::{Lake, STACK_BYTES, ViewHandle};
use lakehead_store::Stream;
use tokio::sync::{mpsc, watch};

use super::{
    bounds::Bounds,
    build::Builder,
    cutover::Cutover,
    group::Group,
    live::{Asked, Live, Position},
    log::Log,
    log_reader::LogReader,
    member::Member,
    opening::{OpenedViews, Opening},
    priority,
    progress::BuildProgress,
    registry::Registry,
    roster::Running,
};
use crate::{Error, claims::Claims, pipeline::ViewConfig, status::ViewStatus, sync::lock};

/// The views of one stream, running.
pub(crate) struct RunningViews {
    stream: Stream,
    registry: Registry,
    asking: mpsc::Sender<Asked>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// What the views of a stream run on, in addition to the stream itself.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) lake: &'a Lake,
    /// Of every stream.
    pub(crate) schemas: &'a BTreeMap<Name, StreamSchema>,
    /// The data directory.
    pub(crate) data: &'a Path,
    pub(crate) claims: &'a Claims,
}

/// Opens the views of `stream`, makes them tables, and starts to keep them up to date.
///
/// # Errors
/// When a view's SQL does not fit, or its folder cannot be opened.
pub(crate) async fn start(
    stream: Stream,
    configs: BTreeMap<Name, ViewConfig>,
    bounds: Bounds,
    surroundings: Surroundings<'_>,
) -> Result<RunningViews, Error> {
    let Surroundings { lake, schemas, data, claims } = surroundings;
    let registry = Registry::default();
    let opening = Opening { lake, stream: &stream, data, registry: registry.clone(), claims };
    let OpenedViews { views, lost } = opening.open_all(&configs, schemas).await?;
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
    let schema = Arc::new(schemas.get(stream.name()).cloned().unwrap_or_default());
    let log = Log { stream, schema, rejects: bounds.rejects.clone() };
    run(log, &bounds, views, Cutover { lake: lake.clone(), registry, data: data.to_owned() })
}

/// Starts the live views, and a build for each run of others that stand together.
fn run(log: Log, bounds: &Bounds, views: Vec<Member>, cutover: Cutover) -> Result<RunningViews, Error> {
    let (stream, registry) = (log.stream.clone(), cutover.registry.clone());
    let head = stream.head();
    let (live, mut behind): (Vec<_>, Vec<_>) =
        views.into_iter().partition(|member| bounds.are_few(&stream, member.view.next_offset(), head.end));
    behind.sort_by_key(|member| member.view.next_offset());

    let (stop, stopping) = watch::channel(false);
    let (join, joining) = mpsc::channel(1);
    let position = Position::default();
    // Where nothing is live, whoever is foremost is what people wait for.
    let mut lowered = !live.is_empty();
    let live = Live::start(Group::new(log.clone(), bounds.clone(), live), position.clone(), cutover)?;
    let (asking, asked) = mpsc::channel(1);
    let work = live.run(joining, asked, stopping.clone());
    let mut threads = vec![spawn(format!("views-{}", stream.name()), false, work)?];
    while let Some(foremost) = behind.last().map(|member| member.view.next_offset()) {
        let together = behind.partition_point(|member| !bounds.are_few(&stream, member.view.next_offset(), foremost));
        let views = behind.split_off(together);
        let from = views.iter().map(|member| member.view.next_offset()).min().unwrap_or(foremost);
        for member in &views {
            let (name, at) = (member.view.handle(), member.view.next_offset());
            tracing::info!(view = %name.name(), events = head.end.since(at), "building from the log");
            lock(&member.note).build = Some(BuildProgress::begin(head.start, at, Instant::now()));
        }
        let group = Group::new(log.clone(), bounds.clone(), views);
        let reader = LogReader::start(&stream, from, group.decode_plan()?, bounds, lowered)?;
        let build = Builder { group, reader, live: position.clone() };
        let work = build.run(join.clone(), stopping.clone());
        threads.push(spawn(format!("build-{}", stream.name()), lowered, work)?);
        lowered = true;
    }
    Ok(RunningViews { stream, registry, asking, stop, threads })
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

impl RunningViews {
    /// Lets the views apply what is under way, commits them, and waits for the threads to end.
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

impl Running for RunningViews {
    fn status(&self) -> Vec<(Name, ViewStatus)> {
        self.registry.status(self.stream.head().end)
    }

    fn find(&self, name: &Name) -> Option<(ViewHandle, Option<ViewHandle>)> {
        self.registry.find(name)
    }

    fn asking(&self) -> mpsc::Sender<Asked> {
        self.asking.clone()
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(Self::stop(*self))
    }
}
