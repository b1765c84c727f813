//! The format file, `lakehead.json`: says that a directory is a Lakehead data directory, and in which layout.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{error::Error, record};

/// The file's name in the data directory.
const NAME: &str = "lakehead.json";
/// The layout that this version writes, and the newest that it reads.
const LAYOUT: u64 = 1;
/// What may lie in a directory that is otherwise empty: our lock, and what file systems put into their root.
const HARMLESS: [&str; 3] = ["lock", "lost+found", "lakehead.json.new"];

#[derive(Serialize, Deserialize)]
struct FormatFile {
    /// For a person who looks into the file.
    what: String,
    layout: u64,
}

/// What a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directory {
    /// Ours.
    Ours,
    /// Empty, or not there.
    Empty,
}

/// Finds out whether `dir` is ours or may become ours; changes nothing.
///
/// # Errors
/// `Invalid` when it holds something else, or was written by a newer version.
pub(crate) fn inspect(dir: &Path) -> Result<Directory, Error> {
    let path = dir.join(NAME);
    match fs::read(&path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let text = record::open(&text).map_err(|what| Error::corrupt(&path, 0, what))?;
            let marker: FormatFile = serde_json::from_str(text).map_err(|error| {
                Error::corrupt(&path, 0, format!("it is not the marker of a data directory: {error}"))
            })?;
            if marker.layout > LAYOUT {
                return Err(Error::NewerLayout { path, found: marker.layout, known: LAYOUT });
            }
            Ok(Directory::Ours)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries {
                    let entry = entry.map_err(Error::io("list", dir))?;
                    if !HARMLESS.iter().any(|name| entry.file_name() == *name) {
                        return Err(Error::Foreign { path: dir.to_owned() });
                    }
                }
                Ok(Directory::Empty)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Directory::Empty),
            Err(error) => Err(Error::io("list", dir)(error)),
        },
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// Makes `dir` ours, durably.
pub(crate) fn write(dir: &Path) -> Result<(), Error> {
    let marker = FormatFile { what: "a Lakehead data directory".to_owned(), layout: LAYOUT };
    let path = dir.join(NAME);
    let json = serde_json::to_string(&marker).map_err(|error| Error::Internal(format!("a marker is JSON: {error}")))?;
    record::write(&path, &json).map_err(Error::io("write", &path))
}

/// Whether `dir` holds streams of ours and its format file is gone or not as it was written: what is wrong then.
///
/// # Errors
/// When it cannot be read, or belongs to a newer version.
pub fn damage(dir: &Path) -> Result<Option<Error>, Error> {
    let has_streams = || fs::read_dir(dir.join("streams")).is_ok_and(|mut entries| entries.next().is_some());
    match inspect(dir) {
        Err(error @ (Error::Corrupt { .. } | Error::Foreign { .. })) if has_streams() => Ok(Some(error)),
        inspected => inspected.map(|_| None),
    }
}

/// Writes the format file of `dir` again, for a repair.
///
/// # Errors
/// When it cannot be written.
pub fn renew(dir: &Path) -> Result<(), Error> {
    write(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_directory_becomes_ours_and_a_foreign_one_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(inspect(dir.path()).expect("empty"), Directory::Empty);
        write(dir.path()).expect("writes");
        assert_eq!(inspect(dir.path()).expect("ours"), Directory::Ours);

        let foreign = tempfile::tempdir().expect("a folder");
        fs::write(foreign.path().join("thesis.tex"), "x").expect("writes");
        let error = inspect(foreign.path()).expect_err("foreign");
        assert!(error.to_string().contains("not a Lakehead data directory"), "{error}");
    }

    #[test]
    fn a_newer_layout_is_refused_by_number() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join(NAME), r#"{"what":"","layout":7,"later":true}"#).expect("writes");
        let error = inspect(dir.path()).expect_err("newer");
        assert_eq!(error.kind(), lakehead_model::Kind::Invalid);
        assert!(error.to_string().contains("layout version 7, this Lakehead knows 1"), "{error}");
    }
}
