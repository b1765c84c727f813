//! How far a view on disk has seen its stream, without opening it: for those who ask whether the log still holds that much.

use std::path::Path;

use lakehead_model::{Name, Offset};

use crate::checkpoint::Checkpoint;

/// The offset after the last event that the checkpoint of `view` in `data` has seen; `None` where there is no checkpoint that
/// can be read.
#[must_use]
pub fn seen(data: &Path, view: &Name) -> Option<Offset> {
    let path = data.join("views").join(view.as_str()).join("checkpoint.json");
    Checkpoint::load(&path).ok().map(|checkpoint| checkpoint.next_offset)
}
