//! Cutover: a shadow view replaces the active view of its name, in one step.
//!
//! Before it, the shadow's checkpoint takes over the history of the active view's changes and adds what the cutover changes, so
//! that the one rename makes all of it true. After a crash before the rename the next cutover finds that out again.

use futures::future::BoxFuture;
use lakehead_store::crash;

use super::{
    commit_id::CommitId,
    cutover_changes,
    files::{self, ChangeFile, Slot, is_pinned},
    handle::ViewHandle,
    instance::View,
};
use crate::{error::Error, syncing::Syncing};

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
                swapped = self.preserve_replaced(&mut old).await;
            }
            let before = self.checkpoint.clone();
            if swapped.is_ok() {
                swapped = self.continue_history(&old).and_then(|()| self.folder.swap());
            }
            if let Err(error) = swapped {
                // What the history names is still the old view's.
                self.checkpoint = before;
                self.list_results();
                return Err((Box::new(old), error));
            }
            crash::point("view.swapped");
            self.slot = Some(Slot::Active);
            let upstream = self.handle.upstream();
            self.handle = old.handle.clone();
            self.commits = old.commits;
            self.publish_over(upstream);
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
                    files::release(&path);
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

    /// Makes the history of `old` that of this view: its changes, and what leads from its rows to these. Where that cannot be
    /// told, this view begins a history of its own.
    fn continue_history(&mut self, old: &View) -> Result<(), Error> {
        let mut next = self.checkpoint.clone();
        next.generation += 1;
        next.followers = old.handle.claims().saved();
        let commit = next.commit_id();
        let mut syncing = Syncing::new(self.folder.state());
        let told = self.tell_cutover(old, commit, &mut syncing);
        syncing.finish()?;
        match told {
            Ok((rows, bytes)) => {
                let own = old.checkpoint.build;
                let before = old.checkpoint.changes.iter();
                next.changes =
                    before.map(|file| ChangeFile { build: Some(file.id(own).incarnation), ..*file }).collect();
                let (generation, follows) = (commit.commit, Some(old.checkpoint.commit_id()));
                next.changes.push(ChangeFile { generation, rows, bytes, build: None, follows });
                let oldest = old.checkpoint.oldest_position();
                (next.changes_after, next.changes_after_build) = (oldest.commit, Some(oldest.incarnation));
            }
            Err(why) => {
                tracing::info!(view = %old.handle.name(), "who follows its changes gets a snapshot: {why}");
                next.forget_changes();
            }
        }
        next.write(&self.folder.checkpoint(Slot::Shadow), &self.folder)?;
        self.checkpoint = next;
        self.list_results();
        Ok(())
    }

    /// Writes what leads from the rows of `old`, as its followers have them, to these. Answers how many rows that are, and the size
    /// of the file; or why it cannot be told.
    fn tell_cutover(&self, old: &View, commit: CommitId, syncing: &mut Syncing) -> Result<(u64, u64), String> {
        if old.checkpoint.generation == 0 || old.checkpoint.build >= self.checkpoint.build {
            return Err("it had committed nothing".to_owned());
        }
        if let Some(why) = cutover_changes::cannot_be_told((&old.plan, &old.results), (&self.plan, &self.results)) {
            return Err(why.to_owned());
        }
        let path = self.folder.changes(commit);
        let written = cutover_changes::write(&path, &self.plan, (&old.results, &self.results), syncing);
        written.map_err(|error| {
            files::release(&path);
            error.to_string()
        })
    }
}
