//! What keeps a stream in shape beside the live path: sealing, retention, and comparing the inventory with the files.
//!
//! Each is asked for from outside and runs on the thread that asks, one at a time for a stream. Neither stops the writer or
//! a reader.

pub(crate) mod compare;
pub(crate) mod maintenance;
pub(crate) mod retain;
pub(crate) mod retention;
pub(crate) mod seal;
pub(crate) mod seal_next;
