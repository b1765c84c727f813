//! Compressed files that are several in a row: gzip members (RFC 1952), Zstandard frames (RFC 8878), one after the other,
//! and perhaps zeros behind the last, as tapes, block devices and preallocated files leave them.
//!
//! Zeros end a file only between two members; within one they are damage.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// Reads gzip members until the end, or until zeros.
pub(crate) enum Gzip<R> {
    /// Between two members; the first is not there yet, or it is.
    Between(R, bool),
    /// In one.
    In(Box<GzDecoder<R>>),
    /// At the end.
    Ended,
}

impl<R: BufRead> Gzip<R> {
    pub(crate) fn new(input: R) -> Self {
        Self::Between(input, false)
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            *self = match std::mem::replace(self, Self::Ended) {
                Self::Ended => return Ok(0),
                Self::Between(mut input, behind_one) => match behind_one && is_over(&mut input)? {
                    true => return Ok(0),
                    false => Self::In(Box::new(GzDecoder::new(input))),
                },
                Self::In(mut member) => match member.read(buffer)? {
                    0 => Self::Between(member.into_inner(), true),
                    read => {
                        *self = Self::In(member);
                        return Ok(read);
                    }
                },
            };
        }
    }
}

/// Reads Zstandard frames until the end, or until zeros; skippable frames are skipped.
pub(crate) struct Zstd<R> {
    input: R,
    decoder: Decoder<'static>,
    /// Whether a frame is over and the next has not begun; true at the start.
    between: bool,
    behind_one: bool,
}

impl<R: BufRead> Zstd<R> {
    pub(crate) fn new(input: R) -> io::Result<Self> {
        Ok(Self { input, decoder: Decoder::new()?, between: true, behind_one: false })
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.between {
                if self.behind_one && is_over(&mut self.input)? {
                    return Ok(0);
                }
                self.decoder.reinit()?;
                self.between = false;
            }
            let bytes = self.input.fill_buf()?;
            let (has_ended, mut from, mut to) =
                (bytes.is_empty(), InBuffer::around(bytes), OutBuffer::around(&mut *buffer));
            let hint = self.decoder.run(&mut from, &mut to)?;
            let (taken, given) = (from.pos(), to.pos());
            self.input.consume(taken);
            if hint == 0 {
                (self.between, self.behind_one) = (true, true);
            }
            if given > 0 {
                return Ok(given);
            }
            if has_ended && !self.between {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file breaks off within a zstd frame"));
            }
        }
    }
}

/// Whether nothing more comes but zeros.
fn is_over(input: &mut impl BufRead) -> io::Result<bool> {
    let mut zeros = false;
    loop {
        let bytes = input.fill_buf()?;
        match bytes.first() {
            None => return Ok(true),
            Some(0) => {
                let count = bytes.iter().take_while(|byte| **byte == 0).count();
                input.consume(count);
                zeros = true;
            }
            Some(_) if zeros => {
                let what = "zeros stand behind its compressed data, and something else behind them";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            Some(_) => return Ok(false),
        }
    }
}
