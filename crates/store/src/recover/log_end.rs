//! Where a stream stands after a block: all that the next block builds on.

use std::{collections::BTreeMap, sync::Arc};

use lakehead_model::{Cursor, Name, Offset, TimeRule, Timestamp};

use crate::format::{footer::Footer, index::Index};

/// Where a stream stands. There is one for what is written and one for what is committed; after a failure the first is
/// set back to the second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// The number of the next block.
    pub(crate) next_number: u64,
    /// The offset of the next event.
    pub(crate) next_offset: Offset,
    /// Bytes of all events so far.
    pub(crate) raw_bytes: u64,
    /// The last block's received time; the next one's is not before it.
    pub(crate) received_time: Option<Timestamp>,
    /// Where every source stands.
    pub(crate) cursors: Arc<BTreeMap<Name, Cursor>>,
    /// Rises when the stream turns out to have lost what was seen outside.
    pub(crate) epoch: u64,
    /// By which rule the times of the last block were read.
    pub(crate) time_rule: Option<TimeRule>,
}

impl LogEnd {
    /// Where the stream stands after the block with this footer.
    pub(crate) fn after(footer: &Footer) -> Self {
        Self {
            next_number: footer.number + 1,
            next_offset: footer.first_offset.plus(u64::from(footer.count)),
            raw_bytes: footer.raw_before + u64::from(footer.raw_len),
            received_time: Some(footer.received_time),
            cursors: Arc::clone(&footer.cursors),
            epoch: footer.epoch,
            time_rule: footer.time_rule,
        }
    }

    /// Where the stream stands after the sealed segment with this index.
    pub(crate) fn after_index(index: &Index) -> Self {
        let (ends, last) = (index.ends(), index.blocks.last());
        Self {
            next_number: ends.number,
            next_offset: ends.offset,
            raw_bytes: index.raw_before + index.raw_bytes(),
            received_time: last.map(|block| block.received_time),
            cursors: Arc::clone(&index.cursors),
            epoch: last.map_or(0, |block| block.epoch),
            time_rule: last.and_then(|block| block.time_rule),
        }
    }
}
