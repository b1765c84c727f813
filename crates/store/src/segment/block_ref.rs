//! Where a block stands in a segment that is not sealed, and what its footer says of it.

use lakehead_model::{Offset, TimeRule, Timestamp};

use crate::format::{boundary::Boundary, footer::Footer};

/// Where a block stands in its segment, and when it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockRef {
    pub(crate) number: u64,
    pub(crate) first_offset: Offset,
    pub(crate) count: u32,
    pub(crate) raw_len: u32,
    pub(crate) received_time: Timestamp,
    pub(crate) event_times: Option<(Timestamp, Timestamp)>,
    pub(crate) time_rule: Option<TimeRule>,
    /// The data frame's first byte in the file.
    pub(crate) start: u64,
    pub(crate) stored_len: u32,
    pub(crate) footer_len: u32,
    /// The chain checksum after this block.
    pub(crate) chain: u64,
}

impl BlockRef {
    /// Where the block with `footer` stands, of which the data frame begins at byte `start`.
    pub(crate) fn new(footer: &Footer, start: u64, footer_len: u32, chain: u64) -> Self {
        Self {
            number: footer.number,
            first_offset: footer.first_offset,
            count: footer.count,
            raw_len: footer.raw_len,
            received_time: footer.received_time,
            event_times: footer.event_times(),
            time_rule: footer.time_rule,
            start,
            stored_len: footer.stored_len,
            footer_len,
            chain,
        }
    }

    pub(crate) fn footer_start(&self) -> u64 {
        self.start + u64::from(self.stored_len)
    }

    /// The byte after the block.
    pub(crate) fn end(&self) -> u64 {
        self.footer_start() + u64::from(self.footer_len)
    }

    pub(crate) fn end_offset(&self) -> Offset {
        self.first_offset.plus(u64::from(self.count))
    }

    pub(crate) fn begins(&self) -> Boundary {
        Boundary { number: self.number, offset: self.first_offset }
    }

    pub(crate) fn ends(&self) -> Boundary {
        Boundary { number: self.number + 1, offset: self.end_offset() }
    }
}
