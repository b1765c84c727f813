//! One stream's files: on which file system, in which data directory, under which name.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use lakehead_model::{Name, Offset};

use crate::{
    disk::{
        files::{Access, Files},
        layout::{Layout, SegmentPath},
    },
    error::Error,
};

/// Where one stream's files are found. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct LogFiles {
    /// The stream.
    pub(crate) name: Name,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) layout: Layout,
}

impl LogFiles {
    /// The files of another stream in the same data directory.
    pub(crate) fn of(&self, name: &Name) -> Self {
        Self { name: name.clone(), ..self.clone() }
    }

    /// The stream's own folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.layout.stream(&self.name)
    }

    /// As [`Layout::segment_in`].
    pub(crate) fn segment_in(&self, hour: &str, first_offset: Offset) -> SegmentPath {
        self.layout.segment_in(&self.name, hour, first_offset)
    }

    /// As [`Layout::hour_of`].
    pub(crate) fn hour_of(&self, segment: &Path) -> Option<String> {
        self.layout.hour_of(&self.name, segment)
    }

    /// As [`Layout::list_segments`].
    pub(crate) fn list_segments(&self, from: &str) -> Result<Vec<(SegmentPath, u64)>, Error> {
        self.layout.list_segments(&*self.files, &self.name, from)
    }

    /// Whether there is a file at `path`. A disk that does not give it says nothing of that: whoever took it for free would
    /// put another file in its place.
    ///
    /// # Errors
    /// When it cannot be opened for another reason than that it is not there.
    pub(crate) fn has(&self, path: &Path) -> Result<bool, Error> {
        match self.files.open(path, Access::Read) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("open", path)(error)),
        }
    }

    /// Makes durable the entries of all folders that lead to `path`.
    pub(crate) fn sync_folders_to(&self, path: &Path) -> Result<(), Error> {
        for folder in self.layout.folders_to(path) {
            self.files.sync_folder(folder).map_err(Error::io("sync", folder))?;
        }
        Ok(())
    }
}
