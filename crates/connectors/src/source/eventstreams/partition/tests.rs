//! The decisions of exact resume, one by one.

use super::*;

pub(crate) fn partition(topic: &str) -> Partition {
    Partition::new(Entry {
        topic: topic.to_owned(),
        partition: 0,
        since: Timestamp::from_seconds(0),
        event_time: None,
        kafka_time: None,
        through: None,
        held: None,
        unproven: false,
    })
}
