//! The store against a file system that forgets, tears, fills up and fails, and against a model too simple to be wrong.

mod commit;
mod failures;
mod format;
mod memory;
mod model;
mod opening;
mod reading;
mod recovery;
mod rig;
