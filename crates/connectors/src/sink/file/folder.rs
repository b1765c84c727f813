//! The folder that a sink writes into: its lock, and the folders below it by time.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use lakehead_connector_api::Error;
use lakehead_model::Timestamp;

use super::config::Folders;
use crate::folder::{failed, sync};

/// Where rows without an event time go.
const NO_TIME: &str = "no_time";

/// How deep folders by time are: year, month, day, hour.
const DEPTH: usize = 4;

/// A folder, for as long as a sink has it to itself.
pub(super) struct Folder {
    root: PathBuf,
    /// The stream or view whose rows come here: names of files begin with it.
    from: String,
    folders: Folders,
    /// The folder below that was made or found last.
    last: Option<PathBuf>,
    /// Locked until it is closed.
    _lock: File,
}

impl Folder {
    /// Makes it if it is not there, and locks it for rows of `from`.
    ///
    /// # Errors
    /// `Unavailable` while another sink has it, or the disk says no.
    pub(super) fn open(root: &Path, from: &str, folders: Folders) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(|error| failed("be made", root, &error))?;
        let path = root.join(lock_name(from));
        let lock = File::create(&path).map_err(|error| failed("be made", &path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::unavailable(format!(
                    "{} is held by another sink that writes rows of {from} there: give each sink a path of its own, and leave \
                     `lanes` at 1",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed("be locked", &path, &error)),
        }
        Ok(Self { root: root.to_owned(), from: from.to_owned(), folders, last: None, _lock: lock })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn from(&self) -> &str {
        &self.from
    }

    /// The folder of what happened at this time; made if it is not there.
    pub(super) fn of(&mut self, event_time: Option<Timestamp>) -> Result<PathBuf, Error> {
        let below = match (self.folders, event_time) {
            (Folders::None, _) => return Ok(self.root.clone()),
            (_, None) => NO_TIME.to_owned(),
            (Folders::Day, Some(time)) => time.hour_folder()[..10].to_owned(),
            (Folders::Hour, Some(time)) => time.hour_folder(),
        };
        let path = self.root.join(below);
        if self.last.as_ref() != Some(&path) {
            if !path.is_dir() {
                fs::create_dir_all(&path).map_err(|error| failed("be made", &path, &error))?;
                for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root)) {
                    sync(folder)?;
                }
            }
            self.last = Some(path.clone());
        }
        Ok(path)
    }

    /// The files in it and in its folders by time, each with its folder and its name. Other folders are not looked into.
    pub(super) fn files(&self) -> Result<Vec<(PathBuf, String)>, Error> {
        let (mut files, mut folders) = (Vec::new(), vec![(self.root.clone(), 0)]);
        while let Some((folder, depth)) = folders.pop() {
            let list = || -> io::Result<Vec<_>> {
                let entry = |entry: fs::DirEntry| Ok((entry.file_name(), entry.file_type()?.is_dir()));
                fs::read_dir(&folder)?.map(|found| found.and_then(entry)).collect()
            };
            for (name, is_folder) in list().map_err(|error| failed("be listed", &folder, &error))? {
                // A name that is no text is none of ours.
                let Some(name) = name.to_str() else { continue };
                if !is_folder {
                    files.push((folder.clone(), name.to_owned()));
                } else if depth < DEPTH && (name == NO_TIME || name.bytes().all(|b| b.is_ascii_digit())) {
                    folders.push((folder.join(name), depth + 1));
                }
            }
        }
        Ok(files)
    }
}

/// The name of the file that is locked by a sink that writes rows of `from`.
pub(super) fn lock_name(from: &str) -> String {
    format!(".{from}.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_sinks_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let held = Folder::open(root.path(), "s", Folders::None).expect("it opens");
        let Err(error) = Folder::open(root.path(), "s", Folders::None) else { panic!("two have it") };
        assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains("another sink")), "{error}");
        Folder::open(root.path(), "t", Folders::None).expect("rows of something else have other names");
        drop(held);
        Folder::open(root.path(), "s", Folders::None).expect("it is free again");
    }

    #[test]
    fn rows_go_into_the_folder_of_their_time_and_are_found_there() {
        let root = tempfile::tempdir().expect("a folder");
        let mut folder = Folder::open(root.path(), "s", Folders::Hour).expect("it opens");
        let time = "2026-11-30T06:59:59Z".parse().expect("a time");
        assert_eq!(folder.of(Some(time)).expect("made"), root.path().join("2026/11/30/06"));
        fs::write(folder.of(Some(time)).expect("made").join("a"), "").expect("a file");
        fs::write(folder.of(None).expect("made").join("b"), "").expect("a file");
        fs::create_dir(root.path().join("theirs")).expect("a folder");
        fs::write(root.path().join("theirs/c"), "").expect("a file");
        let mut names: Vec<_> = folder.files().expect("listed").into_iter().map(|(_, name)| name).collect();
        names.sort();
        assert_eq!(names, [".s.lock", "a", "b"]);
        folder.folders = Folders::Day;
        assert_eq!(folder.of(Some(time)).expect("made"), root.path().join("2026/11/30"));
    }

    #[test]
    fn a_path_that_is_no_folder_is_a_setting_to_mend() {
        let root = tempfile::tempdir().expect("a folder");
        fs::write(root.path().join("file"), "").expect("a file");
        let Err(error) = Folder::open(&root.path().join("file"), "s", Folders::None) else { panic!("it is no folder") };
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}
