//! Publishes a view: its snapshot to queries, its result files to other programs.

use std::{
    collections::HashSet,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use lakehead_model::{Position, TimeRange};
use tokio::sync::OnceCell;

use super::{
    failed_values::FailedValues,
    files::{self, Checkpoint, Slot},
    handle::ViewHandle,
    instance::{Body, View},
    snapshot::{InMemory, Listed, ListedChanges, Results, Snapshot},
    transaction::LiveFile,
};
use crate::error::Error;

impl View {
    /// Puts the view as it is now where queries find it, and wakes who waits for its commits.
    pub(super) fn publish(&self) {
        self.handle.publish(self.snapshot());
        self.tell_commit();
    }

    /// The same after a cutover, together with the upstream view that it reads.
    pub(super) fn publish_over(&self, upstream: Option<ViewHandle>) {
        self.handle.publish_over(self.snapshot(), upstream);
        self.tell_commit();
    }

    fn snapshot(&self) -> Snapshot {
        let (open, open_rows, open_bytes) = self.body.open();
        Snapshot {
            next_offset: self.checkpoint.next_offset,
            watermark: self.checkpoint.watermark.current(),
            counts: self.checkpoint.counts,
            open_rows,
            open_bytes,
            plan: Arc::clone(&self.plan),
            begins: self.checkpoint.begins,
            build: self.checkpoint.build,
            generation: self.checkpoint.generation,
            closed_until: self.checkpoint.closed_until,
            results: Arc::clone(&self.results),
            open,
            upstream: None,
            open_rows_of: &InMemory,
            rest: OnceCell::new(),
            counted: std::sync::OnceLock::new(),
        }
    }

    fn tell_commit(&self) {
        let position = Position::from(self.checkpoint.commit_id());
        self.commits.send_if_modified(|told| std::mem::replace(told, position) != position);
    }

    /// Lists what the next snapshots share until a commit or a late event changes it.
    pub(super) fn list_results(&mut self) {
        let mut all: Vec<Listed> = self.listed_files();
        all.extend(self.listed_parts());
        // Whoever looks for the files of a span of time goes by their order.
        all.sort_by_key(|listed| listed.range.start);
        let (reopened_files, reopened, partials) = match &self.body {
            Body::Windowed(body) => (
                body.reopened.iter().filter_map(|(start, file)| Some((*start, Arc::clone(file.as_ref()?)))).collect(),
                body.reopened.keys().map(|start| self.plan.period_at(*start)).collect(),
                &body.partials,
            ),
            _ => (Vec::new(), Vec::new(), &self.checkpoint.partials),
        };
        let build = self.checkpoint.build;
        let partials = partials.iter().map(|(start, partials)| {
            let range = TimeRange { start: *start, end: partials.end };
            let path = |generation: &u64| self.folder.partial(range, build, *generation);
            (*start, partials.generations.iter().map(path).collect())
        });
        let fresh = Results {
            rows: all.iter().map(|listed| listed.rows).sum(),
            bytes: all.iter().map(|listed| listed.file.size).sum(),
            reopened_files,
            reopened,
            partials: partials.collect(),
            changes: self.listed_changes(),
            files: all,
        };
        // Parts that were joined go with their last reader.
        for old in self.results.files.iter().filter(|old| old.is_part) {
            if self.slot.is_some() && !fresh.files.iter().any(|listed| listed.file.path == old.file.path) {
                old.file.supersede();
            }
        }
        self.results = Arc::new(fresh);
    }

    /// The files of changes, each pinned once for all snapshots.
    fn listed_changes(&self) -> Arc<ListedChanges> {
        let (own, oldest) = (self.checkpoint.build, self.checkpoint.oldest_position());
        let known = &self.results.changes;
        if known.files == self.checkpoint.changes && known.oldest == oldest {
            return Arc::clone(known);
        }
        let pinned = self.checkpoint.changes.iter().map(|file| {
            let place = known.files.binary_search_by_key(&file.id(own), |known| known.id(own)).ok();
            let known = place.and_then(|place| known.pinned.get(place)).map(Arc::clone);
            known.unwrap_or_else(|| files::result_file(self.folder.changes(file.id(own)), file.bytes))
        });
        Arc::new(ListedChanges { pinned: pinned.collect(), files: self.checkpoint.changes.clone(), oldest })
    }

    /// The live result files.
    fn listed_files(&self) -> Vec<Listed> {
        let listed = |live: &LiveFile| Listed {
            range: live.range,
            rows: live.rows,
            failed: live.failed.clone(),
            generation: live.generation,
            correctable: self.checkpoint.partials.contains_key(&live.range.start),
            is_part: false,
            made_of: live.made_of.clone(),
            file: Arc::clone(&live.file),
        };
        self.live.values().map(listed).collect()
    }

    /// The parts of a projection's hours that are not over.
    fn listed_parts(&self) -> Vec<Listed> {
        let mut all = Vec::new();
        for (start, parts) in &self.checkpoint.parts {
            let range = TimeRange { start: *start, end: parts.end };
            for part in &parts.files {
                let path = self.folder.part(range, self.checkpoint.build, part.generation);
                let known = self.results.files.iter().find(|listed| listed.file.path == path);
                let file =
                    known.map_or_else(|| files::result_file(path.clone(), part.bytes), |known| Arc::clone(&known.file));
                all.push(Listed {
                    range,
                    rows: part.rows,
                    failed: FailedValues::default(),
                    generation: part.generation,
                    correctable: false,
                    is_part: true,
                    made_of: None,
                    file,
                });
            }
        }
        all
    }

    /// Makes what other programs see what the checkpoint says.
    pub(super) fn publish_files(&self) -> Result<(), Error> {
        let inode = |path: &Path| std::fs::metadata(path).map(|found| found.ino()).ok();
        for live in self.live.values() {
            if inode(&live.file.path) != inode(&self.folder.public_path(live.range)) {
                self.folder.publish(live.range, &live.file.path)?;
            }
        }
        self.folder.sweep_public(&self.live.values().map(|live| self.folder.public_path(live.range)).collect())
    }

    /// The files of the state that this view's checkpoint and the other one name.
    pub(super) fn kept(&self) -> HashSet<PathBuf> {
        let mut kept = self.checkpoint.files(&self.folder);
        for slot in [Slot::Active, Slot::Shadow] {
            let path = self.folder.checkpoint(slot);
            let own = self.slot == Some(slot);
            match Checkpoint::load(&path) {
                Ok(other) if !own => {
                    kept.extend(other.files(&self.folder));
                    kept.insert(path);
                }
                Ok(found) if found.generation == self.checkpoint.generation => {
                    kept.insert(path);
                }
                _ => {}
            }
        }
        kept
    }
}
