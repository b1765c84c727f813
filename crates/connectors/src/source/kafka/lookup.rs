//! Questions to the brokers: which topics there are, where partitions begin and end, what a group has committed. Each waits for
//! its answer, on the thread that reads.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use lakehead_connector_api::Error;
use lakehead_model::Timestamp;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    metadata::Metadata,
};

use super::{
    cursor::TopicPartition,
    partition::{GroupOffset, MemberNote},
    topics::TopicChoice,
};

/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A consumer that is asked.
pub(super) struct Lookup<'a, C: ConsumerContext> {
    pub(super) consumer: &'a BaseConsumer<C>,
    pub(super) brokers: &'a str,
}

impl<C: ConsumerContext> Lookup<'_, C> {
    /// The chosen topics, each with the number of its partitions.
    ///
    /// # Errors
    /// `Unavailable` where a topic that is named is not there, or nobody answers.
    pub(super) fn topics(&self, choice: &TopicChoice) -> Result<BTreeMap<String, i32>, Error> {
        let mut found = BTreeMap::new();
        if choice.has_patterns() {
            self.add_topics(&self.metadata(None)?, choice, &mut found)?;
        }
        for name in choice.names() {
            if !found.contains_key(name) {
                self.add_topics(&self.metadata(Some(name))?, choice, &mut found)?;
            }
        }
        if found.is_empty() {
            return Err(Error::unavailable(format!(
                "{}: no topic is there that topics and except choose",
                self.brokers
            )));
        }
        Ok(found)
    }

    fn metadata(&self, topic: Option<&str>) -> Result<Metadata, Error> {
        let asked = self.consumer.fetch_metadata(topic, ANSWER_WITHIN);
        asked.map_err(|error| self.away("asking for topics", &error))
    }

    fn add_topics(
        &self,
        metadata: &Metadata,
        choice: &TopicChoice,
        found: &mut BTreeMap<String, i32>,
    ) -> Result<(), Error> {
        let there: HashMap<&str, _> = metadata.topics().iter().map(|topic| (topic.name(), topic)).collect();
        for name in choice.chosen(there.keys().copied()) {
            let topic = there[name];
            match topic.error().map(RDKafkaErrorCode::from) {
                None => {
                    let count = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
                    found.insert(name.to_owned(), count);
                }
                Some(code @ RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    return Err(Error::Invalid(format!("{}: topic {name}: {code}", self.brokers)));
                }
                Some(code) if choice.is_named(name) => {
                    return Err(Error::unavailable(format!(
                        "{}: topic {name} cannot be read: {code}; create it, or correct topics",
                        self.brokers
                    )));
                }
                // A pattern takes what is there now; it is looked for again.
                Some(code) => tracing::warn!(topic = name, %code, "not read for now"),
            }
        }
        Ok(())
    }

    /// The first offset of a partition, and the one after its last.
    pub(super) fn range(&self, place: &TopicPartition) -> Result<(i64, i64), Error> {
        let asked = self.consumer.fetch_watermarks(&place.topic, place.partition, ANSWER_WITHIN);
        asked.map_err(|error| self.away(&format!("asking where {place} begins and ends"), &error))
    }

    /// The offset of the first record from `time` on, by partition; none where there is no such record yet.
    pub(super) fn at_time(
        &self,
        places: &[TopicPartition],
        time: Timestamp,
    ) -> Result<HashMap<TopicPartition, Option<i64>>, Error> {
        let asking = || format!("asking for offsets at {time}");
        // Negative numbers have other meanings there.
        let list = list(places.iter().map(|place| (place, time.millis().max(0))))?;
        let answer = self.consumer.offsets_for_times(list, ANSWER_WITHIN);
        let answer = answer.map_err(|error| self.away(&asking(), &error))?;
        let mut found = HashMap::new();
        for element in answer.elements() {
            element.error().map_err(|error| self.away(&asking(), &error))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            found.insert(TopicPartition::new(element.topic(), element.partition()), offset);
        }
        Ok(found)
    }

    /// What the group has committed, where it has.
    pub(super) fn committed(&self, places: &[TopicPartition]) -> Result<HashMap<TopicPartition, GroupOffset>, Error> {
        let asking = "asking what the group has committed";
        let list = list(places.iter().map(|place| (place, 0)))?;
        let answer = self.consumer.committed_offsets(list, ANSWER_WITHIN);
        let answer = answer.map_err(|error| self.away(asking, &error))?;
        let mut found = HashMap::new();
        for element in answer.elements() {
            element.error().map_err(|error| self.away(asking, &error))?;
            if let Offset::Offset(next) = element.offset() {
                let offset = GroupOffset { next, note: MemberNote::read(element.metadata()) };
                found.insert(TopicPartition::new(element.topic(), element.partition()), offset);
            }
        }
        Ok(found)
    }

    fn away(&self, doing: &str, error: &KafkaError) -> Error {
        let what = format!("{}: {doing}: {error}", self.brokers);
        match error.rdkafka_error_code() {
            Some(code) if is_for_a_person(code) => Error::Invalid(what),
            _ => Error::unavailable(what),
        }
    }
}

/// Whether only a person can help.
pub(super) fn is_for_a_person(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::UnsupportedSASLMechanism
            | Code::FencedInstanceId
    )
}

/// A list of partitions with offsets.
pub(super) fn list<'a>(
    places: impl IntoIterator<Item = (&'a TopicPartition, i64)>,
) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::new();
    for (place, offset) in places {
        list.add_partition_offset(&place.topic, place.partition, Offset::Offset(offset))
            .map_err(|error| Error::Internal(format!("{place} at {offset}: {error}")))?;
    }
    Ok(list)
}
