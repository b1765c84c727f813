//! Processes that this program starts of itself, so that what may cost too much costs them and not the one that serves.

mod limits;
pub(crate) mod rehearsal;
pub(crate) mod sql_worker;
