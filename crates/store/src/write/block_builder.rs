//! A block in the making: appends go in until it is full or old enough.
//!
//! Events are copied once, from the append into the block's buffer; an append that fills a block by itself is moved in.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use lakehead_model::{Cursor, Name, TimeRule, Timestamp};

use crate::{
    options::Options,
    write::{append::Append, ticket::Waiting},
};

/// A block with this many bytes of keys is full, so that its footer keeps within its bound.
const KEY_BYTES_FULL: usize = 1 << 20;
/// Sources that one stream may have at one time: their cursors are repeated in every footer. One that is done gives its
/// place back ([`Stream::drop_cursors`](crate::Stream::drop_cursors)).
pub(crate) const SOURCES_MAX: usize = 128;

/// The appends of one block to come.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    payload: Payload,
    pub(crate) ends: Vec<u32>,
    pub(crate) event_time_least: Option<Timestamp>,
    pub(crate) event_time_greatest: Option<Timestamp>,
    /// By which rule these were read: nothing before anything came that says it, `Some(None)` where not all were read by
    /// the same.
    time_rule: Option<Option<TimeRule>>,
    /// The cursors that these appends moved.
    cursors: BTreeMap<Name, Cursor>,
    /// One for each append, in order: who waits, with how many events and which keys.
    pub(crate) parts: Vec<Part>,
    key_bytes: usize,
    urgent: bool,
    /// The stream's failures when the last of these appends was let in.
    pub(crate) failures: u64,
    opened: Option<Instant>,
}

/// One append in a block.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) waiting: Waiting,
    pub(crate) count: u32,
    pub(crate) keys: Vec<String>,
}

#[derive(Debug)]
enum Payload {
    /// Copied together, in a buffer that is used again.
    Gathered(BytesMut),
    /// One append's own buffer.
    Moved(Vec<u8>),
}

impl Default for Payload {
    fn default() -> Self {
        Self::Gathered(BytesMut::new())
    }
}

impl BlockBuilder {
    /// An empty one that gathers into `buffer`.
    pub(crate) fn into_buffer(buffer: BytesMut) -> Self {
        Self { payload: Payload::Gathered(buffer), ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        match &self.payload {
            Payload::Gathered(buffer) => buffer,
            Payload::Moved(buffer) => buffer,
        }
    }

    /// Whether `append` can go in without passing the size of a block. It always can when the block is empty, since
    /// an append is never split.
    pub(crate) fn has_room_for(&self, append: &Append, options: &Options) -> bool {
        let more = append.events.payload().len();
        self.is_empty() || more == 0 || (self.payload().len() + more) as u64 <= options.block_bytes.0
    }

    /// Whether the block is to be closed whatever its age.
    pub(crate) fn is_full(&self, options: &Options) -> bool {
        self.payload().len() as u64 >= options.block_bytes.0 || self.key_bytes >= KEY_BYTES_FULL
    }

    /// When the block is to be closed by its age; `None` while it is empty.
    pub(crate) fn deadline(&self, options: &Options) -> Option<Instant> {
        let hurried = self.urgent || self.ends.len() >= Options::HURRIED_EVENTS;
        let age = if hurried { options.block_age_hurried.min(options.block_age_max) } else { options.block_age_max };
        self.opened.map(|opened| opened + age.0)
    }

    /// Takes an append in. `now` is when the first came, for the block's age.
    pub(crate) fn add(&mut self, append: Append, waiting: Waiting, now: Instant, options: &Options) {
        let Append { source, events, cursor, keys, urgent } = append;
        let says_times = !events.is_empty() || cursor.as_ref().is_some_and(|cursor| cursor.progress.is_some());
        if says_times {
            let rule = events.time_rule();
            self.time_rule = Some(self.time_rule.map_or(rule, |before| before.filter(|_| before == rule)));
        }
        for time in events.event_times().iter().copied().flatten() {
            self.event_time_least = Some(self.event_time_least.map_or(time, |least| least.min(time)));
            self.event_time_greatest = self.event_time_greatest.max(Some(time));
        }
        // Bounded far below 4 GiB by APPEND_BYTES_MAX and BLOCK_BYTES_MAX.
        let count = events.len() as u32;
        let fills = self.payload().is_empty() && events.payload().len() as u64 * 4 >= options.block_bytes.0 * 3;
        if fills {
            let (payload, ends, _) = events.into_parts();
            self.ends = ends;
            self.payload = Payload::Moved(payload);
        } else {
            let base = self.payload().len() as u32;
            self.ends.extend(events.ends().iter().map(|end| base + end));
            match &mut self.payload {
                Payload::Gathered(buffer) => {
                    if buffer.is_empty() {
                        buffer.reserve(usize::try_from(options.block_bytes.0).unwrap_or(0));
                    }
                    buffer.extend_from_slice(events.payload());
                }
                Payload::Moved(buffer) => buffer.extend_from_slice(events.payload()),
            }
        }
        if let Some(cursor) = cursor {
            self.cursors.insert(source, cursor);
        }
        self.key_bytes += keys.iter().map(String::len).sum::<usize>();
        self.parts.push(Part { waiting, count, keys });
        self.urgent |= urgent;
        self.opened = self.opened.or(Some(now));
    }

    /// By which rule the times of this block were read, given that of the block before it, which goes for one that says
    /// nothing of times.
    pub(crate) fn time_rule_after(&self, before: Option<TimeRule>) -> Option<TimeRule> {
        self.time_rule.unwrap_or(before)
    }

    /// The cursors of all sources after this block, given those before it. What these told of progress goes only as long as
    /// times are `read_alike`.
    pub(crate) fn cursors_after(
        &self,
        before: &Arc<BTreeMap<Name, Cursor>>,
        read_alike: bool,
    ) -> Arc<BTreeMap<Name, Cursor>> {
        if self.cursors.is_empty() && read_alike {
            return Arc::clone(before);
        }
        let mut all = BTreeMap::clone(before);
        if !read_alike {
            all.values_mut().for_each(|cursor| cursor.progress = None);
        }
        all.extend(self.cursors.iter().map(|(name, cursor)| (name.clone(), cursor.clone())));
        Arc::new(all)
    }

    /// The payload for sharing, and the buffer that is free again. A small payload is copied out of its buffer, so that
    /// readers of the tail do not hold a whole block's memory for it.
    pub(crate) fn take_payload(&mut self) -> (Bytes, Option<BytesMut>) {
        match std::mem::take(&mut self.payload) {
            Payload::Gathered(buffer) if buffer.len() * 2 < buffer.capacity() => {
                (Bytes::copy_from_slice(&buffer), Some(buffer))
            }
            Payload::Gathered(buffer) => (buffer.freeze(), None),
            Payload::Moved(buffer) => (buffer.into(), None),
        }
    }
}
