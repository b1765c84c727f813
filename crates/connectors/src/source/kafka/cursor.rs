//! The cursor as it is written, one for each stream: the partitions of the topics that go there.
//!
//! ```json
//! {"version":1,"member":7012,"topics":{"orders":[[0,1200,7734092881,1796040000000000],[1,0,null,null]]}}
//! ```
//! A partition is its number, the offset after the last record that was read, the checksum of that record, and the greatest event
//! time in microseconds. The checksum tells whether the partition is still the one that was read. `member` is a number by which
//! this source knows what it has committed to a group itself.

use std::{collections::BTreeMap, fmt, sync::Arc};

use lakehead_connector_api::Error;
use lakehead_model::Timestamp;
use serde::{Deserialize, Serialize};

/// The version written, and the only one read.
const VERSION: u32 = 1;

/// Most partitions that one source may read, over all its topics: each takes up to 80 bytes of a cursor, which may have 64 KiB and
/// is written with every block.
pub(super) const PARTITIONS_MAX: usize = 512;

/// Most bytes of the names of their topics together.
pub(super) const TOPICS_BYTES_MAX: usize = 16 << 10;

/// A topic and a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TopicPartition {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
}

impl TopicPartition {
    pub(super) fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

/// As the gap ledger and rejects name it: `orders/0`.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Where a partition stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PartitionCursor {
    /// The offset after the last record that was read.
    pub(super) next: i64,
    /// The checksum of that record; none where no record was read, or what followed on it was passed over.
    pub(super) last: Option<u64>,
    /// The greatest event time.
    pub(super) event_time: Option<Timestamp>,
}

/// Partition, next, last, event time.
type PartitionEntry = (i32, i64, Option<u64>, Option<Timestamp>);

/// A cursor.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KafkaCursor {
    version: u32,
    member: u64,
    topics: BTreeMap<Arc<str>, Vec<PartitionEntry>>,
}

/// The text of a cursor of these partitions.
pub(super) fn write<'a>(
    member: u64,
    partitions: impl IntoIterator<Item = (&'a TopicPartition, PartitionCursor)>,
) -> String {
    let mut cursor = KafkaCursor { version: VERSION, member, topics: BTreeMap::new() };
    for (place, PartitionCursor { next, last, event_time }) in partitions {
        let written = (place.partition, next, last, event_time);
        cursor.topics.entry(place.topic.clone()).or_default().push(written);
    }
    serde_json::to_string(&cursor).expect("strings and numbers are always JSON")
}

/// The member and the partitions of a cursor.
///
/// # Errors
/// `Corrupt` where it is none of this kind of source.
pub(super) fn read(text: &str) -> Result<(u64, Vec<(TopicPartition, PartitionCursor)>), Error> {
    let unreadable = |why: String| Error::Corrupt(format!("the cursor of a kafka source cannot be read: {why}"));
    let cursor: KafkaCursor = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    if cursor.version != VERSION {
        return Err(unreadable(format!("expected version {VERSION}, found {}", cursor.version)));
    }
    let of_topic = |(topic, partitions): (Arc<str>, Vec<PartitionEntry>)| {
        partitions.into_iter().map(move |(partition, next, last, event_time)| {
            (TopicPartition { topic: topic.clone(), partition }, PartitionCursor { next, last, event_time })
        })
    };
    Ok((cursor.member, cursor.topics.into_iter().flat_map(of_topic).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_written() {
        let busy = PartitionCursor { next: 6_520_000_000, last: Some(u64::MAX), event_time: Some(Timestamp(5)) };
        let written = [
            (TopicPartition::new("a.b", 0), busy),
            (TopicPartition::new("a.b", 11), PartitionCursor::default()),
            (TopicPartition::new("c", 3), PartitionCursor { last: None, ..busy }),
        ];
        let text = write(7, written.iter().map(|(place, at)| (place, *at)));
        assert_eq!(read(&text).expect("a cursor"), (7, written.to_vec()));
    }

    #[test]
    fn another_or_a_newer_cursor_is_refused() {
        for text in ["", "7", "{\"version\":1}", "{\"version\":2,\"member\":0,\"topics\":{}}"] {
            assert!(matches!(read(text), Err(Error::Corrupt(_))), "{text:?}");
        }
    }

    #[test]
    fn the_fullest_cursor_stays_within_its_bound() {
        let at = PartitionCursor { next: i64::MAX, last: Some(u64::MAX), event_time: Some(Timestamp(i64::MAX)) };
        // Sixty-five names of the greatest length.
        let name = |n: usize| format!("{n:0>249}");
        let places: Vec<_> =
            (0..PARTITIONS_MAX).map(|n| TopicPartition::new(&name(n % (TOPICS_BYTES_MAX / 249)), i32::MAX)).collect();
        let text = write(u64::MAX, places.iter().map(|place| (place, at)));
        assert!(text.len() <= 64 << 10, "{}", text.len());
    }
}
