//! Opening a log and what speaks of it beside its segments: where it ends, what is recorded of it, what is lost.

pub(crate) mod evidence;
pub(crate) mod inventory;
pub(crate) mod leftovers;
pub(crate) mod listing;
pub(crate) mod log_end;
pub(crate) mod loss;
pub(crate) mod mending;
pub(crate) mod quarantine;
pub(crate) mod recovery;
pub(crate) mod segment_end;
