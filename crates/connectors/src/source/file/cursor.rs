//! Where a source of files stands: how much of which files was read, as the stream keeps it beside the lines.

use std::sync::Arc;

use lakehead_connector_api::Error;
use serde::{Deserialize, Serialize};

use crate::json_lines::{FileId, LinePosition};

/// How many files a message names.
const NAMED_MAX: usize = 3;

/// Where a source of files stands. Short, and ASCII, since it is repeated in every footer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCursor {
    /// How many files were read wholly, in the order of their paths.
    pub files: u64,
    /// What they were: each one's path, size and head, chained.
    pub chain: u64,
    /// The file being read, as the chain of it alone; 0 between files and for standard input.
    pub file: u64,
    /// How far.
    pub at: LinePosition,
    /// Whether all is read.
    pub done: bool,
    /// The size and the checksum of the file that was read last, where it was read wholly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<(u64, u64)>,
    /// When the files that were read wholly were changed last: the latest of them. A file that has changed since then is named by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_ns: Option<i64>,
}

impl FileCursor {
    /// Reads what [`text`](Self::text) wrote, in this version or an older one.
    ///
    /// # Errors
    /// `Corrupt` where it is something else.
    pub fn read(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text)
            .map_err(|error| Error::Corrupt(format!("the cursor is none of a source of files: {error}")))
    }

    /// As the stream keeps it.
    #[must_use]
    pub fn text(&self) -> Arc<str> {
        serde_json::to_string(self).expect("numbers are always JSON").into()
    }

    /// Behind `file`, of which all is read, the checksum of its content being `content`.
    #[must_use]
    pub(super) fn behind(&self, file: &FileId, content: u64, done: bool) -> Self {
        Self {
            files: self.files + 1,
            chain: file.chained(self.chain),
            file: 0,
            at: LinePosition::default(),
            done,
            content: Some((file.size, content)),
            changed_ns: self.changed_ns.max(Some(file.changed_ns)),
        }
    }

    /// Compares where the source stands with the files that are there, and tells how many are still to be read.
    ///
    /// # Errors
    /// Where what was read is not there as it was: what is wrong, with the names of the files where they can be told. What to
    /// do about it the caller adds.
    pub fn left(&self, files: &[FileId]) -> Result<usize, String> {
        let done = usize::try_from(self.files).unwrap_or(usize::MAX);
        let same =
            files.get(..done).is_some_and(|read| read.iter().fold(0, |chain, file| file.chained(chain)) == self.chain);
        if !same {
            return Err(self.other(&files[..done.min(files.len())]));
        }
        match files.get(done) {
            Some(file) if !self.goes_on_in(file) => {
                Err(format!("{} is not the file that was being read: it has changed since", file.path.display()))
            }
            _ => Ok(files.len() - done),
        }
    }

    /// Whether `file` may be read on from here: another one was not begun.
    pub(super) fn goes_on_in(&self, file: &FileId) -> bool {
        self.file == 0 || file.chained(0) == self.file
    }

    /// Says that the files `there`, which stand where those were that were read, are others.
    fn other(&self, there: &[FileId]) -> String {
        let since = |file: &&FileId| self.changed_ns.is_some_and(|read| file.changed_ns > read);
        let mut names: Vec<String> =
            there.iter().filter(since).take(NAMED_MAX + 1).map(|file| file.path.display().to_string()).collect();
        if names.len() > NAMED_MAX {
            names[NAMED_MAX] = "and more".to_owned();
        }
        let (count, noun) = (self.files, if self.files == 1 { "file" } else { "files" });
        let why = match names.as_slice() {
            [] => "a file was added before its last one, removed or changed".to_owned(),
            names => format!("changed or added since: {}", names.join(", ")),
        };
        format!("what was read already, {count} {noun}, is not what comes first by path any more: {why}")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(name: &str) -> FileId {
        FileId { path: Path::new("/d").join(name), size: 7, head: 9, changed_ns: 100 }
    }

    fn behind_two() -> FileCursor {
        FileCursor::default().behind(&file("a"), 1, false).behind(&file("b"), 2, false)
    }

    #[test]
    fn reading_goes_on_only_over_the_files_that_it_began_with() {
        let files = [file("a"), file("b"), file("c")];
        let cursor = FileCursor { file: files[2].chained(0), ..behind_two() };
        assert_eq!(cursor.left(&files).expect("the same"), 1);
        assert_eq!(FileCursor { file: 0, ..cursor }.left(&files[..2]).expect("the same"), 0);
        let changed = FileId { size: 8, ..file("c") };
        let refused = cursor.left(&[file("a"), file("b"), changed]).expect_err("another");
        assert!(refused.starts_with("/d/c is not the file"), "{refused}");
        assert!(cursor.left(&[file("a"), file("aa"), file("b"), file("c")]).is_err());
        assert!(cursor.left(&files[..1]).is_err());
    }

    #[test]
    fn a_file_that_changed_after_it_was_read_is_named() {
        let changed = FileId { size: 8, changed_ns: 101, ..file("a") };
        let refused = behind_two().left(&[changed, file("b")]).expect_err("another");
        assert!(refused.contains("2 files") && refused.contains("changed or added since: /d/a"), "{refused}");
        let new = ["a1", "a2", "a3", "a4"].map(|name| FileId { changed_ns: 500, ..file(name) });
        let there: Vec<FileId> = [vec![file("a")], new.to_vec()].concat();
        let refused = FileCursor { files: 5, ..behind_two() }.left(&there).expect_err("another");
        assert!(refused.contains("since: /d/a1, /d/a2, /d/a3, and more"), "{refused}");
        let removed = behind_two().left(&[file("a"), file("c")]).expect_err("another");
        assert!(removed.contains("removed or changed"), "{removed}");
    }

    #[test]
    fn cursors_of_older_imports_are_read_and_say_the_same() {
        let old = r#"{"files":2,"chain":7,"file":0,"at":{"bytes":1,"lines":2,"last":3},"done":true,"content":[4,5]}"#;
        let cursor = FileCursor::read(old).expect("as it was written");
        assert_eq!((cursor.files, cursor.content, cursor.changed_ns), (2, Some((4, 5)), None));
        assert_eq!(&*cursor.text(), old);
        assert!(FileCursor::read("{\"offset\":1}").is_err());
    }
}
