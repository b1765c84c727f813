//! Opens a view: from its last checkpoint where that still fits, from the beginning of the log where it does not.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use futures::future::BoxFuture;
use lakehead_model::{Name, TimeRange, Timestamp};

use super::{
    files::{self, Checkpoint, Folder, Rebuild, Slot},
    handle::ViewHandle,
    instance::{Body, View},
    lateness::last_end_in,
    settings::ViewSettings,
    snapshot::Snapshot,
    transaction::LiveFile,
    windowed::WindowedBody,
};
use crate::{error::Error, plan::ViewPlan};

impl View {
    /// Opens the view `name` under `data`, from its checkpoint in `slot` where that still fits, else from the beginning of
    /// the log. A view over another view reads `upstream`. Answers the view and, when it has to be rebuilt, why.
    ///
    /// # Errors
    /// [`Error::File`] when its folder cannot be made or read.
    pub fn open(
        data: &Path,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
        slot: Slot,
        upstream: Option<ViewHandle>,
    ) -> BoxFuture<'static, Result<(Self, Option<String>), Error>> {
        let folder = Folder::new(data, name.as_str());
        Box::pin(async move {
            let (mut view, rebuild) = Self::open_in(folder, name, plan, settings, slot, upstream)?;
            view.mend().await?;
            Ok((view, rebuild))
        })
    }

    /// Opens the view as its last checkpoint left it, to be brought up to date in memory only. Nothing on disk changes.
    /// Answers the view and, when the next start will rebuild it since a file of it is damaged, what is wrong.
    ///
    /// # Errors
    /// [`Error::File`] when the state cannot be read.
    pub fn open_read_only(
        data: &Path,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
        upstream: Option<ViewHandle>,
    ) -> BoxFuture<'static, Result<(Self, Option<String>), Error>> {
        let folder = Folder::new(data, name.as_str());
        Box::pin(async move {
            let (mut view, rebuild) = Self::restore(&folder, name, plan, settings, Slot::Active, upstream)?;
            view.mend().await?;
            let rebuild = match rebuild {
                Some(Rebuild::Damaged(why)) => Some(why),
                _ => view.damaged.first().map(|path| format!("{} is damaged", path.display())),
            };
            Ok((view, rebuild))
        })
    }

    fn open_in(
        folder: Folder,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
        slot: Slot,
        upstream: Option<ViewHandle>,
    ) -> Result<(Self, Option<String>), Error> {
        folder.create()?;
        let (mut view, rebuild) = Self::restore(&folder, name, plan, settings, slot, upstream)?;
        let rebuild = rebuild.as_ref().and_then(Rebuild::why).map(str::to_owned);
        view.slot = Some(slot);
        // A life of its own, so that no path is used again that somebody may still read, and nothing that was made of the
        // files of another life is taken for made of these.
        if rebuild.is_some() || view.checkpoint.generation == 0 {
            let build = |slot| Checkpoint::load(&folder.checkpoint(slot)).ok().map(|checkpoint| checkpoint.build);
            let known = [build(Slot::Active), build(Slot::Shadow)].into_iter().flatten().max();
            view.checkpoint.build = folder.next_build(known);
        } else {
            folder.note_build(view.checkpoint.build);
        }
        if let Some(why) = rebuild.as_deref().filter(|_| slot == Slot::Active) {
            view.preserve(why)?;
        }
        view.preserve_damaged()?;
        folder.sweep(&view.kept())?;
        if slot == Slot::Active {
            view.publish_files()?;
        }
        Ok((view, rebuild))
    }

    fn restore(
        folder: &Folder,
        name: Name,
        plan: Arc<ViewPlan>,
        settings: ViewSettings,
        slot: Slot,
        upstream: Option<ViewHandle>,
    ) -> Result<(Self, Option<Rebuild>), Error> {
        let log_start = upstream.as_ref().map_or(settings.log_start, |upstream| upstream.snapshot().begins);
        let (mut checkpoint, rebuild) = match Checkpoint::read(&folder.checkpoint(slot), &plan, &settings) {
            Ok(found) => (found, None),
            Err(rebuild) => (Checkpoint::empty(&plan, &settings), Some(rebuild)),
        };
        if slot == Slot::Shadow {
            // A cutover that did not come about may have left a history here; the next one finds out what it changes.
            checkpoint.forget_changes();
        } else if let Err(error) = checkpoint.expect_changes(folder) {
            // Whoever follows begins with a snapshot; the rows are not affected.
            tracing::warn!(view = %name, "what it has changed before cannot be told any more: {error}");
            checkpoint.forget_changes();
        }
        // Where a rebuild would lose more than is damaged, it goes on without that. Files of a view over another are made anew.
        let (mut damaged, mut without) = (Vec::new(), Vec::new());
        if upstream.is_some() || log_start > checkpoint.begins {
            let last_end =
                |range: TimeRange| plan.windowed().map_or(range.end, |windowed| last_end_in(windowed, range));
            (damaged, without) = checkpoint.leave_out_damaged(folder, last_end);
            if !damaged.is_empty() {
                // No change tells of the rows that are gone: also who is up to date begins with a snapshot.
                checkpoint.forget_changes();
                checkpoint.changes_after += 1;
            }
        }
        let (checkpoint, rebuild, (live, body)) = match read(&checkpoint, folder, &plan) {
            Ok(read) => (checkpoint, rebuild, read),
            Err(error) => {
                let why = format!("a file that its checkpoint names cannot be read: {error}");
                let empty = Checkpoint::empty(&plan, &settings);
                let read = read(&empty, folder, &plan)?;
                (empty, Some(Rebuild::Damaged(why)), read)
            }
        };
        let (handle, commits) = ViewHandle::new(name, Snapshot::empty(Arc::clone(&plan)), upstream);
        handle.claims().remember(&checkpoint.followers);
        let is_unfinished = checkpoint.watermark.current().is_some_and(|watermark| checkpoint.closed_until < watermark);
        let mut view = Self {
            plan,
            settings,
            folder: folder.clone(),
            slot: None,
            checkpoint,
            live,
            results: Arc::default(),
            body,
            replaced: Vec::new(),
            damaged,
            without,
            is_unfinished,
            handle,
            commits,
        };
        view.list_results();
        view.publish();
        Ok((view, rebuild))
    }

    /// Makes the results of periods whose files were damaged again, of the partial rows that are kept.
    async fn mend(&mut self) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        if let (Some(windowed), Body::Windowed(body)) = (plan.windowed(), &mut self.body) {
            for range in std::mem::take(&mut self.without) {
                body.reopen(windowed, range, None, &self.folder, self.checkpoint.build).await?;
            }
        }
        self.list_results();
        self.publish();
        Ok(())
    }

    /// Forgets everything: the log's end lies before the view's offset, so the view is not of this log.
    ///
    /// # Errors
    /// [`Error::File`] when the old files cannot be deleted.
    pub fn restart(&mut self) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.checkpoint, Checkpoint::empty(&self.plan, &self.settings));
        // Another incarnation: whoever follows begins with a snapshot.
        self.checkpoint.build = match before.generation {
            0 => before.build,
            _ => self.folder.next_build(Some(before.build)),
        };
        self.checkpoint.followers = before.followers;
        self.live.clear();
        self.body = Body::empty(&self.plan);
        self.replaced.clear();
        self.is_unfinished = false;
        self.list_results();
        if let Some(slot) = self.slot {
            if slot == Slot::Active {
                self.preserve("it has seen events beyond the log")?;
                self.folder.sweep_public(&HashSet::new())?;
            }
            // It says which incarnation is the last, so that no other ever has its number.
            self.checkpoint.write(&self.folder.checkpoint(slot), &self.folder)?;
            self.folder.sweep(&self.kept())?;
        }
        self.publish();
        Ok(())
    }
}

/// What a checkpoint names: the live result files by period, and the body. Every file is compared with its checksum.
fn read(
    checkpoint: &Checkpoint,
    folder: &Folder,
    plan: &ViewPlan,
) -> Result<(BTreeMap<Timestamp, LiveFile>, Body), Error> {
    files::expect(checkpoint.files(folder).iter(), &checkpoint.sums)?;
    let mut live = BTreeMap::new();
    for (start, period) in &checkpoint.periods {
        let range = TimeRange { start: *start, end: period.end };
        let path = folder.result(range, checkpoint.build, period.generation);
        let (made_of, failed) = (period.made_of.clone(), period.failed.clone());
        let one = LiveFile::new(range, period.generation, period.rows, period.bytes, path, made_of, failed);
        live.insert(*start, one);
    }
    let body = match plan.windowed() {
        Some(windowed) => Body::Windowed(Box::new(WindowedBody::restore(windowed, checkpoint, folder)?)),
        None => Body::empty(plan),
    };
    Ok((live, body))
}
