//! Whether a folder could be written into, found out without writing: by its rights, and by the lock that a sink there holds.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

use lakehead_connector_api::{Error, Probed};
use rustix::fs::{Access, access};

use super::folder::lock_name;
use crate::folder::failed;

/// Looks at the folder `root`, for rows of `from`. Reads what is there and leaves it as it is.
///
/// # Errors
/// What opening the sink would fail with.
pub(super) fn probe(root: &Path, from: &str) -> Result<Probed, Error> {
    let shown = root.display();
    if let Some(lock) = held(&root.join(lock_name(from)))? {
        return Ok(writable(root, format!("{shown} can be written"))?
            .but(format!("{lock} is held: a sink that runs writes there now")));
    }
    if root.is_dir() {
        return writable(root, format!("{shown} can be written"));
    }
    if root.symlink_metadata().is_ok() {
        return Err(failed("be made", root, &io::ErrorKind::NotADirectory.into()));
    }
    // It would be made below the first folder that is there.
    let above = root.ancestors().skip(1).map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    match above.into_iter().find(|above| above.symlink_metadata().is_ok()) {
        Some(above) if above.is_dir() => writable(above, format!("{shown} is not there, and can be made")),
        _ => Err(failed("be made", root, &io::ErrorKind::NotADirectory.into())),
    }
}

fn writable(folder: &Path, found: String) -> Result<Probed, Error> {
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(Probed::found(found)),
        Err(error) => Err(failed("be written", folder, &error.into())),
    }
}

/// The lock file's name, if somebody holds it.
fn held(path: &Path) -> Result<Option<String>, Error> {
    let lock = match File::open(path) {
        Ok(lock) => lock,
        // Opening the sink says what is wrong with it, if it is.
        Err(_) => return Ok(None),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(failed("be locked", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::{config::Folders, folder::Folder},
        *,
    };

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_looked_at_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("a/out");
        let probed = probe(&out, "s").expect("it can be made");
        assert!(probed.found[0].ends_with("is not there, and can be made"), "{probed:?}");
        assert_eq!(names(folder.path()), Vec::<String>::new(), "nothing was made");

        let held = Folder::open(&out, "s", Folders::None).expect("it opens");
        let probed = probe(&out, "s").expect("it can be written");
        assert!(probed.unknown[0].contains(".s.lock is held"), "{probed:?}");
        drop(held);
        assert_eq!(probe(&out, "s").expect("written").unknown, Vec::<String>::new());
        assert_eq!(names(&out), [".s.lock"]);
        Folder::open(&out, "s", Folders::None).expect("nobody holds it after a look");
    }

    #[test]
    fn what_would_fail_is_said_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("a file");
        for path in [file.clone(), file.join("out"), file.join("a/b")] {
            let error = probe(&path, "s").expect_err("no folder");
            assert!(matches!(&error, Error::Invalid(what) if what.contains("set path to a folder")), "{error}");
        }
        std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).expect("a link");
        probe(&folder.path().join("dangling"), "s").expect_err("a link to nowhere");
        let error = probe(Path::new("/proc/lakehead"), "s");
        // Nobody may make anything there; root is told otherwise, and finds out when it tries.
        assert!(error.is_err() || rustix::process::getuid().is_root(), "{error:?}");
    }
}
