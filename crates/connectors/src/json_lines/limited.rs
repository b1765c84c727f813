//! A limit on how much a file may hold when it is decompressed, so that one that swells ends in good time.

use std::{
    fmt,
    io::{self, Read},
};

/// More bytes than may be.
#[derive(Debug)]
pub struct TextTooLong {
    /// So many may be.
    pub bytes_max: u64,
}

impl fmt::Display for TextTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it holds more than {} bytes, decompressed", self.bytes_max)
    }
}

impl std::error::Error for TextTooLong {}

/// Gives what it reads up to the limit, and then fails.
pub(crate) struct Limited<R> {
    inner: R,
    bytes_max: u64,
    read: u64,
}

impl<R> Limited<R> {
    /// Of `inner`, of which so many bytes were `read` before.
    pub(crate) fn new(inner: R, bytes_max: u64, read: u64) -> Self {
        Self { inner, bytes_max, read }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read = self.read.saturating_add(read as u64);
        if self.read > self.bytes_max {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TextTooLong { bytes_max: self.bytes_max }));
        }
        Ok(read)
    }
}
