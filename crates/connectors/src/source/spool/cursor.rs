//! Where a spool stands: the file being read, and those that were taken and are not known to be out of the way yet.
//!
//! Of files that are done and out of the way it knows nothing: that their names are gone from the folder says it. So it stays
//! small however many files were taken.

use std::{fs::Metadata, os::unix::fs::MetadataExt, sync::Arc};

use lakehead_connector_api::Error;
use serde::{Deserialize, Serialize};

use super::names::SpoolName;
use crate::json_lines::LinePosition;

/// Where a spool stands. ASCII, since it is repeated in every footer; bounded by what the ledger has room for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpoolCursor {
    /// The file of which a part was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reading: Option<HalfRead>,
    /// Files that are to be put out of the way once this cursor is on disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) taken: Vec<TakenFile>,
}

/// A file of which a part was handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HalfRead {
    pub(super) name: SpoolName,
    #[serde(flatten)]
    pub(super) state: FileState,
    /// The checksum of its head.
    pub(super) head: u64,
    /// How far.
    pub(super) at: LinePosition,
    /// Whether its lines are the elements of an array.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_array: bool,
    /// Whether something in it was refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_refusals: bool,
}

/// A file that was taken. In a cursor it is a row of five, without their names: there may be many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TakenRow", into = "TakenRow")]
pub(super) struct TakenFile {
    pub(super) name: SpoolName,
    pub(super) state: FileState,
    /// Whether it is set aside as refused.
    pub(super) is_refused: bool,
}

type TakenRow = (SpoolName, u64, i64, u64, u8);

impl From<TakenRow> for TakenFile {
    fn from((name, size, modified_ns, inode, is_refused): TakenRow) -> Self {
        Self { name, state: FileState { size, modified_ns, inode }, is_refused: is_refused != 0 }
    }
}

impl From<TakenFile> for TakenRow {
    fn from(file: TakenFile) -> Self {
        (file.name, file.state.size, file.state.modified_ns, file.state.inode, u8::from(file.is_refused))
    }
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileState {
    /// Bytes.
    pub(super) size: u64,
    /// When its content was changed last, in nanoseconds since 1970.
    pub(super) modified_ns: i64,
    /// Its number in the file system: which file it is, as long as it is there.
    pub(super) inode: u64,
}

impl FileState {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let modified_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Self { size: metadata.len(), modified_ns, inode: metadata.ino() }
    }

    /// Whether nothing has changed. The inode does not count, so that a folder may be copied with its times.
    pub(super) fn is_unchanged(&self, now: &Self) -> bool {
        (self.size, self.modified_ns) == (now.size, now.modified_ns)
    }
}

impl SpoolCursor {
    /// Reads what [`text`](Self::text) wrote.
    ///
    /// # Errors
    /// `Corrupt` where it is something else.
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Corrupt(format!("the cursor is none of a spool: {what}"));
        let cursor: Self = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
        let mut names = cursor.taken.iter().map(|file| &file.name).chain(cursor.reading.iter().map(|file| &file.name));
        match names.find(|name| name.path().is_none()) {
            Some(name) => Err(wrong(&format!("{name:?} is no file below the folder"))),
            None => Ok(cursor),
        }
    }

    /// As the stream keeps it.
    pub(super) fn text(&self) -> Arc<str> {
        serde_json::to_string(self).expect("numbers and texts are always JSON").into()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn cursors_read_back_as_written_and_nothing_else_is_one() {
        let state = FileState { size: 7, modified_ns: -1, inode: 3 };
        let name = SpoolName::of(Path::new("sub/a.json"));
        let at = LinePosition { bytes: 9, lines: 2, last: u64::MAX };
        let reading = HalfRead { name: name.clone(), state, head: 5, at, is_array: true, has_refusals: false };
        let taken = TakenFile { name, state, is_refused: true };
        let cursor = SpoolCursor { reading: Some(reading), taken: vec![taken] };
        let text = cursor.text();
        assert_eq!(
            &*text,
            r#"{"reading":{"name":"sub/a.json","size":7,"modified_ns":-1,"inode":3,"head":5,"at":{"bytes":9,"lines":2,"last":18446744073709551615},"is_array":true},"taken":[["sub/a.json",7,-1,3,1]]}"#
        );
        assert_eq!(SpoolCursor::read(&text).expect("as written"), cursor);
        assert_eq!(&*SpoolCursor::default().text(), "{}");
        for wrong in
            ["", "17", "{\"files\":3}", "{\"taken\":[{}]}", &text.replace("sub/", "../"), &text.replace("sub/", "/")]
        {
            assert!(matches!(SpoolCursor::read(wrong), Err(Error::Corrupt(_))), "{wrong}");
        }
    }
}
