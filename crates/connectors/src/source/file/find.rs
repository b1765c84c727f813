//! What paths stand for: the files that are read, in order, and what is left out.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

use lakehead_connector_api::Error;

use super::format::FileFormat;
use crate::{
    folder::{is_data_directory, is_in_data_directory},
    json_lines::{self, FileId},
};

/// The most files of one source. Each is some 200 bytes of memory and a look into it when the source opens.
const FILES_MAX: usize = 1_000_000;

/// Files and folders that are not read, whatever they are called; each answer is the reason.
pub trait Apart {
    /// Of a folder within a path.
    fn folder(&self, path: &Path, metadata: &Metadata) -> Option<&'static str>;
    /// Of a file.
    fn file(&self, path: &Path) -> Option<&'static str>;
}

/// Data directories of Lakehead, known by the file that marks them.
pub(super) struct DataDirectories;

impl Apart for DataDirectories {
    fn folder(&self, path: &Path, _: &Metadata) -> Option<&'static str> {
        is_data_directory(path).then_some("it is a data directory of Lakehead")
    }

    fn file(&self, path: &Path) -> Option<&'static str> {
        is_in_data_directory(path).then_some("it belongs to a data directory of Lakehead")
    }
}

/// What paths stand for.
#[derive(Debug, Default)]
pub struct Found {
    /// The files, sorted by path, each once.
    pub files: Vec<FileId>,
    /// What was found and is not read, each with the reason.
    pub left_out: Vec<(PathBuf, &'static str)>,
}

impl Found {
    /// Looks at `paths`: files are taken as they are, and of folders what ends as JSON lines do.
    ///
    /// # Errors
    /// `Invalid` where one cannot be read, or there are too many.
    pub fn at(paths: &[PathBuf], apart: &dyn Apart) -> Result<Self, Error> {
        Self::of(FileFormat::Json, paths, apart)
    }

    /// As [`at`](Self::at), of folders what ends as files of `format` do.
    ///
    /// # Errors
    /// `Invalid` where one cannot be read, or there are too many.
    pub fn of(format: FileFormat, paths: &[PathBuf], apart: &dyn Apart) -> Result<Self, Error> {
        let mut found = Self::default();
        for path in paths {
            found.look(format, path, apart)?;
        }
        found.files.sort_by(|a, b| a.path.cmp(&b.path));
        // By links a file may be found under several names; its own is what counts.
        found.files.dedup_by(|a, b| a.path == b.path);
        Ok(found)
    }

    fn look(&mut self, format: FileFormat, path: &Path, apart: &dyn Apart) -> Result<(), Error> {
        let is_apart = |path: &Path, metadata: &Metadata| apart.folder(path, metadata).is_some();
        let (taken, left_out) = json_lines::files(path, format.endings(), &is_apart)
            .map_err(|error| unreadable("looking for files in", path, &error))?;
        for path in left_out {
            let why = match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    apart.folder(&path, &metadata).unwrap_or("it is a link to a folder")
                }
                _ => format.other_name(),
            };
            self.left_out.push((path, why));
        }
        for path in taken {
            if let Some(why) = apart.file(&path) {
                self.left_out.push((path, why));
                continue;
            }
            if self.files.len() == FILES_MAX {
                return Err(Error::Invalid(format!(
                    "paths: they stand for more than {FILES_MAX} files; join some, or read a part by its own path"
                )));
            }
            self.files.push(FileId::of(&path).map_err(|error| unreadable("reading", &path, &error))?);
        }
        Ok(())
    }
}

/// The paths that `patterns` stand for: one that is there, whatever its characters, is itself.
///
/// # Errors
/// `Invalid` where a folder cannot be listed.
pub(super) fn expanded(patterns: &[String]) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for pattern in patterns {
        let literal = PathBuf::from(pattern);
        let is_pattern = pattern.contains(['*', '?', '[']);
        if !is_pattern || literal.exists() {
            paths.push(literal);
            continue;
        }
        let matches = glob::glob(pattern).map_err(|error| Error::Invalid(format!("paths: {pattern:?}: {error}")))?;
        for path in matches {
            let path = path.map_err(|error| unreadable("looking into", error.path(), error.error()))?;
            if paths.len() == FILES_MAX {
                return Err(Error::Invalid(format!("paths: {pattern:?} stands for more than {FILES_MAX} files")));
            }
            // What a pattern meets beside files is no file that was asked for; a folder is named without a pattern.
            if path.is_file() {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

fn unreadable(doing: &str, path: &Path, error: &io::Error) -> Error {
    Error::Invalid(format!("{doing} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path, found: &Found) -> Vec<String> {
        let folder = fs::canonicalize(folder).expect("a folder");
        let name = |file: &FileId| file.path.strip_prefix(&folder).expect("below it").display().to_string();
        found.files.iter().map(name).collect()
    }

    #[test]
    fn files_folders_and_patterns_stand_for_files_and_each_is_read_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir_all(folder.path().join("b/deeper")).expect("a folder");
        for name in ["b/1.jsonl", "b/2.log", "b/deeper/3.json", "a1.log", "a2.log", "c.txt", "[x].txt"] {
            fs::write(folder.path().join(name), "1\n").expect("a file");
        }
        for (patterns, expected) in [
            (vec![at("b")], vec!["b/1.jsonl", "b/deeper/3.json"]),
            (vec![at("a*.log"), at("a1.log"), at("c.txt")], vec!["a1.log", "a2.log", "c.txt"]),
            (vec![at("*")], vec!["[x].txt", "a1.log", "a2.log", "c.txt"]),
            (vec![at("**/*.json*")], vec!["b/1.jsonl", "b/deeper/3.json"]),
            (vec![at("[x].txt")], vec!["[x].txt"]),
            (vec![at("none*")], vec![]),
        ] {
            let paths = expanded(&patterns).expect("listed");
            let found = Found::at(&paths, &DataDirectories).expect("read");
            assert_eq!(names(folder.path(), &found), expected, "{patterns:?}");
        }
        let missing = Found::at(&[folder.path().join("none")], &DataDirectories).expect_err("it is not there");
        assert!(missing.to_string().contains("none: No such file"), "{missing}");
    }

    #[test]
    fn a_data_directory_is_not_read_by_folder_nor_by_file() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("data/streams")).expect("a folder");
        for name in ["data/lakehead.json", "data/streams/1.jsonl", "a.jsonl"] {
            fs::write(folder.path().join(name), "1\n").expect("a file");
        }
        let found = Found::at(&[folder.path().to_owned()], &DataDirectories).expect("read");
        assert_eq!(names(folder.path(), &found), ["a.jsonl"]);
        assert_eq!(found.left_out, [(folder.path().join("data"), "it is a data directory of Lakehead")]);
        let own = folder.path().join("data/streams/1.jsonl");
        let found = Found::at(std::slice::from_ref(&own), &DataDirectories).expect("read");
        assert!(found.files.is_empty(), "{found:?}");
        assert_eq!(found.left_out, [(own, "it belongs to a data directory of Lakehead")]);
    }
}
