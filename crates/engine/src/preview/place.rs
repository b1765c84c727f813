//! The data directory before a start: whether it could be used, and the cursors that sources would go on from. Read only.

use std::path::Path;

use lakehead_connector_api::{Error as SourceError, StreamResume, TailEvents, TailReader};
use lakehead_model::{Cursor, Name, Offset, StreamSchema};
use lakehead_store::{Store, Stream, holder};
use rustix::fs::{Access, access};

use super::report::DataPreview;
use crate::tail::Tail;

/// What is there.
pub(super) struct DataPlace {
    store: Option<Store>,
}

impl DataPlace {
    /// Looks at the data directory `data`.
    pub(super) fn look(data: &Path) -> (Self, DataPreview) {
        let mut told = DataPreview { path: data.to_owned(), ..DataPreview::default() };
        let is_new = !data.exists() || data.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        told.fails = unwritable(data).err();
        let store = if is_new {
            None
        } else {
            match Store::open_read_only(data) {
                Ok(store) => Some(store),
                Err(error) => {
                    told.fails = Some(error.to_string());
                    None
                }
            }
        };
        told.exists = store.is_some();
        told.held_by = holder(data).ok().flatten().map(|holder| holder.pid);
        (Self { store }, told)
    }

    /// Where `source` stands in `stream`, whose event times are by `schema`.
    ///
    /// # Errors
    /// When the stream's log is there and cannot be read.
    pub(super) fn resume(&self, source: &Name, stream: &Name, schema: &StreamSchema) -> Result<StreamResume, String> {
        let log = self.log(stream)?;
        let cursor = log.as_ref().and_then(|log| log.head().cursors.get(source).cloned());
        Ok(resumed(stream, cursor, schema, log))
    }

    fn log(&self, stream: &Name) -> Result<Option<Stream>, String> {
        let Some(store) = &self.store else { return Ok(None) };
        let is_there = store.names().map_err(|error| error.to_string())?.contains(stream);
        if !is_there {
            return Ok(None);
        }
        store.stream(stream).map(Some).map_err(|error| error.to_string())
    }
}

fn resumed(stream: &Name, cursor: Option<Cursor>, schema: &StreamSchema, log: Option<Stream>) -> StreamResume {
    let tail: Box<dyn TailReader> = match log {
        Some(log) => Box::new(Tail::of(log)),
        None => Box::new(NoTail),
    };
    StreamResume { stream: stream.clone(), cursor, event_time: schema.event_time.clone(), tail }
}

/// Why `data` could not be written, or made.
fn unwritable(data: &Path) -> Result<(), String> {
    let above = data.ancestors().map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    let Some(there) = above.into_iter().find(|above| above.symlink_metadata().is_ok()) else { return Ok(()) };
    let shown = data.display();
    if !there.is_dir() {
        return Err(format!("{} is no folder, so {shown} cannot be made; set data to another place", there.display()));
    }
    access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let why = std::io::Error::from(error);
        format!("{} cannot be written: {why}; let this user write there, or set data to another place", there.display())
    })
}

/// The end of a stream that has no events yet.
struct NoTail;

#[async_trait::async_trait]
impl TailReader for NoTail {
    fn end(&self) -> Offset {
        Offset(0)
    }

    async fn read(&mut self, from: Offset, to: Offset) -> Result<TailEvents, SourceError> {
        Ok(TailEvents { events: Vec::new(), next: to.max(from) })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_is_looked_at_and_not_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let new = folder.path().join("a/data");
        let (_, told) = DataPlace::look(&new);
        assert_eq!(told, DataPreview { path: new.clone(), ..DataPreview::default() });
        assert!(!folder.path().join("a").exists());

        let other = folder.path().join("photos");
        fs::create_dir(&other).expect("a folder");
        let (_, told) = DataPlace::look(&other);
        assert_eq!((told.exists, told.fails), (false, None), "an empty folder is as good as none");
        fs::write(other.join("a.jpg"), "a").expect("a file");
        let (_, told) = DataPlace::look(&other);
        assert!(told.fails.expect("it is something else").contains("not a Lakehead data directory"));
        let (_, told) = DataPlace::look(&other.join("a.jpg/data"));
        assert!(told.fails.expect("below a file").contains("is no folder"));
    }
}
