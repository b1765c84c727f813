//! A set of files that are known by device and inode, and so through links and bind mounts, too: those of a data directory,
//! those that a process writes. For commands that read folders or write files, which must not meet these.

use std::{
    collections::HashSet,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Files and folders by device and inode.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSet {
    known: HashSet<(u64, u64)>,
}

/// Whether process `pid` has opened this for writing: the last two bits of its flags, as the kernel shows them in octal (proc(5)).
fn writes(pid: u32, descriptor: &str) -> bool {
    let shown = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap_or_default();
    let flags = shown.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 3 != 0)
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl FileSet {
    /// The data directory `data` with all that is in it; nothing where it is not there.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub(crate) fn of(data: &Path) -> io::Result<Self> {
        let mut set = Self::default();
        let mut folders = match fs::metadata(data) {
            Ok(metadata) => {
                set.known.insert(id(&metadata));
                vec![data.to_owned()]
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                // It writes meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let Ok(metadata) = entry.metadata() else { continue };
                set.known.insert(id(&metadata));
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        Ok(set)
    }

    /// Adds the files that process `pid` writes: its output, its log. Where the system does not show them, none.
    pub(crate) fn and_written_by(mut self, pid: u32) -> Self {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
        let written = open.filter(|entry| writes(pid, &entry.file_name().to_string_lossy()));
        let files = written.filter_map(|entry| fs::metadata(entry.path()).ok()).filter(Metadata::is_file);
        self.known.extend(files.map(|metadata| id(&metadata)));
        self
    }

    /// Whether `path` is one of them, or lies in a folder that is.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        let whole = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        let whole = whole.as_deref().unwrap_or(path);
        // Of what is not there yet the nearest folder that is.
        whole.ancestors().filter_map(|path| fs::metadata(path).ok()).any(|metadata| self.known.contains(&id(&metadata)))
    }

    /// Whether this file is one of them.
    pub(crate) fn has(&self, metadata: &Metadata) -> bool {
        self.known.contains(&id(metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_it_is_known_through_links_and_before_it_is_there() {
        let dir = tempfile::tempdir().expect("a folder");
        let (data, beside) = (dir.path().join("data"), dir.path().join("beside"));
        fs::create_dir_all(data.join("streams/s")).expect("creates");
        fs::create_dir(&beside).expect("creates");
        fs::write(data.join("streams/s/1.jsonl"), "1").expect("writes");
        fs::write(beside.join("2.jsonl"), "2").expect("writes");
        std::os::unix::fs::symlink(&data, dir.path().join("link")).expect("links");
        std::os::unix::fs::symlink(data.join("streams/s/1.jsonl"), beside.join("1.jsonl")).expect("links");
        fs::hard_link(data.join("streams/s/1.jsonl"), beside.join("hard.jsonl")).expect("links");
        let set = FileSet::of(&data).expect("lists");
        for inside in [
            "data",
            "data/streams/s/1.jsonl",
            "data/streams/new/3",
            "link/streams",
            "beside/1.jsonl",
            "beside/hard.jsonl",
        ] {
            assert!(set.holds(&dir.path().join(inside)), "{inside}");
        }
        for outside in ["beside", "beside/2.jsonl", "beside/new"] {
            assert!(!set.holds(&dir.path().join(outside)), "{outside}");
        }
        let _read = fs::File::open(beside.join("2.jsonl")).expect("opens");
        assert!(!FileSet::default().and_written_by(std::process::id()).holds(&beside.join("2.jsonl")));
        let _written = fs::File::options().append(true).open(beside.join("2.jsonl")).expect("opens");
        assert!(FileSet::default().and_written_by(std::process::id()).holds(&beside.join("2.jsonl")));
    }
}
