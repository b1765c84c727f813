//! Rebuilding a view: a shadow of it is built from the log while the active one answers, is compared, and replaces it.

use std::sync::Arc;

use lakehead_model::Name;
use lakehead_query::ViewDifference;

use crate::{Engine, Error};

impl Engine {
    /// What the cutover to the shadow of `name` would change.
    ///
    /// # Errors
    /// `Invalid` for an unknown view, one without a shadow, or one with too many rows to compare.
    pub async fn view_difference(&self, name: &Name) -> Result<ViewDifference, Error> {
        match self.views.find(name) {
            None => Err(self.no_view(name)),
            Some((_, None)) => Err(Error::Pipeline(format!(
                "no view is built beside {name}: change its SQL in the pipeline and reload, with swap = \"ask\" to look \
                 before it takes its place, or ask for `lakehead view rebuild {name}`"
            ))),
            Some((now, Some(next))) => Ok(now.difference(&next).await?),
        }
    }

    /// Runs the cutover: the shadow of `name` replaces the active view.
    ///
    /// # Errors
    /// `Invalid` when there is none that is ready; `Closed` while stopping.
    pub async fn swap_view(&self, name: &Name) -> Result<(), Error> {
        match self.views.swap(name).await {
            Some(swapped) => swapped,
            None => Err(self.no_view(name)),
        }
    }

    /// Begins to rebuild the view `name` from the log, as the shadow of the one that answers; the cutover follows when
    /// it is built. Late events that came beyond `lateness` are in the new one. What was begun comes to its end even
    /// when the future is dropped.
    ///
    /// # Errors
    /// `Invalid` for an unknown view, or one over another view, which has nothing of its own to rebuild; `Unavailable` when
    /// the disk says no.
    pub async fn rebuild_view(self: &Arc<Self>, name: &Name) -> Result<(), Error> {
        let (engine, name) = (Arc::clone(self), name.clone());
        let whole = tokio::spawn(async move { engine.begin_rebuild(&name).await });
        whole.await.map_err(|error| Error::Internal(format!("rebuilding: {error}")))?
    }

    async fn begin_rebuild(self: &Arc<Self>, name: &Name) -> Result<(), Error> {
        let _alone = self.reloading.lock().await;
        if *self.stop.borrow() {
            return Err(Error::Stopping);
        }
        let current = self.shared.current();
        let plan = self.lake.view(name).map(|view| view.plan()).ok_or_else(|| self.no_view(name))?;
        if let Some(read) = plan.upstream() {
            return Err(Error::Pipeline(format!(
                "the view {name} is made of the rows of {read}, and follows them: rebuild that one"
            )));
        }
        let stream = plan.stream().clone();
        let Some(config) = current.plan.views.get(&stream).and_then(|views| views.get(name)) else {
            return Err(self.no_view(name));
        };
        let (data, settings) = (current.plan.pipeline.data.clone(), config.settings());
        let failed = |source| Error::View { view: name.clone(), source };
        self.stop_group(&stream).await;
        let begun = lakehead_query::begin_shadow(&data, name, &plan, &settings).map_err(failed);
        self.start_group(&stream, &current).await?;
        begun
    }

    fn no_view(&self, name: &Name) -> Error {
        let known = self.lake.views().iter().map(|view| view.name().to_string()).collect::<Vec<_>>().join(", ");
        Error::Pipeline(format!("there is no view {name}; there are: {known}"))
    }
}
