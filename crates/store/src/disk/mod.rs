//! The disk beneath the log: the file system as the store needs it, and where a stream's files lie on it.

pub(crate) mod files;
pub(crate) mod layout;
pub(crate) mod log_files;
pub(crate) mod system;
