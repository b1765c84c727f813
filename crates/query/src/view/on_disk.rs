//! The checkpoints of a view on disk, read and written without opening the view.

use std::path::Path;

use lakehead_model::{Name, Offset};

use super::{
    files::{Checkpoint, Folder, SavedDefinition, Slot},
    settings::ViewSettings,
};
use crate::{error::Error, plan::ViewPlan};

/// The definition saved in the checkpoint of the active view `name` under `data`; `None` where no checkpoint can be read.
#[must_use]
pub fn saved_definition(data: &Path, name: &Name) -> Option<SavedDefinition> {
    let folder = Folder::new(data, name.as_str());
    Checkpoint::load(&folder.checkpoint(Slot::Active)).ok().map(|checkpoint| checkpoint.saved_definition())
}

/// The definition saved in the checkpoint of the shadow of `name`.
#[must_use]
pub fn saved_shadow(data: &Path, name: &Name) -> Option<SavedDefinition> {
    let folder = Folder::new(data, name.as_str());
    Checkpoint::load(&folder.checkpoint(Slot::Shadow)).ok().map(|checkpoint| checkpoint.saved_definition())
}

/// The committed offset of `view`: the one after the last event in its checkpoint under `data`, for callers that check
/// whether the log still holds that much. `None` where no checkpoint can be read.
#[must_use]
pub fn committed_offset(data: &Path, view: &Name) -> Option<Offset> {
    let folder = Folder::new(data, view.as_str());
    Checkpoint::load(&folder.checkpoint(Slot::Active)).ok().map(|checkpoint| checkpoint.next_offset)
}

/// Begins a shadow of `name`: writes its empty checkpoint, which the next opening finds.
///
/// # Errors
/// [`Error::File`] when it cannot be written.
pub fn begin_shadow(data: &Path, name: &Name, plan: &ViewPlan, settings: &ViewSettings) -> Result<(), Error> {
    let folder = Folder::new(data, name.as_str());
    folder.create()?;
    Checkpoint::empty(plan, settings).write(&folder.checkpoint(Slot::Shadow), &folder)
}

/// Gives up the shadow of `name`, if there is one: deletes its checkpoint. The next opening deletes its other files.
///
/// # Errors
/// [`Error::File`] when its checkpoint cannot be deleted.
pub fn forget_shadow(data: &Path, name: &Name) -> Result<(), Error> {
    let path = Folder::new(data, name.as_str()).checkpoint(Slot::Shadow);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&path)(error)),
        _ => Ok(()),
    }
}
