//! What a finished segment holds, in a few numbers: what the inventory keeps of it.

use lakehead_model::{Offset, TimeRule, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    format::{
        boundary::Boundary,
        index::{Index, IndexedBlock},
    },
    segment::block_ref::BlockRef,
};

/// What a finished segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) first_number: u64,
    pub(crate) blocks: u64,
    pub(crate) events: u64,
    /// Bytes of all the stream's events before it.
    pub(crate) raw_before: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) received_first: Timestamp,
    pub(crate) received_last: Timestamp,
    pub(crate) event_times: Option<(Timestamp, Timestamp)>,
    /// By which rule these were read, where it is one for all of the segment's blocks and known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_rule: Option<TimeRule>,
    pub(crate) sealed: bool,
}

impl Summary {
    pub(crate) fn of_index(index: &Index) -> Self {
        let received =
            |block: Option<&IndexedBlock>| block.map_or_else(Timestamp::default, |block| block.received_time);
        let (begins, ends) = (index.begins(), index.ends());
        Self {
            first_number: begins.number,
            blocks: ends.number - begins.number,
            events: ends.offset.since(begins.offset),
            raw_before: index.raw_before,
            raw_bytes: index.raw_bytes(),
            received_first: received(index.blocks.first()),
            received_last: received(index.blocks.last()),
            event_times: spanned(index.blocks.iter().filter_map(|block| block.event_times)),
            time_rule: common(index.blocks.iter().filter(|block| block.count > 0).map(|block| block.time_rule)),
            sealed: true,
        }
    }

    /// Of a segment that is not sealed; `None` when it has no block.
    pub(crate) fn of_blocks(blocks: &[BlockRef], raw_before: u64) -> Option<Self> {
        let (first, last) = (blocks.first()?, blocks.last()?);
        Some(Self {
            first_number: first.number,
            blocks: blocks.len() as u64,
            events: last.end_offset().since(first.first_offset),
            raw_before,
            raw_bytes: blocks.iter().map(|block_ref| u64::from(block_ref.raw_len)).sum(),
            received_first: first.received_time,
            received_last: last.received_time,
            event_times: spanned(blocks.iter().filter_map(|block_ref| block_ref.event_times)),
            time_rule: common(
                blocks.iter().filter(|block_ref| block_ref.count > 0).map(|block_ref| block_ref.time_rule),
            ),
            sealed: false,
        })
    }

    /// Where it ends, given the offset of its first event.
    pub(crate) fn ends(&self, first_offset: Offset) -> Boundary {
        Boundary { number: self.first_number + self.blocks, offset: first_offset.plus(self.events) }
    }
}

fn spanned(times: impl Iterator<Item = (Timestamp, Timestamp)>) -> Option<(Timestamp, Timestamp)> {
    times.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
}

/// The rule that all of them are, if they are one.
fn common(mut rules: impl Iterator<Item = Option<TimeRule>>) -> Option<TimeRule> {
    let first = rules.next()??;
    rules.all(|rule| rule == Some(first)).then_some(first)
}
