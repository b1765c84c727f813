//! Where an import stands: how much of which files was read, as the stream keeps it beside the lines.

use std::sync::Arc;

use anyhow::bail;
use lakehead_connectors::json_lines::{FileId, LinePosition};
use serde::{Deserialize, Serialize};

use crate::numbers::counted;

/// Where an import stands; what the stream keeps as its cursor. Short, and ASCII, since it is repeated in every footer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImportCursor {
    /// How many files were read wholly, in the order of their paths.
    pub(super) files: u64,
    /// What they were: each one's path, size and head, chained.
    pub(super) chain: u64,
    /// The file being read, as the chain of it alone; 0 between files and for standard input.
    pub(super) file: u64,
    /// How far.
    pub(super) at: LinePosition,
    /// Whether all is read.
    pub(super) done: bool,
    /// The size and the checksum of the file that was read last, where it was read wholly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<(u64, u64)>,
}

impl ImportCursor {
    /// As the stream keeps it.
    pub(super) fn text(&self) -> Arc<str> {
        serde_json::to_string(self).expect("numbers are always JSON").into()
    }

    /// Compares where an import stands with the files that are there, and tells how many are still to be read.
    pub(super) fn left(&self, files: &[FileId]) -> anyhow::Result<usize> {
        let done = usize::try_from(self.files).unwrap_or(usize::MAX);
        let same =
            files.get(..done).is_some_and(|read| read.iter().fold(0, |chain, file| file.chained(chain)) == self.chain);
        if !same {
            bail!(
                "what this import has read, {}, is not what comes first by path any more: a file was added before its last one, \
                 removed or changed; import what is new by its own path, or everything once more with --again",
                counted(self.files, "file")
            );
        }
        match files.get(done) {
            Some(file) if self.file != 0 && file.chained(0) != self.file => {
                bail!("{} is not the file that this import was reading: it has changed since", file.path.display())
            }
            _ => Ok(files.len() - done),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn file(name: &str) -> FileId {
        FileId { path: Path::new("/d").join(name), size: 7, head: 9 }
    }

    #[test]
    fn an_import_goes_on_only_over_the_files_that_it_began_with() {
        let files = [file("a"), file("b"), file("c")];
        let chain = files[1].chained(files[0].chained(0));
        let cursor = ImportCursor { files: 2, chain, file: files[2].chained(0), ..ImportCursor::default() };
        assert_eq!(cursor.left(&files).expect("the same"), 1);
        assert_eq!(ImportCursor { file: 0, ..cursor }.left(&files[..2]).expect("the same"), 0);
        let changed = FileId { size: 8, ..file("c") };
        assert!(cursor.left(&[file("a"), file("b"), changed]).is_err());
        assert!(cursor.left(&[file("a"), file("aa"), file("b"), file("c")]).is_err());
        assert!(cursor.left(&files[..1]).is_err());
    }
}
