//! Result files and files of changes that somebody reads: they stay on disk for as long, also when no checkpoint names them any
//! more.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::checksum::{known_sum, remove};

/// A result file or a file of changes, pinned for as long as somebody holds it. There is one for each path in a process, so that whoever replaces a
/// file knows of everyone who reads it; no path is ever used for two files.
#[derive(Debug)]
pub(crate) struct ResultFile {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// Its checksum, 0 where none is known.
    pub(crate) sum: u64,
    superseded: AtomicBool,
}

/// What is pinned, by path.
static PINNED: Mutex<BTreeMap<PathBuf, Weak<ResultFile>>> = Mutex::new(BTreeMap::new());

// Nothing that pins a file may be dropped under this lock: the drop takes it.
fn pinned() -> MutexGuard<'static, BTreeMap<PathBuf, Weak<ResultFile>>> {
    PINNED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ResultFile {
    /// A newer one took its place: delete it when nobody reads it any more.
    pub(crate) fn supersede(&self) {
        self.superseded.store(true, Ordering::Relaxed);
    }
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        let mut pinned = pinned();
        // Somebody may have pinned it anew since the last holder let go.
        if pinned.get(&self.path).is_none_or(|file| file.strong_count() == 0) {
            pinned.remove(&self.path);
            if self.superseded.load(Ordering::Relaxed) {
                // What cannot be deleted is left over and swept at the next opening.
                let _ = remove(&self.path);
            }
        }
    }
}

/// Pins a result file.
pub(crate) fn result_file(path: PathBuf, size: u64) -> Arc<ResultFile> {
    let sum = known_sum(&path);
    let mut pinned = pinned();
    if let Some(file) = pinned.get(&path).and_then(Weak::upgrade) {
        return file;
    }
    let file = Arc::new(ResultFile { path: path.clone(), size, sum, superseded: AtomicBool::new(false) });
    pinned.insert(path, Arc::downgrade(&file));
    file
}

/// Deletes a file that no checkpoint names any more: at once, or with its last reader. What cannot be deleted is left over and
/// swept at the next opening.
pub(crate) fn release(path: &Path) {
    match read_by_somebody(path) {
        Some(file) => file.supersede(),
        None => {
            let _ = remove(path);
        }
    }
}

/// The file at `path`, if somebody reads it.
pub(super) fn read_by_somebody(path: &Path) -> Option<Arc<ResultFile>> {
    pinned().get(path).and_then(Weak::upgrade)
}

/// Whether a file is a result file, which is superseded by what takes its place.
pub(crate) fn is_pinned(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "result" || ending == "part")
}
