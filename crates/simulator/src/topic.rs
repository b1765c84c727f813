//! A topic of the simulated Kafka, and the number that says that a topic has no further event.

/// One Kafka topic, which has one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) stream: String,
}

/// An event number past all events: where a topic has no further event.
pub(crate) const NONE: u64 = u64::MAX;
