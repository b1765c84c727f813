//! Asking a data directory: through the process that runs on it, or, without one, by reading its files.
//!
//! The answer is the same either way. A running process is found through the directory's lock, asked over HTTP, and
//! answers as an Arrow stream; the token, where one is set, comes from the environment.

mod backend;
mod connection;
mod process;
mod target;

pub(crate) use backend::Backend;
pub(crate) use process::Process;
pub(crate) use target::{DEMO_DATA, Target};
