//! The checkpoints of a view on disk, read and written without opening the view.

use std::path::Path;

use lakehead_model::{Name, Offset};

use super::{
    files::{Checkpoint, Folder, Kept, Slot},
    settings::ViewSettings,
};
use crate::{error::Error, plan::ViewPlan};

/// What the checkpoint of the view `name` under `data` says of the view; `None` where there is none that can be read.
#[must_use]
pub fn kept(data: &Path, name: &Name) -> Option<Kept> {
    let folder = Folder::new(data, name.as_str());
    Checkpoint::load(&folder.checkpoint(Slot::Current)).ok().map(|checkpoint| checkpoint.kept())
}

/// The same of the view that is built beside `name`.
#[must_use]
pub fn kept_next(data: &Path, name: &Name) -> Option<Kept> {
    let folder = Folder::new(data, name.as_str());
    Checkpoint::load(&folder.checkpoint(Slot::Next)).ok().map(|checkpoint| checkpoint.kept())
}

/// The offset after the last event that the checkpoint of `view` in `data` has seen, for those who ask whether the log still
/// holds that much; `None` where there is no checkpoint that can be read.
#[must_use]
pub fn seen(data: &Path, view: &Name) -> Option<Offset> {
    let folder = Folder::new(data, view.as_str());
    Checkpoint::load(&folder.checkpoint(Slot::Current)).ok().map(|checkpoint| checkpoint.next_offset)
}

/// Writes an empty checkpoint for a view that is built beside `name`, so that the next opening finds it.
///
/// # Errors
/// [`Error::File`] when it cannot be written.
pub fn begin_next(data: &Path, name: &Name, plan: &ViewPlan, settings: &ViewSettings) -> Result<(), Error> {
    let folder = Folder::new(data, name.as_str());
    folder.create()?;
    Checkpoint::empty(plan, settings).write(&folder.checkpoint(Slot::Next), &folder)
}

/// Gives up the view that is built beside `name`, if there is one. Its files go at the next opening.
///
/// # Errors
/// [`Error::File`] when its checkpoint cannot be deleted.
pub fn forget_next(data: &Path, name: &Name) -> Result<(), Error> {
    let path = Folder::new(data, name.as_str()).checkpoint(Slot::Next);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&path)(error)),
        _ => Ok(()),
    }
}
