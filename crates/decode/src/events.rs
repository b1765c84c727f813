//! What is decoded at once: the events of a block, as the store hands them out.

use bytes::Bytes;
use lakehead_model::{Offset, Timestamp};

use crate::Error;

/// A run of events in one buffer.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    /// The events, each followed by a newline; under 4 GiB.
    pub payload: &'a Bytes,
    /// Where each event's line ends in the payload, just after its newline; ascending.
    pub ends: &'a [u32],
    /// The offset of the first event; the others follow without gaps.
    pub first_offset: Offset,
    /// When the block was received.
    pub received_time: Timestamp,
}

impl<'a> Events<'a> {
    /// The events in order, without their newlines, each with where it begins.
    pub(crate) fn iter(self) -> impl Iterator<Item = Result<&'a [u8], Error>> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(event, end)| {
            let end = *end as usize;
            let line = self.payload.get(start..end).and_then(|line| line.split_last());
            let Some((_, document)) = line else {
                return Err(Error::Ends { event, start, end, payload: self.payload.len() });
            };
            start = end;
            Ok(document)
        })
    }
}
