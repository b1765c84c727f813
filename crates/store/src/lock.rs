//! The lock of a data directory: one process writes, and says where it can be asked.
//!
//! An advisory lock (`flock`) on `<data>/lock`, which the system gives back when the process ends, however it ends. The
//! file's text names the holder for people and for `lakehead query`; it is only believed while the lock is held.

use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{error::Error, record};

/// Tries to get the lock before it counts as held: someone may just be asking who holds it.
const TRIES: u32 = 20;
/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// The process that writes a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its number; 0 when it has only just begun and not said so yet.
    pub pid: u32,
    /// Where it can be asked, if it listens.
    pub address: Option<String>,
}

/// The lock, held until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: fs::File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of `dir`.
    ///
    /// # Errors
    /// `Invalid` when another process holds it (it is named), or the file cannot be written.
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("lock");
        let file = fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let mut tries = 1;
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(Error::io("lock", &path)(error.into()));
            }
            if tries == TRIES {
                let Holder { pid, address } = read(&file);
                return Err(Error::Held { dir: dir.to_owned(), pid, address });
            }
            tries += 1;
            thread::sleep(TRY_AGAIN);
        }
        let lock = Self { file, path };
        lock.say(None)?;
        Ok(lock)
    }

    /// Writes who holds the lock and where it can be asked.
    pub(crate) fn say(&self, address: Option<&str>) -> Result<(), Error> {
        let holder = Holder { pid: std::process::id(), address: address.map(str::to_owned) };
        let json = serde_json::to_string(&holder).map_err(|e| Error::Internal(format!("a holder is JSON: {e}")))?;
        let mut text = record::seal(&json).into_bytes();
        // Spaces after it hide what was longer before, so that a reader never finds half a text.
        let len = self.file.metadata().map_or(0, |m| usize::try_from(m.len()).unwrap_or(0));
        text.resize(text.len().max(len), b' ');
        self.file.write_all_at(&text, 0).map_err(Error::io("write", &self.path))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody holds it from here on, so there is nobody to name. If this fails, the text is not believed anyway.
        let _ = self.file.set_len(0);
    }
}

fn read(file: &fs::File) -> Holder {
    let mut text = [0; 1024];
    let len = file.read_at(&mut text, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(text.get(..len).unwrap_or(&[]));
    // What is not as it was written names nobody; one who is just writing it is not there yet.
    let holder = record::open(&text).ok().and_then(|text| serde_json::from_str(text).ok());
    holder.unwrap_or(Holder { pid: 0, address: None })
}

/// Who writes the data directory now; `None` when nobody does.
///
/// # Errors
/// When the lock file is there and cannot be read.
pub fn holder(dir: &Path) -> Result<Option<Holder>, Error> {
    let path = dir.join("lock");
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => return Ok(None),
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(Some(read(&file))),
        Err(error) => Err(Error::io("ask for the lock of", &path)(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_and_told_who_is_first() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(holder(dir.path()).expect("readable"), None);
        let lock = Lock::take(dir.path()).expect("free");
        lock.say(Some("127.0.0.1:8080")).expect("writes");
        let pid = std::process::id();
        let expected = Holder { pid, address: Some("127.0.0.1:8080".to_owned()) };
        assert_eq!(holder(dir.path()).expect("readable"), Some(expected));
        let error = Lock::take(dir.path()).expect_err("held");
        assert!(error.to_string().contains(&format!("in use by process {pid} at 127.0.0.1:8080")), "{error}");
        drop(lock);
        assert_eq!(holder(dir.path()).expect("readable"), None);
        assert!(Lock::take(dir.path()).is_ok());
    }

    #[test]
    fn a_shorter_text_hides_a_longer_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let lock = Lock::take(dir.path()).expect("free");
        lock.say(Some("a.very.long.host.name.example.org:65535")).expect("writes");
        lock.say(None).expect("writes");
        let found = holder(dir.path()).expect("readable").expect("held");
        assert_eq!(found, Holder { pid: std::process::id(), address: None });
    }
}
