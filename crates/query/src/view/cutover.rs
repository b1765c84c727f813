//! Cutover: a shadow view replaces the active view of its name, in one step.

use futures::future::BoxFuture;
use lakehead_store::crash;

use super::{
    files::{self, Slot, is_pinned},
    handle::ViewHandle,
    instance::View,
};
use crate::error::Error;

impl View {
    /// For a view over another: freezes its upstream view at this moment, until
    /// [`follow_upstream`](Self::follow_upstream). For the time in which the upstream view is already replaced and this
    /// one is not. Answers the upstream view.
    #[must_use]
    pub fn freeze_upstream(&self) -> Option<ViewHandle> {
        self.handle.freeze_upstream()
    }

    /// Follows `upstream` from now on: each snapshot is that of the newest one of `upstream`.
    pub fn follow_upstream(&self, upstream: ViewHandle) {
        self.handle.set_upstream(Some(upstream));
    }

    /// Replaces `old`, the active view whose shadow this is, in one step: on disk, and for everyone who holds the handle of
    /// `old`. Both must have the same name.
    ///
    /// # Errors
    /// [`Error::File`] when the change cannot be written; the old view then still stands, and is given back.
    pub fn take_over(&mut self, mut old: View) -> BoxFuture<'_, Result<(), (Box<View>, Error)>> {
        Box::pin(async move {
            let mut swapped = self.commit_all().await;
            if swapped.is_ok() {
                swapped = self.preserve_replaced(&mut old).await.and_then(|()| self.folder.swap());
            }
            if let Err(error) = swapped {
                return Err((Box::new(old), error));
            }
            crash::point("view.swapped");
            self.slot = Some(Slot::Active);
            let upstream = self.handle.upstream();
            self.handle = old.handle.clone();
            self.handle.set_upstream(upstream);
            self.handle.mark_running();
            self.publish();
            if let Err(error) = self.publish_files() {
                tracing::warn!(view = %self.handle.name(), "other programs do not see all of its results yet: {error}");
            }
            let kept = self.kept();
            for listed in &old.results.files {
                listed.file.supersede();
            }
            for file in old.replaced {
                file.supersede();
            }
            for path in old.checkpoint.files(&self.folder) {
                if !kept.contains(&path) && !is_pinned(&path) {
                    let _ = files::remove(&path);
                }
            }
            Ok(())
        })
    }

    /// Before the cutover: preserves the results of events that `old` has seen and this view could not.
    async fn preserve_replaced(&self, old: &mut View) -> Result<(), Error> {
        if self.checkpoint.begins <= old.checkpoint.begins {
            return Ok(());
        }
        // All that it has goes into files, where it can; else what its last commit has is what there is.
        if let Err(error) = old.commit_all().await {
            tracing::warn!(view = %self.handle.name(), "what it took in last cannot be set aside: {error}");
        }
        self.quarantine(Some(&old.checkpoint), "it was changed, or built anew", self.checkpoint.begins)
    }
}
