//! What may enter a stream as an event, whatever brings it: any JSON value of at most 4 MiB. What the value means is the
//! columns' affair.
//!
//! Pure: bytes in, a reason out. An event is kept byte for byte, except that one with raw newlines is compacted: one event is
//! one line wherever it is written as text.

use std::{borrow::Cow, fmt};

use lakehead_model::{ByteSize, EVENT_BYTES_MAX};

use crate::{Error, compact, validate};

/// Why a document is no event. It is put into words only when a person is told.
#[derive(Debug)]
pub enum Refusal {
    /// The document has so many bytes.
    TooLarge(usize),
    /// The line has so many bytes, and only its beginning is there.
    LineTooLong(u64),
    /// The document is not JSON.
    NotJson(Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = ByteSize(EVENT_BYTES_MAX as u64);
        match self {
            Self::TooLarge(bytes) => write!(f, "the event has {bytes} bytes; at most {limit} are taken"),
            Self::LineTooLong(bytes) => write!(f, "the line has {bytes} bytes; at most {limit} are taken"),
            Self::NotJson(error) => write!(f, "not JSON: {error}"),
        }
    }
}

/// Checks whether `document` may enter a stream.
///
/// # Errors
/// The reason why it may not.
pub fn check_event(document: &[u8]) -> Result<(), Refusal> {
    if document.len() > EVENT_BYTES_MAX {
        return Err(Refusal::TooLarge(document.len()));
    }
    validate(document).map_err(Refusal::NotJson)
}

/// A checked `document` on one line, as the store keeps it. A carriage return is white space to JSON and the end of a line to some readers.
#[must_use]
pub fn on_one_line(document: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr2(b'\n', b'\r', document) {
        Some(_) => Cow::Owned(compact(document)),
        None => Cow::Borrowed(document),
    }
}
