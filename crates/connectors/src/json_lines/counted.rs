//! Counts the bytes that are read, to show how far an import is.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counts what is read.
pub struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
    /// How much of `read` is of this input.
    at: u64,
}

impl<R> Counted<R> {
    /// Adds the bytes that are read of `inner` to `read`.
    pub fn new(inner: R, read: Arc<AtomicU64>) -> Self {
        Self { inner, read, at: 0 }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        self.at += read as u64;
        Ok(read)
    }
}

/// What is passed over counts as read, what is gone back over does not count any more.
impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.inner.seek(to)?;
        self.read.fetch_sub(self.at, Ordering::Relaxed);
        self.read.fetch_add(at, Ordering::Relaxed);
        self.at = at;
        Ok(at)
    }
}
