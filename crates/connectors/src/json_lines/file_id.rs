//! Which file it is: what tells a file from another, and from itself after it was changed.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    checksum::{checksum_of, running_checksum},
    text::READ_BYTES,
};

/// How much of a file's head tells it from another: enough to hold a few events.
const HEAD_BYTES: usize = 64 << 10;

/// A file as it was found: enough to tell whether it is the same one later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The checksum (CRC-64/NVME) of its first 64 KiB.
    pub head: u64,
    /// When anything about it was changed last, as the file system has it (`st_ctime`), in nanoseconds since 1970. It does not
    /// tell a file from another: it only says which one to name when one has changed.
    pub changed_ns: i64,
}

impl FileId {
    /// Looks at the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        let mut file = File::open(&path)?;
        let metadata = file.metadata()?;
        let changed_ns = metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
        Ok(Self { path, size: metadata.len(), head: head_checksum(&mut file)?, changed_ns })
    }

    /// The checksum (CRC-64/NVME) of all that is in the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self) -> io::Result<u64> {
        let mut checksum = running_checksum();
        let mut file = File::open(&self.path)?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(checksum.finalize()),
                read => checksum.update(&buffer[..read]),
            }
        }
    }

    /// The checksum of all of it, chained to that of the files `before`.
    #[must_use]
    pub fn chained(&self, before: u64) -> u64 {
        let text = format!("{before} {} {} {}", self.size, self.head, self.path.display());
        checksum_of(text.as_bytes())
    }
}

/// The checksum (CRC-64/NVME) of the first 64 KiB of `file`, which stands at its beginning.
///
/// # Errors
/// When it cannot be read.
pub fn head_checksum(file: &mut impl Read) -> io::Result<u64> {
    let mut head = Vec::new();
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(checksum_of(&head))
}
