//! Where the engine keeps how far a sink has got: `<data>/sinks/<name>.json`, a record with a checksum.
//!
//! The file stays when its sink leaves the pipeline, so that one that comes back goes on. It is replaced in one step, after
//! the target has what is before its position and the stream `rejects` what was refused.

use std::{
    io,
    path::{Path, PathBuf},
};

use lakehead_model::{Name, Position};
use lakehead_store::record;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Where the positions of all sinks lie, below the data directory.
const FOLDER: &str = "sinks";

/// The file of one sink.
#[derive(Clone, Debug)]
pub(crate) struct PositionFile(PathBuf);

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PositionRecord {
    /// The stream or view whose position it is.
    pub(crate) from: Name,
    /// Whether that is a view.
    pub(crate) is_view: bool,
    /// Everything before it is delivered or refused. `None`: nothing is, and it begins with all that there is.
    pub(crate) position: Option<Position>,
    /// How often it has moved since the sink began; 0 says that nothing was delivered yet.
    pub(crate) commits: u64,
    /// Rows that it will never deliver, since they were gone before.
    #[serde(default)]
    pub(crate) lost_rows: u64,
    /// It delivered something else before, and has delivered nothing of this yet.
    #[serde(default)]
    pub(crate) began_anew: bool,
}

impl PositionFile {
    /// That of `sink` below `data`.
    pub(crate) fn of(data: &Path, sink: &Name) -> Self {
        Self(data.join(FOLDER).join(format!("{sink}.json")))
    }

    /// What it says; `None` where it is not there. Blocks.
    ///
    /// # Errors
    /// `Corrupt` when it is not as it was written, `Unavailable` when it cannot be read.
    pub(crate) fn load(&self) -> Result<Option<PositionRecord>, Error> {
        let text = match record::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(self.damaged(&error.to_string())),
            Err(source) => return Err(Error::Io { what: format!("reading {}", self.0.display()), source }),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| self.damaged(&error.to_string()))
    }

    /// Replaces it, durably. Blocks.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written.
    pub(crate) fn save(&self, record: &PositionRecord) -> Result<(), Error> {
        let json = serde_json::to_string(record).map_err(|error| Error::Internal(error.to_string()))?;
        let write = || {
            if let Some(folder) = self.0.parent() {
                std::fs::create_dir_all(folder)?;
            }
            record::write(&self.0, &json)
        };
        write().map_err(|source| Error::Io { what: format!("writing {}", self.0.display()), source })
    }

    fn damaged(&self, what: &str) -> Error {
        let what = format!(
            "{what}; without it nobody knows how far the sink has got. Restore it from a copy; or move it away, and the sink \
             begins as its `start` says"
        );
        Error::Damaged { path: self.0.clone(), what }
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::{Kind, Offset};

    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written_and_a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let name = |text| Name::new(text).expect("a name");
        let file = PositionFile::of(dir.path(), &name("a"));
        assert_eq!(file.load().expect("readable"), None);
        let position = Some(Position::Log { epoch: 2, next: Offset(7) });
        let record =
            PositionRecord { from: name("s"), is_view: false, position, commits: 3, lost_rows: 0, began_anew: false };
        file.save(&record).expect("written");
        assert_eq!(file.load().expect("readable"), Some(record));
        let path = dir.path().join("sinks").join("a.json");
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.contains("log.2.7"), "{text}");
        std::fs::write(&path, text.replace("log.2.7", "log.2.8")).expect("written");
        let error = file.load().expect_err("damaged");
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.to_string().contains("move it away"), "{error}");
    }
}
