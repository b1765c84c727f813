//! What the thread that reads knows, and what it does when the group moves partitions. librdkafka calls it back on that thread.
//!
//! ```text
//! a partition comes: own log, group's offset, what the brokers have ─▶ where to begin, what to note
//! a partition goes:  hand over what was read ─▶ wait until it is on disk ─▶ commit ─▶ let it go
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lakehead_connector_api::{Chunk, Error};
use lakehead_model::{Clock, Timestamp};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};

use super::{
    acked::Acked,
    config::{Config, Recreated, Start},
    cursor::{PARTITIONS_MAX, PartitionCursor, TOPICS_BYTES_MAX, TopicPartition},
    gathered::Gathered,
    handover::{Handover, PutOutcome},
    lookup::{Lookup, list},
    partition::{Beginning, FollowedPartition, MemberNote, Noted, PartitionFacts, beginning},
    topics::TopicChoice,
};

/// What was gathered, and whether the engine has taken it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlushOutcome {
    /// All of it has been taken.
    Taken,
    /// There was no room in time.
    Waiting,
    /// Nobody takes anything any more.
    Closed,
}

/// What a client is made with, and what changes while it lives.
pub(super) struct Session {
    pub(super) config: Config,
    pub(super) choice: TopicChoice,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) acked: Arc<Acked>,
    pub(super) between: Arc<Handover>,
    pub(super) state: Mutex<SessionState>,
}

/// What changes. Only the thread that reads touches it, in callbacks and between them.
pub(super) struct SessionState {
    pub(super) gathered: Gathered,
    /// Made, and not taken by the engine yet.
    pub(super) unsent: Option<Chunk>,
    /// What the group has, as far as it has answered.
    pub(super) committed: HashMap<TopicPartition, i64>,
    /// Nothing was ever read.
    pub(super) is_first: bool,
    /// The topics, with the numbers of their partitions, when the source was opened.
    pub(super) at_opening: BTreeMap<String, i32>,
    /// What went wrong in a callback.
    pub(super) failed: Option<Error>,
    /// The source is being closed: nothing is waited for any more.
    pub(super) is_closing: bool,
    /// What the client has said last about its connections.
    pub(super) said: String,
}

impl SessionState {
    /// Hands over what was gathered.
    pub(super) fn flush(&mut self, between: &Handover, within: Duration) -> FlushOutcome {
        let deadline = Instant::now() + within;
        loop {
            let now = Instant::now();
            let Some(chunk) = self.unsent.take().or_else(|| self.gathered.hand_over(now)) else {
                return FlushOutcome::Taken;
            };
            let to = chunk.to;
            match between.put(Ok(Some(chunk)), deadline.saturating_duration_since(now)) {
                PutOutcome::Put => self.gathered.handed_over(to),
                PutOutcome::Full(chunk) => {
                    self.unsent = chunk.ok().flatten();
                    return FlushOutcome::Waiting;
                }
                PutOutcome::Closed => return FlushOutcome::Closed,
            }
        }
    }

    /// The partitions that are read here, now.
    fn owned(&self) -> Vec<TopicPartition> {
        let owned = self.gathered.partitions.iter().filter(|(_, partition)| partition.is_owned);
        owned.map(|(place, _)| place.clone()).collect()
    }

    /// These partitions, each up to where it was handed over.
    fn handed(&self, places: &[TopicPartition]) -> Vec<(TopicPartition, i64)> {
        let handed = |place: &TopicPartition| Some((place.clone(), self.gathered.partitions.get(place)?.handed));
        places.iter().filter_map(handed).collect()
    }

    /// Refuses partitions beyond what a cursor holds.
    fn check_room(&self, places: &[TopicPartition]) -> Result<(), Error> {
        let new = places.iter().filter(|place| !self.gathered.partitions.contains_key(place));
        let all: std::collections::BTreeSet<_> = self.gathered.partitions.keys().chain(new).collect();
        let topics: std::collections::BTreeSet<_> = all.iter().map(|place| &*place.topic).collect();
        let bytes: usize = topics.iter().map(|topic| topic.len()).sum();
        if all.len() <= PARTITIONS_MAX && bytes <= TOPICS_BYTES_MAX {
            return Ok(());
        }
        Err(Error::Invalid(format!(
            "topics: {} partitions of {} topics with names of {bytes} bytes; a source reads at most {PARTITIONS_MAX} partitions, \
             of topics whose names have at most {TOPICS_BYTES_MAX} bytes: split the topics over several sources",
            all.len(),
            topics.len()
        )))
    }
}

impl Session {
    pub(super) fn state(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lookup<'a>(&'a self, consumer: &'a BaseConsumer<Self>) -> Lookup<'a, Self> {
        Lookup { consumer, brokers: &self.config.brokers }
    }

    /// Begins to read these partitions; the list says from which offset each is to be fetched.
    pub(super) fn begin(
        &self,
        consumer: &BaseConsumer<Self>,
        places: &[TopicPartition],
    ) -> Result<TopicPartitionList, Error> {
        let lookup = self.lookup(consumer);
        let mut state = self.state();
        state.check_room(places)?;
        let committed = if self.config.shared { lookup.committed(places)? } else { HashMap::new() };
        let young = match self.config.age_max {
            Some(age) => lookup.at_time(places, self.clock.now().minus(age.0))?,
            None => HashMap::new(),
        };
        let mut fetched = Vec::with_capacity(places.len());
        for place in places {
            let stream = self.choice.stream_of(&place.topic).map_err(Error::Invalid)?;
            let (low, high) = lookup.range(place)?;
            let facts = PartitionFacts {
                own: state.gathered.partitions.get(place).map(|partition| partition.at.next),
                group: committed.get(place).copied(),
                low,
                high,
                young: young.get(place).map(|offset| offset.unwrap_or(high)),
            };
            let begins = match beginning(&facts, state.gathered.member) {
                Beginning::Beyond { next } => {
                    self.begin_again(&mut state, place, stream, low, &format!("it ends at {high}, before {next}"))?;
                    None
                }
                Beginning::Fresh => {
                    let (next, noted) = self.fresh(&state, &lookup, place, &facts)?;
                    Some((next, false, noted))
                }
                Beginning::At { next, resumed, noted } => Some((next, resumed, noted)),
            };
            if let Some((next, resumed, noted)) = begins {
                state.gathered.follow(place, stream, PartitionCursor::default());
                state.gathered.begin(place, next, resumed, &noted);
                if !resumed {
                    self.acked.set(place, next);
                }
            }
            if let Some(group) = facts.group.filter(|group| group.next <= high) {
                state.committed.insert(place.clone(), group.next);
                state.gathered.took_over(place, group);
            }
            let from = state.gathered.partitions.get(place).map_or(low, |partition| partition.fetched_from());
            fetched.push((place, from));
        }
        list(fetched)
    }

    /// Where a partition begins of which nothing was read yet.
    fn fresh(
        &self,
        state: &SessionState,
        lookup: &Lookup<'_, Self>,
        place: &TopicPartition,
        facts: &PartitionFacts,
    ) -> Result<(i64, Vec<Noted>), Error> {
        let PartitionFacts { low, high, young, .. } = *facts;
        if let Some(offset) = self.config.offsets.get(&place.to_string()).copied() {
            return match offset {
                _ if offset > high => Err(Error::Invalid(format!(
                    "offsets: {place}: expected at most {high}, where it ends, found {offset}"
                ))),
                _ if offset < low => Ok((low, vec![Noted::Gone(offset, low)])),
                _ => Ok((offset, Vec::new())),
            };
        }
        let was_there = state.at_opening.get(&*place.topic).is_some_and(|count| place.partition < *count);
        let is_known = state.gathered.partitions.keys().any(|other| other.topic == place.topic);
        let is_new = state.is_first || (self.choice.is_named(&place.topic) && !is_known);
        let at = |time: Timestamp| {
            let found = lookup.at_time(std::slice::from_ref(place), time)?;
            Ok::<_, Error>(found.get(place).copied().flatten().unwrap_or(high))
        };
        let next = match self.config.start {
            _ if !(was_there && is_new) => low,
            Start::Earliest => low,
            Start::Latest => high,
            Start::At(time) => at(time)?,
            Start::Back(span) => at(self.clock.now().minus(span.0))?,
        };
        Ok((next.max(low).max(young.unwrap_or(low)), Vec::new()))
    }

    /// A partition is not the one that was read before: begins again, or stops.
    pub(super) fn begin_again(
        &self,
        state: &mut SessionState,
        place: &TopicPartition,
        stream: usize,
        low: i64,
        why: &str,
    ) -> Result<(), Error> {
        match self.config.recreated {
            Recreated::Stop => Err(Error::Invalid(format!(
                "{}: {place} is not the partition that was read before: {why}. Its topic was created again, or brokers leads to \
                 another cluster, or the cluster has lost records. What is there now is read from its first record with \
                 recreated = \"begin_again\"",
                self.config.brokers
            ))),
            Recreated::BeginAgain => {
                tracing::warn!(partition = %place, why, "begins again: it is not the partition that was read before");
                state.gathered.follow(place, stream, PartitionCursor::default());
                state.gathered.begin_again(place, low);
                self.acked.set(place, low);
                Ok(())
            }
        }
    }

    /// Commits to the group what is on disk of the partitions that are read here.
    pub(super) fn commit(&self, consumer: &BaseConsumer<Self>) {
        let mut state = self.state();
        let owned = state.owned();
        self.commit_of(consumer, &mut state, &owned, CommitMode::Async, |_, _| false);
    }

    /// The same at the end, once the engine has said all that it will say: what is on disk then is all that this log has.
    pub(super) fn commit_last(&self, consumer: &BaseConsumer<Self>) {
        let mut state = self.state();
        let owned = state.owned();
        let is_over = self.acked.is_over();
        self.commit_of(consumer, &mut state, &owned, CommitMode::Sync, |_, _| is_over);
    }

    /// Commits what is on disk of these. `is_released` says of a partition and an offset whether this log has nothing beyond it,
    /// and will not.
    fn commit_of(
        &self,
        consumer: &BaseConsumer<Self>,
        state: &mut SessionState,
        places: &[TopicPartition],
        mode: CommitMode,
        is_released: impl Fn(&FollowedPartition, i64) -> bool,
    ) {
        let mut list = TopicPartitionList::new();
        for place in places {
            let (Some(next), Some(partition)) = (self.acked.of(place), state.gathered.partitions.get(place)) else {
                continue;
            };
            // In the end it is said once more, with the word that it is given up.
            let is_last = matches!(mode, CommitMode::Sync);
            if !is_last && state.committed.get(place).is_some_and(|committed| *committed >= next) {
                continue;
            }
            let is_released = is_released(partition, next);
            let note = MemberNote { member: state.gathered.member, from: partition.from, is_released };
            let mut element = list.add_partition(&place.topic, place.partition);
            if element.set_offset(Offset::Offset(next)).is_err() {
                continue;
            }
            if self.config.shared {
                element.set_metadata(note.text());
            }
        }
        if list.count() == 0 {
            return;
        }
        match consumer.commit(&list, mode) {
            Ok(()) if matches!(mode, CommitMode::Sync) => state.take_committed(&list),
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "offsets were not committed"),
        }
    }

    /// Waits until all that was handed over is on disk, or nobody says so any more.
    pub(super) fn wait_for_disk(&self) {
        let handed = {
            let state = self.state();
            state.handed(&state.owned())
        };
        self.acked.wait(&handed, self.config.handover.0);
    }

    /// Lets partitions go to another member.
    fn give_up(&self, consumer: &BaseConsumer<Self>, places: &[TopicPartition], is_lost: bool) {
        let begun = Instant::now();
        let mut state = self.state();
        if !is_lost && !state.is_closing {
            let within = self.config.handover.0;
            state.flush(&self.between, within);
            let handed = state.handed(places);
            self.acked.wait(&handed, within.saturating_sub(begun.elapsed()));
            let is_all = |partition: &FollowedPartition, next| next >= partition.at.next;
            self.commit_of(consumer, &mut state, places, CommitMode::Sync, is_all);
        }
        for place in places {
            let Some(partition) = state.gathered.partitions.get(place) else { continue };
            let (from, to) = (partition.from, partition.at.next);
            let committed = state.committed.remove(place).unwrap_or(from);
            let overrun = (committed < to && !state.is_closing).then_some((committed, to));
            if let Some((from, to)) = overrun {
                tracing::warn!(partition = %place, from, to, "given up before it was committed; the next member reads these again");
            }
            state.gathered.give_up(place, overrun);
        }
    }
}

impl SessionState {
    fn take_committed(&mut self, list: &TopicPartitionList) {
        for element in list.elements() {
            if let (Ok(()), Offset::Offset(next)) = (element.error(), element.offset()) {
                self.committed.insert(TopicPartition::new(element.topic(), element.partition()), next);
            }
        }
    }
}

/// What librdkafka says goes to the log as detail: what matters of it comes as an error too, and is told once.
impl ClientContext for Session {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        tracing::debug!(?level, fac, log_message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        self.state().said = reason.chars().take(400).collect();
    }
}

impl ConsumerContext for Session {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, moved: &mut TopicPartitionList) {
        let places: Vec<_> =
            moved.elements().iter().map(|one| TopicPartition::new(one.topic(), one.partition())).collect();
        let is_cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done: Result<(), Error> = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                tracing::debug!(?places, "partitions come");
                self.begin(consumer, &places).and_then(|list| {
                    let done = if is_cooperative { consumer.incremental_assign(&list) } else { consumer.assign(&list) };
                    done.map_err(|error| Error::unavailable(format!("taking over partitions: {error}")))
                })
            }
            _ => {
                tracing::debug!(?places, "partitions go");
                self.give_up(consumer, &places, consumer.assignment_lost());
                let done = if is_cooperative { consumer.incremental_unassign(moved) } else { consumer.unassign() };
                done.map_err(|error| Error::unavailable(format!("giving up partitions: {error}")))
            }
        };
        if let Err(error) = done {
            // The group waits for an answer in any case, and a client that has given none cannot be closed.
            let none = TopicPartitionList::new();
            let answered = if is_cooperative { consumer.incremental_assign(&none) } else { consumer.unassign() };
            tracing::debug!(?answered, %error, "partitions were not taken over or given up in order");
            self.state().failed.get_or_insert(error);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.state().take_committed(offsets),
            Err(error) => tracing::debug!(%error, "offsets were not committed"),
        }
    }
}
