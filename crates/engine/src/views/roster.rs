//! The views of a running pipeline, by the stream that they read: those that run, and those that are being replaced or could
//! not be started.

use std::{collections::BTreeMap, sync::Mutex};

use futures::future::BoxFuture;
use lakehead_model::Name;
use lakehead_query::ViewHandle;
use tokio::sync::{mpsc, oneshot};

use super::live::Asked;
use crate::{Error, status::ViewStatus, sync::lock};

/// All views of a pipeline.
#[derive(Default)]
pub(crate) struct ViewRoster(Mutex<BTreeMap<Name, ViewGroup>>);

/// The views of one stream while they are kept up to date, wherever that is done.
pub(crate) trait Running: Send {
    /// Each view's status.
    fn status(&self) -> Vec<(Name, ViewStatus)>;

    /// The view of this name, and its shadow.
    fn find(&self, name: &Name) -> Option<(ViewHandle, Option<ViewHandle>)>;

    /// Where a cutover is asked for; for those who cannot hold on to this while they wait.
    fn asking(&self) -> mpsc::Sender<Asked>;

    /// Applies what is under way, commits, and ends.
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// The views of one stream.
pub(crate) enum ViewGroup {
    /// They run.
    Running(Box<dyn Running>),
    /// They are being replaced, or could not be started: how they were, and what is wrong, if something is. Their last results
    /// can be read.
    Stopped(Vec<(Name, ViewStatus)>),
}

impl ViewRoster {
    /// From now on these are the views of `stream`.
    pub(crate) fn insert(&self, stream: Name, group: ViewGroup) {
        lock(&self.0).insert(stream, group);
    }

    /// From now on `stream` has none.
    pub(crate) fn remove(&self, stream: &Name) {
        lock(&self.0).remove(stream);
    }

    /// Stops the views of `stream`: what is under way is applied and committed. How they were still shows.
    pub(crate) async fn stop(&self, stream: &Name) {
        let before = {
            let mut groups = lock(&self.0);
            let Some(group) = groups.get_mut(stream) else { return };
            let were = ViewGroup::Stopped(group.status());
            std::mem::replace(group, were)
        };
        if let ViewGroup::Running(running) = before {
            running.stop().await;
        }
    }

    /// Stops all views, those of one stream after those of another.
    pub(crate) async fn stop_all(&self) {
        let streams: Vec<Name> = lock(&self.0).keys().cloned().collect();
        for stream in &streams {
            self.stop(stream).await;
        }
    }

    /// The streams whose views are stopped.
    pub(crate) fn stopped(&self) -> Vec<Name> {
        let groups = lock(&self.0);
        let stopped = groups.iter().filter(|(_, group)| matches!(group, ViewGroup::Stopped(_)));
        stopped.map(|(name, _)| name.clone()).collect()
    }

    /// Each view's status.
    pub(crate) fn status(&self) -> BTreeMap<Name, ViewStatus> {
        lock(&self.0).values().flat_map(ViewGroup::status).collect()
    }

    /// The running view of this name, and the one that is built to take its place.
    pub(crate) fn find(&self, name: &Name) -> Option<(ViewHandle, Option<ViewHandle>)> {
        lock(&self.0).values().find_map(|group| group.running()?.find(name))
    }

    /// Replaces the active view `name` by its shadow; `None` where no view of this name runs.
    pub(crate) async fn swap(&self, name: &Name) -> Option<Result<(), Error>> {
        let asking = {
            let groups = lock(&self.0);
            groups.values().filter_map(ViewGroup::running).find(|running| running.find(name).is_some())?.asking()
        };
        let (answer, answered) = oneshot::channel();
        if asking.send(Asked::Swap(name.clone(), answer)).await.is_err() {
            return Some(Err(Error::Stopping));
        }
        Some(answered.await.map_err(|_| Error::Stopping).and_then(|swapped| swapped.map_err(Error::Pipeline)))
    }
}

impl ViewGroup {
    fn running(&self) -> Option<&dyn Running> {
        match self {
            Self::Running(running) => Some(running.as_ref()),
            Self::Stopped(_) => None,
        }
    }

    fn status(&self) -> Vec<(Name, ViewStatus)> {
        match self {
            Self::Running(running) => running.status(),
            Self::Stopped(were) => were.clone(),
        }
    }
}
