//! One look into the folder: the files that wait there, the first of them in order, and whether anything has changed since.
//!
//! What is kept is bounded, whatever the folder holds: the first so many names, found in one pass. Contents are not looked at.

use std::{
    collections::{BinaryHeap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
};

use lakehead_connector_api::Error;
use lakehead_model::Timestamp;

use super::{
    config::Order,
    cursor::FileState,
    names::{SpoolName, Wanted},
};
use crate::folder::{failed, is_data_directory};

/// Files of one look: of more the first are taken, and then the folder is looked at again. Some 2 MB of usual names.
pub(super) const LOOK_FILES_MAX: usize = 10_000;

/// The most folders below the watched one, which each are looked at.
const FOLDERS_MAX: usize = 10_000;

/// The longest path below the folder, as the cursor has it.
const PATH_BYTES_MAX: usize = 1_024;

/// The longest name: with a suffix of 32 bytes and a number of 20 digits it still has at most 255, which file systems take.
const NAME_BYTES_MAX: usize = 200;

/// How many of those that are left out a look names.
const LEFT_OUT_MAX: usize = 10;

/// How far the clock of a file system may be from ours. What was changed longer ago than this was changed before.
pub(super) const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(60);

/// The folder that is watched.
pub(super) struct SpoolFolder {
    pub(super) root: PathBuf,
    pub(super) wanted: Wanted,
    pub(super) order: Order,
    pub(super) subfolders: bool,
    /// Where files go that are done; not looked into.
    pub(super) done_folder: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Paths below the folder, in the order in which they are taken.
    pub(super) waiting: VecDeque<PathBuf>,
    /// Whether there are more.
    pub(super) is_cut: bool,
    /// Whose names are right and which are no files, some of them, each with the reason.
    pub(super) left_out: Vec<(PathBuf, &'static str)>,
    /// The folders, and when each was changed last, as it was before it was listed.
    folders: Vec<(PathBuf, i64)>,
}

/// The first so many of what is put in.
struct First {
    heap: BinaryHeap<(i64, PathBuf)>,
    count_max: usize,
    is_cut: bool,
}

impl First {
    fn put(&mut self, key: (i64, PathBuf)) {
        if self.heap.len() < self.count_max {
            self.heap.push(key);
            return;
        }
        self.is_cut = true;
        if self.heap.peek().is_some_and(|last| key < *last) {
            self.heap.pop();
            self.heap.push(key);
        }
    }
}

impl SpoolFolder {
    /// Lists it. Of more than `count_max` files the first are kept.
    ///
    /// # Errors
    /// `Unavailable` where it is not there, `Invalid` where it may not be listed.
    pub(super) fn look(&self, count_max: usize) -> Result<Look, Error> {
        let mut look = Look::default();
        let mut first = First { heap: BinaryHeap::new(), count_max, is_cut: false };
        let mut folders = vec![PathBuf::new()];
        while let Some(below) = folders.pop() {
            let path = self.root.join(&below);
            match self.list(&below, &mut look, &mut first, &mut folders) {
                // One below the folder may be taken away at any time.
                Err(error) if error.kind() == io::ErrorKind::NotFound && below != Path::new("") => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && below != Path::new("") => {
                    look.leave_out(below, "it is a folder that may not be listed");
                }
                outcome => outcome.map_err(|error| failed("be listed", &path, &error))?,
            }
            if look.folders.len() + folders.len() > FOLDERS_MAX {
                let what = format!(
                    "{} has more than {FOLDERS_MAX} folders below it: set path to one of them",
                    self.root.display()
                );
                return Err(Error::Invalid(what));
            }
        }
        look.is_cut = first.is_cut;
        look.waiting = first.heap.into_sorted_vec().into_iter().map(|(_, path)| path).collect();
        Ok(look)
    }

    fn list(&self, below: &Path, look: &mut Look, first: &mut First, folders: &mut Vec<PathBuf>) -> io::Result<()> {
        let folder = self.root.join(below);
        look.folders.push((folder.clone(), FileState::of(&fs::symlink_metadata(&folder)?).modified_ns));
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let path = below.join(&name);
            if kind.is_dir() {
                let is_watched = self.subfolders && !self.wanted.ignores(&name) && !self.is_apart(&entry.path());
                if is_watched && folders.len() <= FOLDERS_MAX {
                    folders.push(path);
                }
                continue;
            }
            if !self.wanted.takes(&name) {
                continue;
            }
            let why = match kind {
                kind if kind.is_symlink() => Some("it is a link"),
                kind if !kind.is_file() => Some("it is no file"),
                _ if name.len() > NAME_BYTES_MAX => Some("its name is longer than 200 bytes"),
                _ => (SpoolName::of(&path).len() > PATH_BYTES_MAX).then_some("its path is longer than 1,024 bytes"),
            };
            if let Some(why) = why {
                look.leave_out(path, why);
                continue;
            }
            let key = match self.order {
                Order::Name => 0,
                Order::Modified => match entry.metadata() {
                    Ok(metadata) => FileState::of(&metadata).modified_ns,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                },
            };
            first.put((key, path));
        }
        Ok(())
    }

    /// Whether a folder below is another's: where done files go, or a data directory of Lakehead.
    fn is_apart(&self, folder: &Path) -> bool {
        self.done_folder.as_deref() == Some(folder) || is_data_directory(folder)
    }
}

impl Look {
    fn leave_out(&mut self, path: PathBuf, why: &'static str) {
        if self.left_out.len() < LEFT_OUT_MAX {
            self.left_out.push((path, why));
        }
    }

    /// Whether the folders are as they were: no name has come or gone. Folders that were changed shortly before `now` are not
    /// trusted, since another change may have left them the same time.
    pub(super) fn is_up_to_date(&self, now: Timestamp) -> bool {
        let trusted = now.minus(CLOCK_SKEW).0.saturating_mul(1_000);
        !self.folders.is_empty()
            && self.folders.iter().all(|(folder, changed_ns)| {
                let there = fs::symlink_metadata(folder).map(|there| FileState::of(&there).modified_ns);
                *changed_ns < trusted && there.is_ok_and(|there| there == *changed_ns)
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folder(root: &Path, settings: serde_json::Value) -> SpoolFolder {
        let mut settings = settings;
        settings["path"] = json!(root);
        let config: super::super::config::Config = serde_json::from_value(settings).expect("settings");
        SpoolFolder {
            root: root.to_owned(),
            wanted: Wanted::new(&config),
            order: config.order,
            subfolders: config.subfolders,
            done_folder: Some(root.join("done")),
        }
    }

    fn names(look: &Look) -> Vec<String> {
        look.waiting.iter().map(|path| path.display().to_string()).collect()
    }

    fn file(path: &Path, modified: u64) {
        let file = fs::File::create(path).expect("a file");
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(modified)).expect("its time");
    }

    #[test]
    fn the_first_by_name_or_by_time_are_found_however_many_there_are() {
        let root = tempfile::tempdir().expect("a folder");
        for (name, modified) in [("b.json", 10), ("a.json", 30), ("c.json", 20), ("d.json", 10), ("e.txt", 1)] {
            file(&root.path().join(name), modified);
        }
        let by_name = folder(root.path(), json!({})).look(3).expect("listed");
        assert_eq!((names(&by_name), by_name.is_cut), (vec!["a.json".into(), "b.json".into(), "c.json".into()], true));
        let by_time = folder(root.path(), json!({ "order": "modified" })).look(4).expect("listed");
        let expected: Vec<String> = ["b.json", "d.json", "c.json", "a.json"].map(str::to_owned).to_vec();
        assert_eq!((names(&by_time), by_time.is_cut), (expected, false));
    }

    #[test]
    fn folders_below_are_watched_where_the_setting_says_so_and_none_that_are_anothers() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["sub/deep", "done", ".hidden", "x.tmp", "data", "folder.json"] {
            fs::create_dir_all(root.path().join(name)).expect("a folder");
            file(&root.path().join(name).join("a.json"), 1);
        }
        file(&root.path().join("data/lakehead.json"), 1);
        std::os::unix::fs::symlink(root.path().join("sub"), root.path().join("link")).expect("a link");
        std::os::unix::fs::symlink(root.path().join("sub/deep/a.json"), root.path().join("link.json")).expect("a link");
        let flat = folder(root.path(), json!({})).look(10).expect("listed");
        assert!(names(&flat).is_empty(), "{flat:?}");
        let link = (PathBuf::from("link.json"), "it is a link");
        assert_eq!(flat.left_out, std::slice::from_ref(&link), "and a folder that is called so is no file");
        let deep = folder(root.path(), json!({ "subfolders": true })).look(10).expect("listed");
        assert_eq!(
            (names(&deep), deep.left_out),
            (vec!["folder.json/a.json".into(), "sub/deep/a.json".into()], vec![link])
        );
    }

    #[test]
    fn a_look_is_up_to_date_until_a_name_comes_or_goes() {
        let root = tempfile::tempdir().expect("a folder");
        let watched = folder(root.path(), json!({}));
        let look = watched.look(10).expect("listed");
        let now = Timestamp(look.folders[0].1 / 1_000);
        assert!(!look.is_up_to_date(now.plus(CLOCK_SKEW / 2)), "changed too shortly before");
        let later = now.plus(CLOCK_SKEW * 2);
        assert!(look.is_up_to_date(later));
        file(&root.path().join("a.json"), 1);
        assert!(!look.is_up_to_date(later));
        assert!(!Look::default().is_up_to_date(later), "nobody has looked yet");
        drop(root);
        let gone = watched.look(10).expect_err("it is gone");
        assert!(matches!(gone, Error::Unavailable { .. }), "{gone:?}");
    }
}
