//! Makes the files of one commit durable before the checkpoint that names them is written.
//!
//! A sync of one file costs a commit of the file system's journal and a flush of the disk. A usual commit has a handful
//! of files. Events an hour apart make thousands, and as many syncs take minutes. So what comes after the first
//! [`EACH_MAX`] files waits for one `syncfs` at the end, which writes out everything that the file system holds.
//!
//! ```text
//!   file 1 … 64     written and synced
//!   file 65         written; `syncfs` is tried, and where it cannot be relied on, each file is synced as before
//!   file 66 …       written
//!   finish          `syncfs`, a sync of the folder; then comes the checkpoint
//! ```
//!
//! After [`Syncing::finish`] every file and its name survive a power cut. What `syncfs` promises, and where, is
//! decision 0023.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use crate::error::Error;

/// Files of a commit that are synced one by one. A usual commit has fewer, and so does not wait for what other programs
/// have written to the same file system.
const EACH_MAX: usize = 64;

/// The files of one commit, on their way to the disk.
#[derive(Debug)]
pub(crate) struct Syncing {
    folder: PathBuf,
    /// How many files were added.
    files: usize,
    /// The file system that the rest of them wait for. It was opened before they were written, and tells of every write
    /// since then that has failed.
    whole: Option<File>,
}

impl Syncing {
    /// For files in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), files: 0, whole: None }
    }

    /// Takes a file that is written to its end. It is durable at the latest after [`finish`](Self::finish).
    pub(crate) fn add(&mut self, file: &File, path: &Path) -> Result<(), Error> {
        self.files += 1;
        if self.files == EACH_MAX + 1 {
            self.whole = whole(&self.folder);
        }
        match self.whole {
            Some(_) => Ok(()),
            None => file.sync_all().map_err(Error::file(path)),
        }
    }

    /// Makes all files and their names durable.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if let Some(whole) = &self.whole {
            sync_whole(whole).map_err(Error::file(&self.folder))?;
        }
        sync_folder(&self.folder)
    }
}

/// Syncs a folder, so that new names in it survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file(folder))
}

/// The file system of `folder`, if syncing it as a whole promises what syncing each file does. It is tried once, since a
/// sandbox may refuse the call.
#[cfg(target_os = "linux")]
fn whole(folder: &Path) -> Option<File> {
    /// `f_type` (statfs(2)) of ext2 to ext4, XFS, btrfs and F2FS, whose `syncfs` also flushes the disk.
    const RELIABLE: [u32; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010];
    let folder = File::open(folder).ok()?;
    let kind = rustix::fs::fstatfs(&folder).ok()?.f_type;
    let is_reliable = u32::try_from(kind).is_ok_and(|kind| RELIABLE.contains(&kind))
        && tells_errors(&rustix::system::uname().release().to_string_lossy());
    (is_reliable && sync_whole(&folder).is_ok()).then_some(folder)
}

#[cfg(target_os = "linux")]
fn sync_whole(folder: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
fn whole(_: &Path) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn sync_whole(folder: &File) -> io::Result<()> {
    folder.sync_all()
}

/// Whether `syncfs` of this release of Linux says what has failed: of writes since 5.8, of the journal since 5.17
/// (commits 735e4ae5ba28 and 5679897eb104 of Linux).
#[cfg(any(test, target_os = "linux"))]
fn tells_errors(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(5), Some(17))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    fn add(syncing: &mut Syncing, folder: &Path, n: usize) {
        let path = folder.join(n.to_string());
        let mut file = File::create(&path).expect("a file");
        file.write_all(b"rows").expect("written");
        syncing.add(&file, &path).expect("taken");
    }

    #[test]
    fn few_files_are_synced_one_by_one_and_of_many_the_rest_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let at_once = whole(dir.path()).is_some();
        let mut syncing = Syncing::new(dir.path());
        for n in 1..=EACH_MAX * 2 {
            add(&mut syncing, dir.path(), n);
            assert_eq!(syncing.whole.is_some(), at_once && n > EACH_MAX, "file {n}");
        }
        syncing.finish().expect("durable");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), EACH_MAX * 2);
    }

    #[test]
    fn a_file_system_that_may_promise_less_is_not_synced_as_a_whole() {
        assert!(whole(Path::new("/proc")).is_none());
        assert!(whole(Path::new("/no such folder")).is_none());
        let dir = tempfile::tempdir().expect("a folder");
        let mut syncing = Syncing { files: EACH_MAX + 1, ..Syncing::new(dir.path()) };
        add(&mut syncing, dir.path(), 1);
        assert!(syncing.whole.is_none(), "what could not be opened in its time stays closed");
        syncing.finish().expect("durable");
    }

    #[test]
    fn what_cannot_be_made_durable_is_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let gone = dir.path().join("gone");
        assert!(matches!(Syncing::new(&gone).finish(), Err(Error::File { path, .. }) if path == gone));
    }

    #[test]
    fn only_a_kernel_that_says_what_has_failed_is_relied_on() {
        for release in ["5.17.0", "5.19.17-generic", "6.1", "6.18.44-fc-v669", "10.0"] {
            assert!(tells_errors(release), "{release}");
        }
        for release in ["", "unknown", "5", "4.4.0", "4.19.0", "5.8.0", "5.15.0-91-generic"] {
            assert!(!tells_errors(release), "{release}");
        }
    }
}
