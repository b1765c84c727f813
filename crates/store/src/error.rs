//! The store's one error: what, where, and what to do about it.
//!
//! It can be cloned, since one failed sync is the answer to many waiting appends.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use lakehead_model::{Kind, Name, Offset};

/// Why the store could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused an operation on a file or folder.
    #[error("cannot {what} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// The operation, as a verb: "open", "list".
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// The directory holds something that is not ours.
    #[error("{} is not empty and not a Lakehead data directory (it has no lakehead.json): choose another directory or an empty one", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is laid out by a newer Lakehead.
    #[error("{} has layout version {found}, this Lakehead knows {known}: use a newer Lakehead", path.display())]
    NewerLayout {
        /// The format file.
        path: PathBuf,
        /// The version it names.
        found: u64,
        /// The newest version known here.
        known: u64,
    },
    /// A segment is written in a form that this version does not read.
    #[error("{} holds {what}, which this Lakehead does not read: use a newer Lakehead", path.display())]
    NewerSegment {
        /// The segment.
        path: PathBuf,
        /// Which form, with its version.
        what: String,
    },
    /// Another process writes this data directory.
    #[error(
        "{} is in use by process {pid}{}: stop it, or choose another data directory",
        dir.display(),
        address.as_ref().map(|a| format!(" at {a}")).unwrap_or_default()
    )]
    Held {
        /// The data directory.
        dir: PathBuf,
        /// The process that holds it; 0 when it has not written its number yet.
        pid: u32,
        /// Where that process listens, if it said so.
        address: Option<String>,
    },
    /// Something that was committed cannot be read as it was written.
    #[error("{} is damaged at byte {at}: {what}; nothing was changed, keep a copy before any repair", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The byte at which what was expected is not there.
        at: u64,
        /// What was expected and what was found.
        what: String,
    },
    /// The stream cannot be written for now; what was not answered is not kept.
    #[error("stream {stream} cannot be written: {reason}")]
    CannotWrite {
        /// The stream.
        stream: Name,
        /// What failed, and what to do.
        reason: Arc<str>,
    },
    /// An offset was asked for that the stream does not have.
    #[error("stream {stream} holds the offsets from {start} up to, and not with, {end}: {asked} is not among them")]
    OffsetOutOfRange {
        /// The stream.
        stream: Name,
        /// What was asked for.
        asked: Offset,
        /// The first offset kept.
        start: Offset,
        /// The offset after the last.
        end: Offset,
    },
    /// The store was opened for reading only.
    #[error("{} was opened for reading only", dir.display())]
    ReadOnly {
        /// The data directory.
        dir: PathBuf,
    },
    /// No such stream, and nothing may be created here.
    #[error("there is no stream {stream} in {}", dir.display())]
    NoStream {
        /// The stream.
        stream: Name,
        /// The data directory.
        dir: PathBuf,
    },
    /// An argument breaks a bound; the sentence names it.
    #[error("{0}")]
    Invalid(String),
    /// The stream is closed.
    #[error("stream {stream} is closed")]
    Closed {
        /// The stream.
        stream: Name,
    },
    /// A defect of ours.
    #[error("defect in the store: {0}")]
    Internal(String),
}

impl Error {
    /// For `map_err`: this operation on this path failed.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source: Arc::new(source) }
    }

    /// The bytes at `at` are not what was written.
    pub(crate) fn corrupt(path: &Path, at: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), at, what: what.into() }
    }

    /// Whether it is for want of room on the disk that a stream cannot be written: it goes on by itself when there is room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => advice(source) == MAKE_ROOM,
            // The reason ends with the advice for the system's answer that it tells of.
            Self::CannotWrite { reason, .. } => reason.contains(MAKE_ROOM),
            _ => false,
        }
    }

    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Io { source, .. } if only_a_person_helps(source) => Kind::Invalid,
            Self::Io { .. } | Self::CannotWrite { .. } => Kind::Unavailable,
            Self::Foreign { .. }
            | Self::NewerLayout { .. }
            | Self::NewerSegment { .. }
            | Self::Held { .. }
            | Self::OffsetOutOfRange { .. }
            | Self::ReadOnly { .. }
            | Self::NoStream { .. }
            | Self::Invalid(_) => Kind::Invalid,
            Self::Corrupt { .. } => Kind::Corrupt,
            Self::Closed { .. } => Kind::Closed,
            Self::Internal(_) => Kind::Internal,
        }
    }
}

fn only_a_person_helps(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AlreadyExists, InvalidFilename, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem,
    };
    matches!(
        error.kind(),
        AlreadyExists | InvalidFilename | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem
    )
}

const MAKE_ROOM: &str = "; make room on that disk, writing goes on by itself";

/// What a person can do about a system error, as the end of a sentence.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => MAKE_ROOM,
        io::ErrorKind::ReadOnlyFilesystem => "; mount it for writing or choose another data directory",
        io::ErrorKind::PermissionDenied => "; give this user the right to it or choose another data directory",
        io::ErrorKind::NotADirectory => "; a data directory is a folder, choose another path",
        _ => "",
    }
}

/// The error for a segment that somebody took away.
pub(crate) fn segment_gone() -> io::Error {
    let what = "it was removed or moved, or a folder that leads to it, while Lakehead writes it; put it back, or stop Lakehead \
                and see what `lakehead fsck` says";
    io::Error::new(io::ErrorKind::NotFound, what)
}
