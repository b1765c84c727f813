//! What can go wrong before the simulator serves: a fault that cannot be read, a recording that cannot be used.

use std::path::PathBuf;

use lakehead_model::Kind;

/// Why the simulator could not be set up or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text of a fault does not say one.
    #[error("fault {text:?}: {problem}; {expected}")]
    Fault {
        /// The text as it was given.
        text: String,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        expected: String,
    },
    /// A recording cannot be read.
    #[error("cannot read the recording {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A recording holds something that is no event.
    #[error("{} line {line}: expected one JSON object on the line, found {found}", path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// A recording holds no event at all, or more than may be held.
    #[error("{}: {problem}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A setting is out of its range.
    #[error("{name} is {found}: expected {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl Error {
    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Fault { .. } | Self::Setting { .. } | Self::Event { .. } | Self::Recording { .. } => Kind::Invalid,
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::Interrupted => Kind::Unavailable,
            Self::Read { .. } => Kind::Invalid,
        }
    }
}
