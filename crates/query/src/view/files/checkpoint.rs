//! A view's checkpoint: one small file whose rename is the commit.
//!
//! It names the offset, the state and the live files, all of which were synced before, each with its checksum. Whatever it
//! does not name is left over from a crash. It also holds the view's [`Identity`]: when that differs from what the view is to
//! be, the view is rebuilt from the log.
//!
//! A view that was changed has two for a while: `checkpoint.json` of the active view, and `next.json` of its
//! shadow. Renaming the second over the first is the cutover.
//!
//! The file's own checksum is the last thing in it, over all that stands before: one byte that is not as it was written, and it
//! is not believed.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use lakehead_model::{Offset, TimeRange, Timestamp};
use lakehead_store::crash;
use lakehead_window::Watermark;
use serde::{Deserialize, Serialize};

use super::{
    checksum::{expect, sum},
    folder::Folder,
    named::{ChangeFile, PartFile, Partials, Parts, Period},
    run_file::RunFile,
    saved_definition::{Before, SavedDefinition},
    sealed,
};
use crate::{
    error::Error,
    identity::Identity,
    plan::{TimeColumn, ViewPlan},
    syncing::sync_folder,
    view::{commit_id::CommitId, counts::Counts, settings::ViewSettings},
};

/// The version of this format. 1 had one file of partial rows for each result period and one for open windows; 2 had no
/// checksums and less of the view's identity, and is read.
const FORMAT: u32 = 3;

/// What a view knows at one offset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    format: u32,
    /// The SQL of the view itself.
    pub(crate) sql: String,
    /// What it is; none in format 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    /// What format 2 had in its place: the definition, the DataFusion release, the types of state and rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    definition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datafusion: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// Which of the view's lives this is: grows with every rebuild beside another.
    pub(crate) build: u64,
    /// Numbers the files; grows with every commit.
    pub(crate) generation: u64,
    /// The first offset that is not in the view.
    pub(crate) next_offset: Offset,
    pub(crate) watermark: Watermark,
    /// Windows that end at or before this are in result files.
    pub(crate) closed_until: Timestamp,
    pub(crate) counts: Counts,
    /// Result periods by their start.
    pub(crate) periods: BTreeMap<Timestamp, Period>,
    /// Partial rows that have left the state, by the period of their slices; kept for as long as late events may come.
    pub(crate) partials: BTreeMap<Timestamp, Partials>,
    /// The state, run by run.
    pub(crate) runs: Vec<RunFile>,
    /// Rows of a projection in periods that are not over, in files that will be one.
    pub(crate) parts: BTreeMap<Timestamp, Parts>,
    /// What has changed in the results, commit by commit.
    pub(crate) changes: Vec<ChangeFile>,
    /// The last commit whose changes are not kept any more: who has not seen it begins with a snapshot.
    #[serde(default)]
    pub(crate) changes_after: u64,
    /// The incarnation of that commit, where it is not this one: `changes` lead on from before the cutover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changes_after_build: Option<u64>,
    /// Up to where each follower has read, as of this commit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) followers: BTreeMap<String, CommitId>,
    /// The first offset whose event it could take in: what lies before had left the log when it was begun. For a view over
    /// another that one's, as of the last commit.
    #[serde(default)]
    pub(crate) begins: Offset,
    /// Events before this are taken in however late they are: they were in the log when the view was begun.
    #[serde(default)]
    pub(crate) whole_until: Offset,
    /// Windows of result periods that end at or before this cannot be corrected: their partial rows are gone.
    #[serde(default = "never")]
    pub(crate) settled_until: Timestamp,
    /// The checksum of each file that it names, by the file's name.
    #[serde(default)]
    pub(crate) sums: BTreeMap<String, u64>,
}

fn never() -> Timestamp {
    Timestamp(i64::MIN)
}

impl Checkpoint {
    /// The checkpoint of a view that has seen nothing.
    pub(crate) fn empty(plan: &ViewPlan, settings: &ViewSettings) -> Self {
        Self {
            format: FORMAT,
            sql: plan.sql().to_owned(),
            identity: Some(Identity::of(plan, settings)),
            definition: None,
            datafusion: None,
            fingerprint: None,
            build: 0,
            generation: 0,
            next_offset: Offset(0),
            watermark: watermark_of(plan, settings),
            closed_until: Timestamp(i64::MIN),
            counts: Counts::default(),
            periods: BTreeMap::new(),
            partials: BTreeMap::new(),
            runs: Vec::new(),
            parts: BTreeMap::new(),
            changes: Vec::new(),
            changes_after: 0,
            changes_after_build: None,
            followers: BTreeMap::new(),
            begins: Offset(0),
            whole_until: Offset(0),
            settled_until: Timestamp(i64::MIN),
            sums: BTreeMap::new(),
        }
    }

    /// Reads the checkpoint at `path`, or says why the view has to be rebuilt.
    pub(crate) fn read(path: &Path, plan: &ViewPlan, settings: &ViewSettings) -> Result<Self, Rebuild> {
        let mut checkpoint = Self::load(path)?;
        if let Some(why) = checkpoint.saved_definition().change(plan, settings) {
            return Err(Rebuild::Changed(why.to_owned()));
        }
        checkpoint.identity = Some(Identity::of(plan, settings));
        (checkpoint.definition, checkpoint.datafusion, checkpoint.fingerprint) = (None, None, None);
        Ok(checkpoint)
    }

    /// Reads the checkpoint at `path`, whatever view it is of.
    pub(crate) fn load(path: &Path) -> Result<Self, Rebuild> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Rebuild::New),
            Err(e) => return Err(Rebuild::Damaged(format!("its checkpoint cannot be read: {e}"))),
        };
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |e: serde_json::Error| Rebuild::Damaged(format!("its checkpoint is damaged: {e}"));
        let version: Version = serde_json::from_slice(&bytes).map_err(damaged)?;
        match version.format {
            FORMAT if !sealed::holds(&bytes) => {
                Err(Rebuild::Damaged("its checkpoint is damaged: its bytes are not those of its checksum".to_owned()))
            }
            FORMAT => serde_json::from_slice(&bytes).map_err(damaged),
            2 if !sealed::is_sealed(&bytes) => {
                let mut checkpoint: Self = serde_json::from_slice(&bytes).map_err(damaged)?;
                checkpoint.format = FORMAT;
                let Counts { events, missed, .. } = checkpoint.counts;
                checkpoint.begins = Offset(checkpoint.next_offset.0.saturating_sub(events + missed));
                Ok(checkpoint)
            }
            _ => Err(Rebuild::Changed("its checkpoint has another format".to_owned())),
        }
    }

    /// Commits: after this returns, this checkpoint is what an opening finds.
    pub(crate) fn write(&mut self, path: &Path, folder: &Folder) -> Result<(), Error> {
        self.sums = self.files(folder).iter().filter_map(|file| sum(file)).collect();
        let bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::Engine(e.to_string()))?;
        replace(path, &sealed::seal(bytes))
    }

    /// Checks the files of what commits have changed.
    pub(crate) fn expect_changes(&self, folder: &Folder) -> Result<(), Error> {
        let paths: Vec<PathBuf> = self.changes.iter().map(|file| folder.changes(file.id(self.build))).collect();
        expect(paths.iter(), &self.sums)
    }

    /// The oldest position from which the changes that are kept lead on.
    pub(crate) fn oldest_position(&self) -> CommitId {
        let incarnation = self.changes_after_build.unwrap_or(self.build);
        CommitId { incarnation, commit: self.changes_after }
    }

    /// The commit that it is.
    pub(crate) fn commit_id(&self) -> CommitId {
        CommitId { incarnation: self.build, commit: self.generation }
    }

    /// Keeps no changes up to this commit: whoever follows begins with a snapshot.
    pub(crate) fn forget_changes(&mut self) {
        self.changes.clear();
        (self.changes_after, self.changes_after_build) = (self.generation, None);
    }

    /// Leaves out the files of results that are not what they were, and partial rows likewise, whose periods then can be corrected
    /// no more. `last_end` is the end of the last window that starts in a period. Answers the files, and the periods that have no
    /// results now.
    pub(crate) fn leave_out_damaged(
        &mut self,
        folder: &Folder,
        last_end: impl Fn(TimeRange) -> Timestamp,
    ) -> (Vec<PathBuf>, Vec<TimeRange>) {
        let (mut damaged, mut without) = (Vec::new(), Vec::new());
        let (build, sums) = (self.build, &self.sums);
        let mut is_good = |path: PathBuf| match expect(std::iter::once(&path), sums) {
            Ok(()) => true,
            Err(_) => {
                damaged.push(path);
                false
            }
        };
        self.periods.retain(|start, period| {
            let range = TimeRange { start: *start, end: period.end };
            let keeps = is_good(folder.result(range, build, period.generation));
            if !keeps {
                without.push(range);
            }
            keeps
        });
        for (start, parts) in &mut self.parts {
            let range = TimeRange { start: *start, end: parts.end };
            parts.files.retain(|part| is_good(folder.part(range, build, part.generation)));
        }
        let settled_until = &mut self.settled_until;
        self.partials.retain(|start, partials| {
            let range = TimeRange { start: *start, end: partials.end };
            let paths = partials.generations.iter().map(|generation| folder.partial(range, build, *generation));
            // Each is looked at, since looking sets aside what is damaged.
            let damaged = paths.filter(|path| !is_good(path.clone())).count();
            let keeps = damaged == 0;
            *settled_until = if keeps { *settled_until } else { last_end(range).max(*settled_until) };
            keeps
        });
        let settled = |range| last_end(range) <= *settled_until;
        self.partials.retain(|start, partials| !settled(TimeRange { start: *start, end: partials.end }));
        without.retain(|range| !settled(*range));
        (damaged, without)
    }

    /// Whether events that it has not seen are taken in however late they are.
    pub(crate) fn takes_all(&self) -> bool {
        self.next_offset < self.whole_until
    }

    pub(crate) fn saved_definition(&self) -> SavedDefinition {
        let before = |(definition, (datafusion, fingerprint)): (&String, (&String, &String))| Before {
            definition: definition.clone(),
            datafusion: datafusion.clone(),
            fingerprint: fingerprint.clone(),
        };
        let was = self.definition.as_ref().zip(self.datafusion.as_ref().zip(self.fingerprint.as_ref()));
        SavedDefinition {
            sql: self.sql.clone(),
            identity: self.identity.clone(),
            before: was.map(before),
            watermark_delay: self.watermark.delay(),
        }
    }

    /// Every file that it names, in the folder of the state.
    pub(crate) fn files(&self, folder: &Folder) -> HashSet<PathBuf> {
        let mut files = HashSet::new();
        let range = |start: &Timestamp, end: Timestamp| TimeRange { start: *start, end };
        for (start, period) in &self.periods {
            files.insert(folder.result(range(start, period.end), self.build, period.generation));
        }
        for (start, partials) in &self.partials {
            let of = |generation: &u64| folder.partial(range(start, partials.end), self.build, *generation);
            files.extend(partials.generations.iter().map(of));
        }
        for (start, parts) in &self.parts {
            let of = |part: &PartFile| folder.part(range(start, parts.end), self.build, part.generation);
            files.extend(parts.files.iter().map(of));
        }
        files.extend(self.runs.iter().map(|run| folder.run(self.build, *run)));
        files.extend(self.changes.iter().map(|file| folder.changes(file.id(self.build))));
        files
    }
}

/// Replaces `path` by `bytes` in one step that survives a power cut.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let step = path.with_extension("writing");
    let mut file = File::create(&step).map_err(Error::file(&step))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::file(&step))?;
    crash::point("checkpoint.written");
    fs::rename(&step, path).map_err(Error::file(path))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// The watermark of a view that has seen nothing.
fn watermark_of(plan: &ViewPlan, settings: &ViewSettings) -> Watermark {
    match plan.time() {
        TimeColumn::EventTime => Watermark::new(settings.watermark_delay),
        TimeColumn::ReceivedTime => Watermark::for_received_time(),
    }
}

/// Why a view starts from the beginning of the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rebuild {
    /// There is no checkpoint yet.
    New,
    /// There is one of another view: of other SQL, other settings, or another version of Lakehead.
    Changed(String),
    /// The checkpoint, or a file that it names, is not what was written.
    Damaged(String),
}

impl Rebuild {
    /// What is said of it: nothing where there was nothing.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::New => None,
            Self::Changed(why) | Self::Damaged(why) => Some(why),
        }
    }
}
