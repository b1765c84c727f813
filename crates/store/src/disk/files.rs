//! The seam between the store and a file system: just what a log needs, so that tests can bring one that fails.
//!
//! What the store relies on, and no more: bytes are there after a power cut once `sync` on their file has returned well
//! *and* `sync_folder` has for each folder that leads to it; a rename replaces in one step; after a failed `sync`
//! nothing is known about what was written since the last good one.

use std::{fmt, io, path::Path, sync::Arc};

use crate::error::Error;

/// A file system.
pub(crate) trait Files: Send + Sync + fmt::Debug {
    /// Makes a folder and those that lead to it; folders that exist are no error.
    fn create_folders(&self, path: &Path) -> io::Result<()>;
    /// Makes a file that did not exist, for reading and writing.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens a file that exists.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;
    /// Makes the folder's own entries durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Moves a file, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder; one that is not empty is an error and stays.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Bytes that may still be written on the disk that holds `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
    /// What is in a folder, in any order; nothing when there is no such folder.
    fn list(&self, path: &Path) -> io::Result<Vec<FolderEntry>>;
}

/// An open file. Positions are given with each call, so that many may use one at once.
pub(crate) trait File: Send + Sync + fmt::Debug {
    /// Fills `buffer` from byte `at`; fewer bytes are an error (`UnexpectedEof`).
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
    /// Writes all of `bytes` at byte `at`. After an error any part of them may be there.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Makes the bytes and the length durable.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether this is the file that `path` names now: not when somebody removed or moved it, or a folder that leads to it.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
}

/// Removes what may be left under a name that is needed.
///
/// # Errors
/// When something is there and cannot be removed.
pub(crate) fn clear_name(files: &dyn Files, path: &Path) -> Result<(), Error> {
    match files.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FolderEntry {
    /// The name; names that are not UTF-8 are not ours and are left out.
    pub(crate) name: String,
    /// Whether it is a folder.
    pub(crate) is_folder: bool,
    /// Bytes in the file; 0 for a folder.
    pub(crate) len: u64,
}
