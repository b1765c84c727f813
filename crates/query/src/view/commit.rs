//! Commits a view: its state, its offset and its results become durable at once.
//!
//! A commit writes new files, syncs them and their folder, and then renames one checkpoint; a crash before the rename
//! leaves the old answer, after it the new one. Nothing here is the only copy of anything: every file can be rebuilt from
//! the log. Where very many result periods are due at once, a commit writes [`PERIODS_MAX`] of them and leaves the rest to
//! the next, so that nobody waits long for it.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::BoxFuture;
use lakehead_model::{TimeRange, Timestamp};
use lakehead_store::crash;

use super::{
    derived, diff,
    files::{self, ChangeFile, Checkpoint, IpcWriter, Slot, is_pinned},
    finish::Finished,
    history::History,
    instance::{Body, View},
    transaction::{LiveFile, PERIODS_MAX, Transaction},
    windowed::Draft,
};
use crate::error::Error;

/// What a commit has made true on disk and the view is still to take over.
struct Committed {
    /// The checkpoint before it.
    before: Checkpoint,
    /// The result files that it wrote, by the start of their periods.
    written: BTreeMap<Timestamp, LiveFile>,
    /// Periods that have no rows any more.
    gone: Vec<Timestamp>,
    /// For a view with windows: its body after it.
    draft: Option<Draft>,
}

impl View {
    /// Writes what changed and commits it: state, offset and results at once. A view over another view writes what that
    /// one has committed. Of very many result periods it writes some: then [`wants_commit`](Self::wants_commit) is true
    /// afterwards. What is left is still in every answer and survives a crash.
    ///
    /// # Errors
    /// [`Error::File`] when something cannot be written; the last commit then still stands and the next call tries
    /// again.
    pub fn commit(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.write_commit())
    }

    /// Commits until nothing is left.
    pub(super) async fn commit_all(&mut self) -> Result<(), Error> {
        self.write_commit().await?;
        while self.wants_commit() {
            self.write_commit().await?;
        }
        Ok(())
    }

    async fn write_commit(&mut self) -> Result<(), Error> {
        let Some(slot) = self.slot else { return Ok(()) };
        let mut next = Transaction::begin(&self.folder, slot, &self.checkpoint);
        let plan = Arc::clone(&self.plan);
        let mut gone = Vec::new();
        let draft = match (&self.body, plan.windowed()) {
            (Body::Windowed(body), Some(windowed)) => {
                Some(body.commit(&plan, windowed, &self.settings, &self.live, &mut next).await?)
            }
            (Body::Projection(body), _) => {
                body.commit(&plan, &mut next)?;
                None
            }
            _ => {
                if !self.make_files(&mut next, &mut gone).await? {
                    self.is_unfinished = false;
                    // It has no files yet; what it is must stand there all the same.
                    let path = self.folder.checkpoint(slot);
                    let is_there = self.checkpoint.generation > 0 && path.exists();
                    return if is_there { Ok(()) } else { self.checkpoint.write(&path, &self.folder) };
                }
                None
            }
        };
        self.write_changes(&mut next)?;
        let Transaction { mut checkpoint, written, syncing, watermark, is_whole, .. } = next;
        syncing.finish()?;
        crash::point("checkpoint.files");

        checkpoint.closed_until = checkpoint.closed_until.max(watermark);
        let kept = self.live.iter().filter(|(start, _)| !gone.contains(*start));
        checkpoint.periods = kept.chain(&written).map(|(start, live)| (*start, live.period())).collect();
        checkpoint.write(&self.folder.checkpoint(slot), &self.folder)?;
        crash::point("checkpoint.renamed");

        let before = std::mem::replace(&mut self.checkpoint, checkpoint);
        self.is_unfinished = !is_whole;
        self.take_over_commit(slot, Committed { before, written, gone, draft })
    }

    /// Makes of a commit that stands what the view shows. From here on an opening would do the same again.
    fn take_over_commit(&mut self, slot: Slot, committed: Committed) -> Result<(), Error> {
        let Committed { before, written, gone, draft } = committed;
        for start in gone {
            if let Some(old) = self.live.remove(&start) {
                self.replaced.push(old.file);
            }
        }
        for (start, live) in written {
            if slot == Slot::Active {
                self.folder.publish(live.range, &live.file.path)?;
            }
            if let Some(old) = self.live.insert(start, live) {
                self.replaced.push(old.file);
            }
        }
        if slot == Slot::Active {
            for (start, period) in
                before.periods.iter().filter(|(start, _)| !self.checkpoint.periods.contains_key(start))
            {
                self.folder.unpublish(TimeRange { start: *start, end: period.end })?;
            }
        }
        match (&mut self.body, draft) {
            (Body::Windowed(body), Some(draft)) => body.adopt(draft, &self.checkpoint),
            (Body::Projection(body), _) => body.pending.clear(),
            _ => {}
        }
        crash::point("checkpoint.published");
        self.list_results();
        self.publish();
        for old in self.replaced.drain(..) {
            old.supersede();
        }
        // Result files that a query still reads, and changes that a follower still reads, go with their last reader.
        let now = self.checkpoint.files(&self.folder);
        for path in before.files(&self.folder) {
            if !now.contains(&path) && !is_pinned(&path) {
                files::release(&path);
            }
        }
        Ok(())
    }

    /// For a view over another view: the files that should be there and are not. Answers whether there is anything to
    /// commit.
    async fn make_files(&self, next: &mut Transaction, gone: &mut Vec<Timestamp>) -> Result<bool, Error> {
        let own = self.handle.snapshot();
        let Some((name, upstream)) = &own.upstream else { return Ok(false) };
        if upstream.begins > self.checkpoint.begins && self.checkpoint.generation > 0 {
            self.quarantine(Some(&self.checkpoint), "the view that it reads was built anew", upstream.begins)?;
        }
        next.checkpoint.begins = upstream.begins;
        let tasks = derived::tasks(&self.plan, upstream);
        let holds = |start: &Timestamp, task: &derived::Task| {
            self.live.get(start).is_some_and(|live| live.made_of.as_ref() == Some(&task.made_of))
        };
        let mut due: Vec<&derived::Task> =
            tasks.iter().filter(|(start, task)| !holds(start, task)).map(|(_, task)| task).collect();
        next.is_whole = due.len() <= PERIODS_MAX;
        due.truncate(PERIODS_MAX);
        let made = derived::make(&self.plan, name, upstream, &due).await?;
        for (task, Finished { rows, failed }) in due.into_iter().zip(made) {
            let live = self.live.get(&task.period.start);
            let before =
                live.map_or(Ok(Vec::new()), |live| files::read_parquet(&live.file.path, &self.plan.schema()))?;
            next.tell(|| diff::between(&self.plan, before, rows.clone()))?;
            next.write(&self.plan, task.period, None, rows, failed, Some(task.made_of.clone()))?;
        }
        for (start, live) in self.live.iter().filter(|(start, _)| !tasks.contains_key(start)) {
            if gone.len() == PERIODS_MAX {
                next.is_whole = false;
                break;
            }
            let before = files::read_parquet(&live.file.path, &self.plan.schema())?;
            next.tell(|| diff::between(&self.plan, before, Vec::new()))?;
            gone.push(*start);
        }
        Ok(!next.written.is_empty() || !gone.is_empty())
    }

    /// Writes the changes of the commit, and names no longer those that are not kept.
    fn write_changes(&self, next: &mut Transaction) -> Result<(), Error> {
        let newest = next.checkpoint.commit_id();
        let Some(told) = &next.changes else {
            next.checkpoint.forget_changes();
            return Ok(());
        };
        let rows = told.rows();
        if rows > 0 {
            let mut writer = IpcWriter::create(&self.folder.changes(newest), &diff::schema(&self.plan))?;
            told.in_parts().try_for_each(|part| writer.write(&part))?;
            let bytes = writer.finish(&mut next.syncing)?;
            let file = ChangeFile { generation: newest.commit, rows, bytes, build: None, follows: None };
            next.checkpoint.changes.push(file);
        }
        let (own, oldest) = (next.checkpoint.build, next.checkpoint.oldest_position());
        let history = History { files: &next.checkpoint.changes, own, oldest, newest };
        let claims = self.handle.claims();
        let needed = claims.needed(|at| history.first_after(at).is_some());
        let outdated = history.outdated(needed, self.settings.changes_bytes_max);
        if let Some(gone) = next.checkpoint.changes.drain(..outdated).next_back().map(|file| file.id(own)) {
            claims.overtake(self.handle.name(), oldest, gone);
            next.checkpoint.changes_after = gone.commit;
            next.checkpoint.changes_after_build = (gone.incarnation != own).then_some(gone.incarnation);
        }
        next.checkpoint.followers = claims.saved();
        Ok(())
    }
}
