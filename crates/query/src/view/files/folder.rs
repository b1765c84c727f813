//! The folder of a view: what its files are called, what other programs see of them, and which are left over.

use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use lakehead_model::{TimeRange, Timestamp};
use lakehead_store::crash;

use super::{checksum::remove, pinned::read_by_somebody, run_file::RunFile};
use crate::{error::Error, syncing::sync_folder, view::commit_id::CommitId};

/// The folder of one view.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    public: PathBuf,
    state: PathBuf,
}

/// Which of the two views of one name: the one that answers, or the one that is built to replace it at the cutover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The view that answers: `checkpoint.json`.
    Active,
    /// The view that is built to replace it: `next.json`.
    Shadow,
}

/// The last life of each view in this process, by the folder of its state: its files and checkpoints may all be gone while
/// somebody still reads them, and their paths must not be used again.
static BUILDS: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());

fn builds() -> MutexGuard<'static, BTreeMap<PathBuf, u64>> {
    BUILDS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folder {
    /// The folder of `view` under `data`. Nothing is created.
    pub(crate) fn new(data: &Path, view: &str) -> Self {
        let public = data.join("views").join(view);
        let state = public.join(".state");
        Self { public, state }
    }

    /// Makes the folders.
    pub(crate) fn create(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.state).map_err(Error::file(&self.state))?;
        sync_folder(&self.public)?;
        if let Some(parent) = self.public.parent() {
            sync_folder(parent)?;
        }
        Ok(())
    }

    pub(crate) fn checkpoint(&self, slot: Slot) -> PathBuf {
        self.state.join(match slot {
            Slot::Active => "checkpoint.json",
            Slot::Shadow => "next.json",
        })
    }

    pub(crate) fn result(&self, period: TimeRange, build: u64, generation: u64) -> PathBuf {
        self.state.join(format!("{}.{build}.{generation}.result", label(period)))
    }

    pub(crate) fn partial(&self, period: TimeRange, build: u64, generation: u64) -> PathBuf {
        self.state.join(format!("{}.{build}.{generation}.partial", label(period)))
    }

    pub(crate) fn part(&self, period: TimeRange, build: u64, generation: u64) -> PathBuf {
        self.state.join(format!("{}.{build}.{generation}.part", label(period)))
    }

    pub(crate) fn run(&self, build: u64, run: RunFile) -> PathBuf {
        self.state.join(format!("state.{build}.{}.{}.partial", run.generation, run.number))
    }

    pub(crate) fn changes(&self, of: CommitId) -> PathBuf {
        self.state.join(format!("changes.{}.{}.arrow", of.incarnation, of.commit))
    }

    /// The name that other programs see for `period`.
    pub(crate) fn public_path(&self, period: TimeRange) -> PathBuf {
        self.public.join(format!("{}.parquet", label(period)))
    }

    /// Makes `result` what other programs see for `period`, in one step.
    pub(crate) fn publish(&self, period: TimeRange, result: &Path) -> Result<(), Error> {
        let step = self.state.join("publishing");
        let public = self.public_path(period);
        let _ = fs::remove_file(&step);
        // A file system without hard links gets a copy.
        fs::hard_link(result, &step).or_else(|_| fs::copy(result, &step).map(|_| ())).map_err(Error::file(&step))?;
        fs::rename(&step, &public).map_err(Error::file(&public))
    }

    /// Takes the result file of `period` away from where other programs see it: the period has no rows any more.
    pub(crate) fn unpublish(&self, period: TimeRange) -> Result<(), Error> {
        let public = self.public_path(period);
        match fs::remove_file(&public) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&public)(error)),
            _ => Ok(()),
        }
    }

    /// Deletes every file of the state that is not in `keep`: what a crash left half done. The results are rebuilt from the
    /// log, so nothing here is anybody's only copy.
    pub(crate) fn sweep(&self, keep: &HashSet<PathBuf>) -> Result<(), Error> {
        sweep(&self.state, keep)
    }

    /// Deletes what other programs would see and should not.
    pub(crate) fn sweep_public(&self, keep: &HashSet<PathBuf>) -> Result<(), Error> {
        sweep(&self.public, keep)
    }

    /// The folder of the state.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// The folder that other programs look into.
    pub(crate) fn shown(&self) -> &Path {
        &self.public
    }

    /// The number of a new life of the view, which none before had: `known` is the last that a checkpoint names.
    pub(crate) fn next_build(&self, known: Option<u64>) -> u64 {
        let mut builds = builds();
        let last = [known, self.last_build(), builds.get(&self.state).copied()].into_iter().flatten().max();
        let next = last.map_or(0, |last| last + 1);
        builds.insert(self.state.clone(), next);
        next
    }

    /// The view goes on with this life.
    pub(crate) fn note_build(&self, build: u64) {
        let mut builds = builds();
        let last = builds.entry(self.state.clone()).or_default();
        *last = build.max(*last);
    }

    /// The latest of the view's lives that any file here is of, whether a checkpoint names it or not.
    fn last_build(&self) -> Option<u64> {
        // PERIOD.BUILD.GENERATION.result, state.BUILD.GENERATION.NUMBER.partial, changes.BUILD.GENERATION.arrow
        let of = |name: String| name.split('.').find_map(|part| part.parse::<u64>().ok());
        let names = fs::read_dir(&self.state).into_iter().flatten().flatten();
        names.filter_map(|entry| of(entry.file_name().to_string_lossy().into_owned())).max()
    }

    /// The cutover on disk: renames the checkpoint of the shadow over that of the active view, in one step.
    pub(crate) fn swap(&self) -> Result<(), Error> {
        let (next, current) = (self.checkpoint(Slot::Shadow), self.checkpoint(Slot::Active));
        crash::point("view.swap");
        fs::rename(&next, &current).map_err(Error::file(&current))?;
        sync_folder(&self.state)
    }
}

fn sweep(folder: &Path, keep: &HashSet<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
        let path = entry.map_err(Error::file(folder))?.path();
        if !path.is_file() || keep.contains(&path) {
            continue;
        }
        match read_by_somebody(&path) {
            Some(file) => file.supersede(),
            None => match remove(&path) {
                // Who read it last may just have let go.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file(&path)(error)),
                _ => {}
            },
        }
    }
    Ok(())
}

/// `2026-11-23T10` for an hour of UTC, `2026-11-23` for a day of UTC, both ends for anything else, such as a day elsewhere.
pub(crate) fn label(period: TimeRange) -> String {
    let text = |time: Timestamp| time.to_string().replace(':', "");
    let start = period.start.to_string();
    let is_whole = |seconds: i64| {
        let micros = seconds * 1_000_000;
        period.start.0.rem_euclid(micros) == 0 && period.end.0.saturating_sub(period.start.0) == micros
    };
    // A year before 0 is written with more digits, so places in the text are not counted from its start.
    let (date, time) = start.split_once('T').unwrap_or((&start, ""));
    match (is_whole(3_600), is_whole(86_400)) {
        (true, _) => format!("{date}T{}", time.get(..2).unwrap_or(time)),
        (_, true) => date.to_owned(),
        _ => format!("{}_{}", text(period.start), text(period.end)),
    }
}

/// Where other programs see the result file of `period` that lies at `result`.
pub(crate) fn public_beside(result: &Path, period: TimeRange) -> Option<PathBuf> {
    let public = result.parent()?.parent()?;
    Some(public.join(format!("{}.parquet", label(period))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::view::files::result_file;

    #[test]
    fn no_life_of_a_view_has_the_number_of_another_also_when_all_its_files_are_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(dir.path(), "v");
        folder.create().expect("created");
        assert_eq!([(); 2].map(|()| folder.next_build(None)), [0, 1]);
        folder.note_build(7);
        folder.note_build(3);
        assert_eq!(folder.next_build(Some(5)), 8);
        fs::write(folder.state().join("2026-01-01.20.2.result"), "").expect("a file");
        assert_eq!(folder.next_build(None), 21);
        assert_eq!(Folder::new(dir.path(), "other").next_build(Some(4)), 5);
    }

    #[test]
    fn a_file_that_is_read_outlives_a_sweep_and_goes_with_its_last_reader() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        for name in ["kept", "read", "left"] {
            fs::write(path(name), name).expect("a file");
        }
        let (read, again) = (result_file(path("read"), 4), result_file(path("read"), 4));
        assert!(Arc::ptr_eq(&read, &again), "there is one for each path");
        let there = || ["kept", "read", "left"].map(|name| path(name).exists());
        sweep(dir.path(), &HashSet::from([path("kept")])).expect("it can be swept");
        assert_eq!(there(), [true, true, false]);
        drop(read);
        assert_eq!(there(), [true, true, false]);
        drop(again);
        assert_eq!(there(), [true, false, false]);
        drop(result_file(path("kept"), 4));
        assert_eq!(there(), [true, false, false], "nothing took its place");
    }

    #[test]
    fn periods_are_named_by_what_they_cover() {
        let range = |start: &str, end: &str| TimeRange {
            start: start.parse().expect("a time"),
            end: end.parse().expect("a time"),
        };
        let hour = |n: i64| TimeRange { start: Timestamp(n * 3_600_000_000), end: Timestamp((n + 1) * 3_600_000_000) };
        let before_year_0: HashSet<String> = (-17_600_000..-17_599_900).map(|n| label(hour(n))).collect();
        assert_eq!(before_year_0.len(), 100, "every period has a file of its own");
        assert_eq!(label(range("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z")), "2026-11-23T10");
        assert_eq!(label(range("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")), "2026-11-23");
        assert_eq!(
            label(range("2026-11-19T00:00:00Z", "2026-11-26T00:00:00Z")),
            "2026-11-19T000000Z_2026-11-26T000000Z"
        );
        // A day in Berlin is none of UTC, though it may be as long.
        assert_eq!(
            label(range("2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z")),
            "2026-11-22T230000Z_2026-11-23T230000Z"
        );
    }
}
