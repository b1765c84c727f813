//! Where a store's files lie: paths from names and times, and back.

use std::path::{Path, PathBuf};

use lakehead_model::{Name, Offset, Timestamp};

use crate::{disk::files::Files, error::Error};

/// How every segment's name ends.
const SUFFIX: &str = ".jsonl.zst";
/// Digits of the first offset in a segment's name: all of a `u64`, so names sort as numbers.
const OFFSET_DIGITS: usize = 20;

/// One data directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

/// A segment as its path tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentPath {
    pub(crate) first_offset: Offset,
    pub(crate) path: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn streams(&self) -> PathBuf {
        self.root.join("streams")
    }

    pub(crate) fn stream(&self, stream: &Name) -> PathBuf {
        self.streams().join(stream.as_str())
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join("temporary")
    }

    pub(crate) fn inventory(&self) -> PathBuf {
        self.root.join("inventory")
    }

    /// The segment of `stream` that begins with `first_offset` in the hour of `received_time`.
    pub(crate) fn segment(&self, stream: &Name, received_time: Timestamp, first_offset: Offset) -> SegmentPath {
        self.segment_in(stream, &received_time.hour_folder(), first_offset)
    }

    /// As [`segment`](Self::segment), with the hour as its folders, `YYYY/MM/DD/HH`.
    pub(crate) fn segment_in(&self, stream: &Name, hour: &str, first_offset: Offset) -> SegmentPath {
        let name = format!("{:0OFFSET_DIGITS$}{SUFFIX}", first_offset.0);
        SegmentPath { first_offset, path: self.stream(stream).join(hour).join(name) }
    }

    /// The folders of a segment's hour, `YYYY/MM/DD/HH`; `None` when it does not lie in such.
    pub(crate) fn hour_of(&self, stream: &Name, segment: &Path) -> Option<String> {
        let hour = segment.parent()?.strip_prefix(self.stream(stream)).ok()?;
        hour.to_str().map(str::to_owned)
    }

    /// The streams on disk, by name: those that have a folder, and those of which only the inventory is left.
    pub(crate) fn list_streams(&self, files: &dyn Files) -> Result<Vec<Name>, Error> {
        let (path, recorded) = (self.streams(), self.inventory());
        let entries = files.list(&path).map_err(Error::io("list", &path))?;
        let mut names: Vec<Name> =
            entries.iter().filter(|e| e.is_folder).filter_map(|e| Name::new(&e.name).ok()).collect();
        let entries = files.list(&recorded).map_err(Error::io("list", &recorded))?;
        names.extend(entries.iter().filter_map(|e| Name::new(e.name.strip_suffix(".json")?).ok()));
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The segments of a stream in order, each with its length in bytes: those in the hour `from` (`YYYY/MM/DD/HH`) and after
    /// it, or all when `from` is empty. What is not named as a segment is not ours and is left alone.
    pub(crate) fn list_segments(
        &self,
        files: &dyn Files,
        stream: &Name,
        from: &str,
    ) -> Result<Vec<(SegmentPath, u64)>, Error> {
        let mut folders = vec![(self.stream(stream), String::new())];
        for _ in ["year", "month", "day", "hour"] {
            let mut deeper = Vec::new();
            for (folder, below) in folders {
                let entries = files.list(&folder).map_err(Error::io("list", &folder))?;
                for entry in entries.iter().filter(|e| e.is_folder && e.name.bytes().all(|b| b.is_ascii_digit())) {
                    let below = if below.is_empty() { entry.name.clone() } else { format!("{below}/{}", entry.name) };
                    // All digits of a time stand in its text, the largest unit first, so texts compare as times do.
                    if from.get(..below.len()).is_none_or(|from| below.as_str() >= from) {
                        deeper.push((folder.join(&entry.name), below));
                    }
                }
            }
            folders = deeper;
        }
        let mut segments = Vec::new();
        for (folder, _) in folders {
            for entry in files.list(&folder).map_err(Error::io("list", &folder))? {
                if let Some(first_offset) = first_offset(&entry.name).filter(|_| !entry.is_folder) {
                    segments.push((SegmentPath { first_offset, path: folder.join(&entry.name) }, entry.len));
                }
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// The folders whose entries lead to `segment`, innermost first, up to the data directory.
    pub(crate) fn folders_to<'a>(&self, segment: &'a Path) -> impl Iterator<Item = &'a Path> {
        let root = self.root.clone();
        segment.ancestors().skip(1).take_while(move |folder| folder.starts_with(&root))
    }
}

/// The offset that a segment's name says; `None` when it is no segment's.
pub(crate) fn first_offset(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(SUFFIX)?;
    let whole = digits.len() == OFFSET_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| whole).map(Offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_lies_in_the_hour_it_was_received() {
        let layout = Layout::new(Path::new("/d"));
        let time = "2026-11-23T07:59:59Z".parse().expect("a time");
        let stream = Name::new("recentchange").expect("a name");
        let segment = layout.segment(&stream, time, Offset(42));
        let expected = "/d/streams/recentchange/2026/11/23/07/00000000000000000042.jsonl.zst";
        assert_eq!(segment.path, Path::new(expected));
        let folders: Vec<_> = layout.folders_to(&segment.path).collect();
        assert_eq!(folders.first(), Some(&Path::new("/d/streams/recentchange/2026/11/23/07")));
        assert_eq!(folders.last(), Some(&Path::new("/d")));
    }

    #[test]
    fn only_twenty_digits_name_a_segment() {
        assert_eq!(first_offset("00000000000000000042.jsonl.zst"), Some(Offset(42)));
        for other in ["42.jsonl.zst", "0000000000000000004x.jsonl.zst", "00000000000000000042.jsonl", "notes.txt"] {
            assert_eq!(first_offset(other), None, "{other}");
        }
    }
}
