//! What all connectors that work in a folder share: durable names, what a failed call means, and whose folder it is.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use lakehead_connector_api::Error;

/// The file that makes a folder a data directory of Lakehead.
const DATA_DIRECTORY_MARK: &str = "lakehead.json";

/// Makes the names in `folder` durable.
pub(crate) fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|error| failed("be synced", folder, &error))
}

/// What it means that something could not be done to `path`.
pub(crate) fn failed(done: &str, path: &Path, error: &io::Error) -> Error {
    let what = format!("{} cannot {done}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::Invalid(format!(
            "{what}; let the user that Lakehead runs as write there, or set path to another folder"
        )),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            Error::Invalid(format!("{what}; set path to a folder"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::unavailable(format!("{what}; it goes on by itself once there is room"))
        }
        _ => Error::unavailable(what),
    }
}

/// Whether `folder` is a data directory of Lakehead.
pub(crate) fn is_data_directory(folder: &Path) -> bool {
    folder.join(DATA_DIRECTORY_MARK).is_file()
}

/// Whether `path` lies within a data directory of Lakehead, or, where it is a folder, is one.
pub(crate) fn is_in_data_directory(path: &Path) -> bool {
    let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    whole.ancestors().any(is_data_directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_has_to_mend_is_told_from_what_passes() {
        let path = Path::new("/out");
        for (kind, wanted) in
            [(io::ErrorKind::PermissionDenied, "set path"), (io::ErrorKind::NotADirectory, "set path to a folder")]
        {
            let error = failed("be made", path, &kind.into());
            assert!(matches!(&error, Error::Invalid(what) if what.contains(wanted)), "{error}");
        }
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::NotFound, io::ErrorKind::ReadOnlyFilesystem] {
            let error = failed("be written", path, &kind.into());
            assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains("/out")), "{error}");
        }
    }

    #[test]
    fn a_data_directory_is_known_by_its_mark_and_from_within() {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(root.path().join("data/streams")).expect("folders");
        fs::write(root.path().join("data").join(DATA_DIRECTORY_MARK), "{}").expect("a file");
        for (path, is_in) in [("data", true), ("data/streams", true), ("data/lakehead.json", true), (".", false)] {
            assert_eq!(is_in_data_directory(&root.path().join(path)), is_in, "{path}");
        }
    }
}
