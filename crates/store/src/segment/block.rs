//! A block as readers get it: the events of one write, shared by all of them.

use bytes::Bytes;
use lakehead_model::{Offset, TimeRule, Timestamp};

/// The events of one write, committed. Readers share it; the payload is never copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The block's number in its stream, from 0, without gaps.
    pub number: u64,
    /// The offset of the first event; of the next event to come when there is none.
    pub first_offset: Offset,
    /// When Lakehead first saw these events.
    pub received_time: Timestamp,
    /// The least event time in the block; `None` when no event has one. After [`slice_from`](Self::slice_from) a bound
    /// that still holds, not always the least.
    pub event_time_least: Option<Timestamp>,
    /// The greatest event time in the block, likewise.
    pub event_time_greatest: Option<Timestamp>,
    /// By which rule these times, and the progress, were read; `None` where that is not known. To who reads by another rule
    /// they say nothing.
    pub time_rule: Option<TimeRule>,
    /// The event time up to which all the stream's sources had brought everything after this block, as far as they tell.
    pub progress: Option<Timestamp>,
    /// The stream's epoch when this block was written.
    pub epoch: u64,
    /// The events, each followed by a newline.
    pub payload: Bytes,
    /// Where each event's line ends in the payload, just after its newline.
    pub ends: Vec<u32>,
}

impl Block {
    /// The number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no event in it; such a block moves a cursor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The offset after the last event: `[first_offset, end_offset)` are in the block.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.first_offset.plus(self.ends.len() as u64)
    }

    /// The event at `index` in this block, without its newline; `None` when there are not as many.
    #[must_use]
    pub fn event(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.payload.get(start..end - 1)
    }

    /// The events in order, without their newlines.
    pub fn events(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map_while(|index| self.event(index))
    }

    /// The part of this block from `offset` on; all of it when `offset` is not after its first event, none of its
    /// events when `offset` is at or after its end. Shares the payload.
    #[must_use]
    pub fn slice_from(&self, offset: Offset) -> Self {
        let skipped = usize::try_from(offset.since(self.first_offset)).unwrap_or(usize::MAX).min(self.len());
        let Some(cut) = skipped.checked_sub(1).and_then(|last| self.ends.get(last)).copied() else {
            return self.clone();
        };
        Self {
            first_offset: self.first_offset.plus(skipped as u64),
            payload: self.payload.slice(cut as usize..),
            ends: self.ends.iter().skip(skipped).map(|end| end - cut).collect(),
            ..*self
        }
    }

    /// About how much memory it holds.
    pub(crate) fn memory_bytes(&self) -> u64 {
        (self.payload.len() + self.ends.len() * size_of::<u32>() + size_of::<Self>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Block {
        Block {
            number: 0,
            first_offset: Offset(10),
            received_time: Timestamp(1),
            event_time_least: None,
            event_time_greatest: None,
            time_rule: None,
            progress: None,
            epoch: 0,
            payload: Bytes::from_static(b"{}\n[1]\n7\n"),
            ends: vec![3, 7, 9],
        }
    }

    #[test]
    fn events_are_lines_without_their_newlines() {
        assert_eq!(block().events().collect::<Vec<_>>(), [&b"{}"[..], b"[1]", b"7"]);
        assert_eq!(block().event(3), None);
        assert_eq!(block().end_offset(), Offset(13));
    }

    #[test]
    fn a_slice_holds_the_events_from_its_offset_on() {
        for (from, first, events) in [(0, 10, 3), (10, 10, 3), (11, 11, 2), (12, 12, 1), (13, 13, 0), (99, 13, 0)] {
            let slice = block().slice_from(Offset(from));
            assert_eq!((slice.first_offset, slice.len()), (Offset(first), events), "from {from}");
            assert_eq!(slice.end_offset(), Offset(13));
            let expected: Vec<_> = block().events().skip(3 - events).map(<[u8]>::to_vec).collect();
            assert_eq!(slice.events().map(<[u8]>::to_vec).collect::<Vec<_>>(), expected);
        }
    }
}
