//! A frame as it was read: one event of Server-Sent Events.

use std::borrow::Cow;

/// How many bytes are kept of a frame that passes the limit, to say in a reject what it was.
pub const HEAD_BYTES: usize = 64 << 10;

/// One event as it came: everything up to a blank line.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The value of `event:`; empty when there was none, which stands for `message`.
    pub event: &'a [u8],
    /// The value of `id:`.
    pub id: Option<&'a [u8]>,
    /// The value of `retry:` in milliseconds, where it is digits alone, as the standard has it.
    pub retry: Option<u64>,
    /// The values of the `data:` lines.
    pub data: Data<'a>,
}

impl Frame<'_> {
    /// Whether the frame brings nothing: it has no data, or data that is empty, which is no JSON.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.data, Data::Whole(data) if data.is_empty())
    }
}

/// What a frame carries.
#[derive(Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// The lines, joined by LF; borrowed when there was only one.
    Whole(Cow<'a, [u8]>),
    /// The frame passed the limit.
    TooLarge {
        /// The head of its data, at most [`HEAD_BYTES`].
        head: &'a [u8],
        /// How many bytes the whole frame had.
        frame_bytes: u64,
    },
}
