//! Puts files out of the way that are done: renamed, moved, deleted, or set aside where they were refused.
//!
//! What is to be done is decided by [`fate`] from what stands there, so that it may be done again after a crash at any point. Nothing
//! is ever overwritten. A file is out of the way once the folders are synced; only then is it forgotten.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use lakehead_connector_api::Error;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{
    config::{Config, REFUSED, WhenDone},
    cursor::{FileState, TakenFile},
    ledger::Settled,
    names::SpoolName,
    open_file::{AtPath, found, path_of},
};
use crate::folder::{failed, sync};

/// How often a free name is looked for, while others take what was free.
const TRIES_MAX: usize = 100;

/// Puts files out of the way.
#[derive(Clone, Debug)]
pub(super) struct PutAway {
    root: PathBuf,
    when_done: WhenDone,
    suffix: String,
    done_folder: Option<PathBuf>,
    may_repeat: bool,
}

/// What is to become of a file that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is put out of the way.
    Done,
    /// It is out of the way: done before a crash, or taken away by somebody. What stands there now is another file.
    Away,
    /// It is not what was taken, and is no new file.
    Changed,
}

/// Decides, from the file as it was taken, what stands at its name now, and what stands where it goes.
fn fate(taken: &FileState, there: Option<FileState>, done: Option<FileState>, may_repeat: bool) -> Fate {
    let Some(there) = there else { return Fate::Away };
    if taken.is_unchanged(&there) {
        return Fate::Done;
    }
    if done.is_some_and(|done| taken.is_unchanged(&done)) || (may_repeat && there.inode != taken.inode) {
        return Fate::Away;
    }
    Fate::Changed
}

impl PutAway {
    /// As the settings say, for the folder at `root`, with files moved to `done_folder`.
    pub(super) fn new(config: &Config, root: PathBuf, done_folder: Option<PathBuf>) -> Self {
        Self {
            root,
            when_done: config.when_done,
            suffix: config.suffix().to_owned(),
            done_folder,
            may_repeat: config.may_repeat(),
        }
    }

    /// Where the file of this name goes when it is done, if that says that its name was taken before.
    pub(super) fn refusing_name(&self, name: &SpoolName) -> Option<PathBuf> {
        let done = if self.may_repeat { None } else { self.done_path(&path_of(&self.root, name)) };
        done.filter(|done| fs::symlink_metadata(done).is_ok())
    }

    /// Puts `files` out of the way, and makes that durable.
    ///
    /// # Errors
    /// `Invalid` where only a person can help, `Unavailable` else. What was done before it is done.
    pub(super) fn settle(&self, files: Vec<TakenFile>) -> Result<Vec<(SpoolName, Settled)>, Error> {
        let mut touched = BTreeSet::new();
        let mut outcomes = Vec::with_capacity(files.len());
        for file in files {
            let outcome = self.settle_one(&file, &mut touched)?;
            outcomes.push((file.name, outcome));
        }
        touched.iter().try_for_each(|folder| match sync(folder) {
            // Somebody has taken the folder away, and what was done in it.
            Err(_) if !folder.exists() => Ok(()),
            outcome => outcome,
        })?;
        Ok(outcomes)
    }

    fn settle_one(&self, file: &TakenFile, touched: &mut BTreeSet<PathBuf>) -> Result<Settled, Error> {
        let path = path_of(&self.root, &file.name);
        let state = |path: &Path| match found(path) {
            Ok(AtPath::File(there)) => Ok(Some(FileState::of(&there))),
            Ok(AtPath::NoFile) => Ok(None),
            Err(error) => Err(failed("be looked at", path, &error)),
        };
        let target = if file.is_refused { Some(appended(&path, REFUSED)) } else { self.done_path(&path) };
        let done = target.as_deref().map_or(Ok(None), state)?;
        match (fate(&file.state, state(&path)?, done, self.may_repeat), target) {
            (Fate::Away, _) => {}
            // Refused, it is out of the way whatever it has become: it is not read, and that has been told.
            (Fate::Changed, target) if !file.is_refused || target.is_none() => return Ok(Settled::Changed),
            (Fate::Done | Fate::Changed, Some(target)) => {
                if file.is_refused {
                    tracing::warn!(path = %path.display(), to = %target.display(), "set aside");
                }
                rename_new(&path, &target, file.is_refused, &self.suffix)
                    .map_err(|error| not_put_away("be renamed or moved", &path, &target, &error))?;
                touched.extend([&path, &target].into_iter().filter_map(|path| path.parent()).map(Path::to_owned));
            }
            (Fate::Done | Fate::Changed, None) => {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(not_put_away("be deleted", &path, &path, &error));
                    }
                    _ => {}
                }
                touched.extend(path.parent().map(Path::to_owned));
            }
        }
        Ok(Settled::Away)
    }

    /// Where the file at `path` goes; `None` where it is deleted.
    fn done_path(&self, path: &Path) -> Option<PathBuf> {
        match (self.when_done, &self.done_folder) {
            (WhenDone::Move, Some(folder)) => Some(folder.join(path.strip_prefix(&self.root).unwrap_or(path))),
            (WhenDone::Delete, _) => None,
            _ => Some(appended(path, &self.suffix)),
        }
    }
}

fn appended(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// `to` with a number: before the suffix, which is what such files are known by, else behind the name.
fn numbered(to: &Path, suffix: &str, number: u64) -> PathBuf {
    let text = to.as_os_str().as_encoded_bytes();
    let is_suffixed = text.ends_with(suffix.as_bytes());
    let (Some(name), true) = (to.file_name(), is_suffixed) else { return appended(to, &format!(".{number}")) };
    let plain = OsStr::from_bytes(&name.as_bytes()[..name.len() - suffix.len()]);
    appended(&to.with_file_name(plain), &format!(".{number}{suffix}"))
}

/// Renames `from` to `to`, or to `to` with the least number found that is free. A file that is gone meanwhile is none to rename.
fn rename_new(from: &Path, to: &Path, is_refused: bool, suffix: &str) -> io::Result<()> {
    let suffix = if is_refused { REFUSED } else { suffix };
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut free = to.to_owned();
    for _ in 0..TRIES_MAX {
        match rename_if_free(from, &free) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(from).is_err() => {
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                free = free_name(&|number| numbered(to, suffix, number));
            }
            outcome => return outcome,
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "no free name was found"))
}

fn rename_if_free(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can say no by itself.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Err(io::ErrorKind::AlreadyExists.into()),
        outcome => Ok(outcome?),
    }
}

/// A number from 1 on whose name is free and whose predecessor's is not, found in few looks however many there are.
fn free_name(name: &dyn Fn(u64) -> PathBuf) -> PathBuf {
    let is_taken = |number: u64| fs::symlink_metadata(name(number)).is_ok();
    let (mut taken, mut free) = (0, 1);
    while is_taken(free) && free < u64::MAX / 2 {
        (taken, free) = (free, free * 2);
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_taken(middle) { taken = middle } else { free = middle }
    }
    name(free)
}

/// What it means that a file cannot be put out of the way: its events are on disk, and it stays in the cursor.
fn not_put_away(done: &str, path: &Path, target: &Path, error: &io::Error) -> Error {
    let what = format!("{} was read and cannot {done} ({}): {error}", path.display(), target.display());
    let mend = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let the user that Lakehead runs as write in both folders"
        }
        io::ErrorKind::CrossesDevices => "set done_folder to a folder of the same file system",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "set done_folder to a folder",
        io::ErrorKind::InvalidFilename => "the name is too long with what is added: set a shorter suffix, or when_done",
        _ => return Error::unavailable(what),
    };
    Error::Invalid(format!("{what}; {mend}; it is not read again"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put_away(root: &Path, settings: serde_json::Value) -> PutAway {
        let mut settings = settings;
        settings["path"] = json!(root);
        let config: Config = serde_json::from_value(settings).expect("settings");
        PutAway::new(&config, root.to_owned(), config.done_folder.clone())
    }

    fn taken(root: &Path, name: &str, is_refused: bool) -> TakenFile {
        let state = FileState::of(&fs::metadata(root.join(name)).expect("a file"));
        TakenFile { name: SpoolName::of(Path::new(name)), state, is_refused }
    }

    fn names(root: &Path) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => names.push(path.strip_prefix(root).expect("below it").display().to_string()),
                }
            }
        }
        names.sort();
        names
    }

    #[test]
    fn a_fate_follows_from_what_stands_there() {
        let state = |size, inode| FileState { size, modified_ns: 1, inode };
        let taken = state(1, 1);
        for (there, done, may_repeat, expected) in [
            (None, None, false, Fate::Away),
            (Some(state(1, 1)), None, false, Fate::Done),
            (Some(state(1, 9)), None, false, Fate::Done),
            (Some(state(2, 1)), None, false, Fate::Changed),
            (Some(state(2, 9)), None, false, Fate::Changed),
            (Some(state(2, 9)), Some(state(1, 1)), false, Fate::Away),
            (Some(state(2, 9)), None, true, Fate::Away),
            (Some(state(2, 1)), None, true, Fate::Changed),
        ] {
            assert_eq!(fate(&taken, there, done, may_repeat), expected, "{there:?} {done:?} {may_repeat}");
        }
    }

    #[test]
    fn files_go_where_the_setting_says_and_overwrite_nothing() {
        for (settings, expected) in [
            (json!({}), ["a.json.1.COMPLETED", "a.json.COMPLETED", "b/c.json.COMPLETED", "d.json.REFUSED"]),
            (json!({ "suffix": ".done" }), ["a.json.1.done", "a.json.done", "b/c.json.done", "d.json.REFUSED"]),
            (json!({ "when_done": "move" }), ["d.json.REFUSED", "done/a.json", "done/a.json.1", "done/b/c.json"]),
        ] {
            let root = tempfile::tempdir().expect("a folder");
            let mut settings = settings;
            if settings["when_done"] == "move" {
                settings["done_folder"] = json!(root.path().join("done"));
            }
            let away = put_away(root.path(), settings);
            fs::create_dir(root.path().join("b")).expect("a folder");
            for round in 0..2 {
                let mut files = Vec::new();
                for name in ["a.json", "b/c.json", "d.json"].into_iter().take(if round == 0 { 3 } else { 1 }) {
                    fs::write(root.path().join(name), format!("{round}")).expect("a file");
                    files.push(taken(root.path(), name, name == "d.json"));
                }
                let count = files.len();
                let outcomes = away.settle(files.clone()).expect("put away");
                assert!(outcomes.len() == count && outcomes.iter().all(|(_, outcome)| *outcome == Settled::Away));
                let again = away.settle(files).expect("nothing is left to do");
                assert!(again.iter().all(|(_, outcome)| *outcome == Settled::Away));
            }
            assert_eq!(names(root.path()), expected);
        }
        let root = tempfile::tempdir().expect("a folder");
        let away = put_away(root.path(), json!({ "when_done": "delete" }));
        fs::write(root.path().join("a.json"), "1").expect("a file");
        fs::write(root.path().join("b.json"), "1").expect("a file");
        let files = vec![taken(root.path(), "a.json", false), taken(root.path(), "b.json", true)];
        away.settle(files).expect("put away");
        assert_eq!(names(root.path()), ["b.json.REFUSED"]);
    }

    #[test]
    fn a_file_that_has_changed_stays_and_is_set_aside_once_it_was_told() {
        let root = tempfile::tempdir().expect("a folder");
        let away = put_away(root.path(), json!({}));
        let path = root.path().join("a.json");
        fs::write(&path, "1").expect("a file");
        let file = taken(root.path(), "a.json", false);
        fs::write(&path, "12").expect("a file");
        assert_eq!(away.settle(vec![file.clone()]).expect("looked at")[0].1, Settled::Changed);
        assert_eq!(names(root.path()), ["a.json"]);
        assert_eq!(away.settle(vec![TakenFile { is_refused: true, ..file }]).expect("set aside")[0].1, Settled::Away);
        assert_eq!(names(root.path()), ["a.json.REFUSED"]);
    }

    #[test]
    fn a_free_number_is_found_in_few_looks() {
        let root = tempfile::tempdir().expect("a folder");
        let looks = std::cell::Cell::new(0);
        let name = |number: u64| {
            looks.set(looks.get() + 1);
            root.path().join(format!("a.{number}"))
        };
        for number in 1..=1_000 {
            fs::write(root.path().join(format!("a.{number}")), "").expect("a file");
        }
        assert_eq!(free_name(&name), root.path().join("a.1001"));
        assert!(looks.get() < 30, "{}", looks.get());
    }

    #[test]
    fn what_a_person_has_to_mend_is_told_from_what_passes() {
        let path = Path::new("/in/a.json");
        for (kind, wanted) in [
            (io::ErrorKind::PermissionDenied, "write in both folders"),
            (io::ErrorKind::CrossesDevices, "same file system"),
            (io::ErrorKind::InvalidFilename, "shorter suffix"),
        ] {
            let error = not_put_away("be renamed", path, path, &kind.into());
            assert!(matches!(&error, Error::Invalid(what) if what.contains(wanted)), "{error}");
        }
        let passes = not_put_away("be renamed", path, path, &io::ErrorKind::StorageFull.into());
        assert!(matches!(passes, Error::Unavailable { .. }));
    }
}
