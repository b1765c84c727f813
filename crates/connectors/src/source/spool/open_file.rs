//! One file while it is read: opened so that nothing but a file is waited for, and read in pieces.
//!
//! Whatever stands under a name when it is opened (a pipe, a link, a folder, nothing at all) is told from a file without blocking.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::fs::{Mode, OFlags};

use super::{
    config::Content,
    cursor::{FileState, HalfRead},
    names::SpoolName,
};
use crate::json_lines::{
    DocumentText, LinePosition, Lines, LinesForm, Run, begins_an_array, head_checksum, json_ending,
};

/// Bytes of lines that are read at once; a chunk has several such pieces.
const PIECE_BYTES: usize = 64 << 10;

/// What stands under a name.
#[derive(Debug)]
pub(super) enum AtPath {
    File(Metadata),
    /// Nothing, or no file.
    NoFile,
}

/// Looks at what stands at `path`, without following a link.
pub(super) fn found(path: &Path) -> io::Result<AtPath> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(AtPath::File(metadata)),
        Ok(_) => Ok(AtPath::NoFile),
        Err(error) if is_gone(&error) => Ok(AtPath::NoFile),
        Err(error) => Err(error),
    }
}

/// Opens a file to read it; neither a link is followed nor a pipe waited for. `None` where it is gone or no file any more.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Ok(None),
        Err(error) => {
            let error = io::Error::from(error);
            return if is_gone(&error) { Ok(None) } else { Err(error) };
        }
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Whether nothing stands there: the name has gone, or a folder on the way to it.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A file that is being read.
pub(super) struct OpenFile {
    pub(super) name: SpoolName,
    /// For people.
    pub(super) from: Arc<str>,
    pub(super) state: FileState,
    /// Whether something in it was refused.
    pub(super) has_refusals: bool,
    /// How far it was handed over.
    pub(super) handed: LinePosition,
    file: File,
    body: FileBody,
}

enum FileBody {
    /// One document; `None` once it was read.
    Document(Option<StoppableFile>),
    Lines {
        lines: Lines,
        is_array: bool,
        head: u64,
    },
}

/// What is read next of a file.
pub(super) enum FilePiece {
    Document(DocumentText),
    Run(Run),
    End,
}

/// How files are read.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) content: Content,
    pub(super) file_bytes_max: u64,
    /// Set when nobody wants what is read any more.
    pub(super) stop: Arc<AtomicBool>,
}

impl OpenFile {
    /// Begins `file`, which stands at `path`.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub(super) fn begin(name: SpoolName, path: &Path, mut file: File, manner: &Manner) -> io::Result<Self> {
        let state = FileState::of(&file.metadata()?);
        let is_array = match manner.content {
            Content::Array => begins_an_array(manner.stoppable(&file)?)?,
            _ => false,
        };
        let is_lines = match manner.content {
            Content::Lines => true,
            Content::ByName => matches!(json_ending(path), Some("jsonl" | "ndjson")),
            Content::Document | Content::Array => false,
        };
        file.seek(SeekFrom::Start(0))?;
        let body = if is_array || is_lines {
            let head = head_checksum(&mut file)?;
            FileBody::Lines { lines: manner.lines(&file, is_array, LinePosition::default())?, is_array, head }
        } else {
            FileBody::Document(Some(manner.stoppable(&file)?))
        };
        let from = path.display().to_string().into();
        Ok(Self { name, from, state, has_refusals: false, handed: LinePosition::default(), file, body })
    }

    /// Goes on in `file`, of which `half` was read. `None` where it is not the same file any more.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub(super) fn resume(half: &HalfRead, path: &Path, mut file: File, manner: &Manner) -> io::Result<Option<Self>> {
        let state = FileState::of(&file.metadata()?);
        let head = head_checksum(&mut file)?;
        if !half.state.is_unchanged(&state) || half.head != head {
            return Ok(None);
        }
        let lines = manner.lines(&file, half.is_array, half.at)?;
        let body = FileBody::Lines { lines, is_array: half.is_array, head };
        let (name, from) = (half.name.clone(), path.display().to_string().into());
        Ok(Some(Self { name, from, state, has_refusals: half.has_refusals, handed: half.at, file, body }))
    }

    /// The next piece. It is handed over once [`is_unchanged`](Self::is_unchanged) has been asked behind it.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub(super) fn next(&mut self) -> io::Result<FilePiece> {
        match &mut self.body {
            FileBody::Document(file) => match file.take() {
                Some(file) => DocumentText::read(file).map(FilePiece::Document),
                None => Ok(FilePiece::End),
            },
            FileBody::Lines { lines, .. } => Ok(lines.next()?.map_or(FilePiece::End, FilePiece::Run)),
        }
    }

    /// Whether it is still as it was when it was opened.
    pub(super) fn is_unchanged(&self) -> io::Result<bool> {
        Ok(self.state.is_unchanged(&FileState::of(&self.file.metadata()?)))
    }

    /// Where to go on in it; `None` while nothing of it was handed over.
    pub(super) fn half_read(&self) -> Option<HalfRead> {
        let FileBody::Lines { is_array, head, .. } = self.body else { return None };
        (self.handed != LinePosition::default()).then(|| HalfRead {
            name: self.name.clone(),
            state: self.state,
            head,
            at: self.handed,
            is_array,
            has_refusals: self.has_refusals,
        })
    }
}

impl Manner {
    fn stoppable(&self, file: &File) -> io::Result<StoppableFile> {
        Ok(StoppableFile { file: file.try_clone()?, stop: Arc::clone(&self.stop) })
    }

    fn lines(&self, file: &File, is_array: bool, from: LinePosition) -> io::Result<Lines> {
        let mut file = self.stoppable(file)?;
        file.seek(SeekFrom::Start(0))?;
        let form = if is_array { LinesForm::Array } else { LinesForm::Lines };
        Ok(Lines::of(file, form, from, PIECE_BYTES)?.limited(self.file_bytes_max))
    }
}

/// Fails once nobody wants what is read any more: a compressed file may hold one line that takes minutes.
struct StoppableFile {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Read for StoppableFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the source was stopped"));
        }
        self.file.read(buffer)
    }
}

impl Seek for StoppableFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The path of a name that was read from a cursor or made from a path.
pub(super) fn path_of(root: &Path, name: &SpoolName) -> PathBuf {
    root.join(name.path().expect("a cursor's names were checked, and the others were made of paths"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_no_file_is_told_without_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "1").expect("a file");
        fs::create_dir(at("folder")).expect("a folder");
        std::os::unix::fs::symlink(at("file"), at("link")).expect("a link");
        assert!(Command::new("mkfifo").arg(at("pipe")).status().expect("it runs").success());
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).expect("a socket");
        for (name, is_file) in [
            ("file", true),
            ("folder", false),
            ("link", false),
            ("pipe", false),
            ("socket", false),
            ("none", false),
            ("file/x", false),
        ] {
            assert_eq!(matches!(found(&at(name)).expect("seen"), AtPath::File(_)), is_file, "{name}");
            assert_eq!(open(&at(name)).expect("opened").is_some(), is_file, "{name}");
        }
    }
}
