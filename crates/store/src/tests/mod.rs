//! The store against a file system that forgets, tears, fills up and fails, and against a model too simple to be wrong.

mod by_time;
mod commit;
mod evidence;
mod failures;
mod fixtures;
mod format;
mod fsck;
mod inventory;
mod memory;
mod model;
mod opening;
mod pinned;
mod reading;
mod recovery;
mod retaining;
mod rig;
mod sealing;
