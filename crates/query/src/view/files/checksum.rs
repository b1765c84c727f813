//! The checksums of a view's files: computed while a file is written, named by the checkpoint, compared before it is read.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crc_fast::{CrcAlgorithm, Digest};

use crate::{error::Error, syncing::Syncing};

/// A file that is written, and the checksum of what was.
pub(super) struct Summing {
    file: File,
    digest: Digest,
}

impl Summing {
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::file(path))?;
        Ok(Self { file, digest: Digest::new(CrcAlgorithm::Crc64Nvme) })
    }

    /// Hands the file over to be synced and notes its checksum; answers its size.
    pub(super) fn finish(self, path: &Path, syncing: &mut Syncing) -> Result<u64, Error> {
        syncing.add(&self.file, path)?;
        let about = self.file.metadata().map_err(Error::file(path))?;
        let summed = Summed { sum: self.digest.finalize(), as_of: Some(AsOf::of(&about)) };
        sums().insert(path.to_owned(), summed);
        Ok(about.len())
    }
}

impl Write for Summing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What is known of a file's checksum.
#[derive(Clone, Copy, Debug)]
struct Summed {
    sum: u64,
    /// When it was last found to be that of the file: a file that has not changed since is not read again for it.
    as_of: Option<AsOf>,
}

/// How a file looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AsOf {
    inode: u64,
    bytes: u64,
    /// In seconds and nanoseconds.
    modified: (i64, i64),
}

impl AsOf {
    fn of(about: &fs::Metadata) -> Self {
        Self { inode: about.ino(), bytes: about.len(), modified: (about.mtime(), about.mtime_nsec()) }
    }
}

/// The checksums of all files of views that this process has written or that a checkpoint names. One entry a file, which goes
/// with it.
static SUMS: Mutex<BTreeMap<PathBuf, Summed>> = Mutex::new(BTreeMap::new());

fn sums() -> MutexGuard<'static, BTreeMap<PathBuf, Summed>> {
    SUMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The checksum of `bytes`.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// Says what a checkpoint says: that of these files, by name, the checksums are those. A file that has none there, since its
/// checkpoint is of a format without, is taken as it is found.
///
/// # Errors
/// [`Error::File`] when one is not there, [`Error::Damaged`] when one is not what it was.
pub(crate) fn expect<'a>(paths: impl Iterator<Item = &'a PathBuf>, named: &BTreeMap<String, u64>) -> Result<(), Error> {
    for path in paths {
        let sum = path.file_name().and_then(|name| named.get(&*name.to_string_lossy()));
        match sum {
            Some(sum) => {
                let mut sums = sums();
                if sums.get(path).is_none_or(|known| known.sum != *sum) {
                    sums.insert(path.clone(), Summed { sum: *sum, as_of: None });
                }
            }
            None => {
                let sum = sum_of(path)?;
                sums().insert(path.clone(), Summed { sum, as_of: None });
            }
        }
        check(path)?;
    }
    Ok(())
}

/// Compares a file with its checksum, unless it looks as it did when it last was what it should be.
///
/// # Errors
/// [`Error::File`] when it cannot be read, [`Error::Damaged`] when it is not what it was.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let Some(known) = sums().get(path).copied() else { return Ok(()) };
    let now = AsOf::of(&fs::metadata(path).map_err(Error::file(path))?);
    if known.as_of == Some(now) {
        return Ok(());
    }
    if sum_of(path)? != known.sum {
        return Err(Error::Damaged { path: path.to_owned() });
    }
    sums().entry(path.to_owned()).and_modify(|known| known.as_of = Some(now));
    Ok(())
}

/// Takes what another process says a file's checksum is, for the next [`check`]. What is known already stays: no path is ever
/// used for two files.
pub(crate) fn told(path: &Path, sum: u64) {
    sums().entry(path.to_owned()).or_insert(Summed { sum, as_of: None });
}

/// A file's name and checksum, if that is known.
pub(crate) fn sum(path: &Path) -> Option<(String, u64)> {
    let sum = sums().get(path)?.sum;
    Some((path.file_name()?.to_string_lossy().into_owned(), sum))
}

/// The checksum of the file at `path`, 0 where none is known.
pub(super) fn known_sum(path: &Path) -> u64 {
    sums().get(path).map_or(0, |known| known.sum)
}

/// Bytes of a file that are read at once for its checksum.
const READ_BYTES: usize = 256 << 10;

fn sum_of(path: &Path) -> Result<u64, Error> {
    let mut file = File::open(path).map_err(Error::file(path))?;
    let (mut digest, mut bytes) = (Digest::new(CrcAlgorithm::Crc64Nvme), vec![0; READ_BYTES]);
    loop {
        match file.read(&mut bytes).map_err(Error::file(path))? {
            0 => return Ok(digest.finalize()),
            count => digest.update(bytes.get(..count).unwrap_or_default()),
        }
    }
}

/// Deletes a file, and forgets its checksum.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    sums().remove(path);
    fs::remove_file(path)
}
