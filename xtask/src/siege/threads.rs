//! Waiting for a thread of the siege.

use std::thread::JoinHandle;

use anyhow::{Result, anyhow};

/// What a thread found, once it has ended.
pub(crate) fn joined<T>(thread: JoinHandle<T>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread of the siege panicked"))
}
