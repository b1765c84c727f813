//! The thread that reads: it owns the client, since that blocks, and lives until all that it has handed over is on disk or the
//! engine has gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use lakehead_connector_api::Error;
use lakehead_model::Timestamp;
use rdkafka::{
    ClientConfig, Message, Offset,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers},
};

use super::{
    config::{Config, Isolation},
    cursor::TopicPartition,
    gathered::RecordTaken,
    handover::PutOutcome,
    lookup::{is_for_a_person, list},
    record::Record,
    session::{FlushOutcome, Session},
};
use crate::progress::PAUSE;

/// Longest wait at a time; in between the thread looks whether it is to end, and commits.
const POLL_WITHIN: Duration = Duration::from_millis(100);

/// Between two commits where others wait for them: what a member that is killed has not committed comes twice. Where offsets are
/// committed for monitoring alone, less often.
const COMMIT_SHARED_EVERY: Duration = Duration::from_millis(200);
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// After all brokers were said to be away, so long until one is asked whether that is still so.
const AWAY_AFTER: Duration = Duration::from_secs(5);

/// Longest wait for a partition to be read from another offset.
const SEEK_WITHIN: Duration = Duration::from_secs(10);

/// Why the thread ends without an error.
enum ThreadEnding {
    /// The engine takes nothing any more.
    Stopped,
    /// As many events as are wanted have come.
    Ended,
}

/// The settings of the client.
pub(super) fn client(config: &Config, name: &str, member: u64) -> ClientConfig {
    let millis = |span: Duration| span.as_millis().to_string();
    let memory = config.memory.0;
    let mut client = ClientConfig::new();
    let fetch = memory.min(50 << 20);
    let isolation = match config.isolation {
        Isolation::ReadCommitted => "read_committed",
        Isolation::ReadUncommitted => "read_uncommitted",
    };
    for (key, value) in [
        ("bootstrap.servers", config.brokers.clone()),
        ("client.id", format!("lakehead-{name}")),
        ("group.id", config.group.clone().unwrap_or_else(|| format!("lakehead-{name}"))),
        ("group.protocol", "classic".to_owned()),
        ("partition.assignment.strategy", "cooperative-sticky".to_owned()),
        ("enable.auto.commit", "false".to_owned()),
        ("enable.auto.offset.store", "false".to_owned()),
        // Never begin anywhere by itself.
        ("auto.offset.reset", "error".to_owned()),
        ("allow.auto.create.topics", "false".to_owned()),
        ("isolation.level", isolation.to_owned()),
        ("queued.max.messages.kbytes", (memory >> 10).to_string()),
        ("fetch.message.max.bytes", (1_u64 << 20).min(fetch).to_string()),
        ("fetch.max.bytes", fetch.to_string()),
        // When there is room again in the queue, fetch again at once.
        ("fetch.queue.backoff.ms", "20".to_owned()),
        ("topic.metadata.refresh.interval.ms", millis(config.discovery.0.max(Duration::from_secs(1)))),
        ("enable.metrics.push", "false".to_owned()),
    ] {
        client.set(key, value);
    }
    if config.shared {
        // A member of a name of its own comes back to its partitions after a restart, and nothing moves.
        client.set("group.instance.id", format!("lakehead-{name}-{member:016x}"));
    }
    for (key, value) in &config.client {
        client.set(key, value);
    }
    client
}

/// Reads until the end. What goes wrong is handed over.
pub(super) fn run(session: Session, client: &ClientConfig) {
    let between = session.between.clone();
    let consumer: BaseConsumer<Session> = match client.create_with_context(session) {
        Ok(consumer) => consumer,
        Err(error) => return drop(between.put(Err(not_made(&error)), POLL_WITHIN)),
    };
    let session = consumer.context().clone();
    let outcome = Consuming::new(&consumer, &session).consume();
    let is_away = outcome.is_err();
    let last = match outcome {
        Ok(ThreadEnding::Stopped) => None,
        Ok(ThreadEnding::Ended) => Some(Ok(None)),
        Err(error) => {
            // What was read before is good.
            session.state().flush(&between, session.config.handover.0);
            Some(Err(error))
        }
    };
    if let Some(mut last) = last {
        while let PutOutcome::Full(again) = between.put(last, POLL_WITHIN) {
            last = again;
        }
    }
    close(&consumer, &session, is_away);
}

/// Commits what is on disk once all is, or nobody says so any more.
fn close(consumer: &BaseConsumer<Session>, session: &Arc<Session>, is_away: bool) {
    if session.config.group.is_some() {
        session.wait_for_disk();
        if !is_away || session.config.shared {
            session.commit_last(consumer);
        }
    }
    session.state().is_closing = true;
}

/// The client refuses its settings. What was set is not told: it may be a secret.
fn not_made(error: &KafkaError) -> Error {
    Error::Invalid(match error {
        KafkaError::ClientConfig(_, why, key, _) => format!("client: {key:?}: {why}"),
        KafkaError::ClientCreation(why) => format!("client: {why}"),
        other => format!("client: {other}"),
    })
}

/// A consumer at work.
struct Consuming<'a> {
    consumer: &'a BaseConsumer<Session>,
    session: &'a Session,
    topics: BTreeMap<String, i32>,
    committed_at: Instant,
    discovered_at: Instant,
    heard_at: Instant,
    away_since: Option<Instant>,
}

impl<'a> Consuming<'a> {
    fn new(consumer: &'a BaseConsumer<Session>, session: &'a Session) -> Self {
        let now = Instant::now();
        Self {
            consumer,
            session,
            topics: BTreeMap::new(),
            committed_at: now,
            discovered_at: now,
            heard_at: now,
            away_since: None,
        }
    }

    fn consume(&mut self) -> Result<ThreadEnding, Error> {
        let lookup = self.session.lookup(self.consumer);
        let topics = lookup.topics(&self.session.choice)?;
        self.session.state().at_opening.clone_from(&topics);
        self.follow(topics)?;
        let events_max = self.session.config.events_max.unwrap_or(u64::MAX);
        loop {
            if self.session.between.is_closed() {
                return Ok(ThreadEnding::Stopped);
            }
            if let Some(error) = self.session.state().failed.take() {
                return Err(error);
            }
            self.keep_up()?;
            let (flushed, events) = {
                let mut state = self.session.state();
                (state.flush(&self.session.between, POLL_WITHIN), state.gathered.events)
            };
            match flushed {
                FlushOutcome::Taken if events >= events_max => return Ok(ThreadEnding::Ended),
                FlushOutcome::Taken => {}
                FlushOutcome::Waiting => continue,
                FlushOutcome::Closed => return Ok(ThreadEnding::Stopped),
            }
            self.gather(events_max)?;
        }
    }

    /// Waits for records, and takes those that are there, up to a chunk.
    fn gather(&mut self, events_max: u64) -> Result<(), Error> {
        let mut within = POLL_WITHIN;
        while let Some(polled) = self.consumer.poll(within) {
            within = Duration::ZERO;
            match polled {
                Ok(message) => {
                    self.take(&message)?;
                    let state = self.session.state();
                    if state.gathered.is_full() || state.gathered.events >= events_max {
                        break;
                    }
                }
                Err(error) => self.said(&error)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Error> {
        let now = Instant::now();
        (self.heard_at, self.away_since) = (now, None);
        let headers = message.headers().map(|headers| headers.iter().map(|one| (one.key, one.value)).collect());
        let record = Record {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().map(Timestamp::from_millis),
            is_append_time: matches!(message.timestamp(), rdkafka::Timestamp::LogAppendTime(_)),
            key: message.key(),
            headers: headers.unwrap_or_default(),
            value: message.payload(),
        };
        let mut state = self.session.state();
        match state.gathered.take(&record, now) {
            RecordTaken::Done | RecordTaken::Unknown => Ok(()),
            RecordTaken::Another => {
                let place = TopicPartition::new(record.topic, record.partition);
                let (low, _) = self.session.lookup(self.consumer).range(&place)?;
                let stream = self.session.choice.stream_of(&place.topic).map_err(Error::Invalid)?;
                let why = format!("the record at offset {} is another one", record.offset);
                self.session.begin_again(&mut state, &place, stream, low, &why)?;
                drop(state);
                let sought = self.consumer.seek(&place.topic, place.partition, Offset::Offset(low), SEEK_WITHIN);
                sought.map_err(|error| Error::unavailable(format!("reading {place} from offset {low}: {error}")))
            }
        }
    }

    /// What is to be done now and then.
    fn keep_up(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let Config { group, shared, discovery, .. } = &self.session.config;
        let every = if *shared { COMMIT_SHARED_EVERY } else { COMMIT_EVERY };
        if group.is_some() && now.duration_since(self.committed_at) >= every {
            self.committed_at = now;
            self.session.commit(self.consumer);
        }
        if now.duration_since(self.heard_at) >= PAUSE && self.away_since.is_none() {
            self.session.state().gathered.paused(now);
        }
        let is_away = self.away_since.is_some_and(|since| now.duration_since(since) >= AWAY_AFTER);
        if is_away || now.duration_since(self.discovered_at) >= discovery.0 {
            let topics =
                self.session.lookup(self.consumer).topics(&self.session.choice).map_err(|error| match error {
                    Error::Unavailable { what, retry_after } if is_away => {
                        let said = &self.session.state().said;
                        Error::Unavailable { what: format!("{what} ({said})"), retry_after }
                    }
                    other => other,
                })?;
            (self.discovered_at, self.away_since) = (Instant::now(), None);
            if topics != self.topics {
                self.follow(topics)?;
            }
        }
        Ok(())
    }

    /// Reads these topics from now on.
    fn follow(&mut self, topics: BTreeMap<String, i32>) -> Result<(), Error> {
        for topic in topics.keys() {
            self.session.choice.stream_of(topic).map_err(Error::Invalid)?;
        }
        let done = if self.session.config.shared {
            // Partitions that are new to a topic come through the group by themselves.
            let names = |topics: &BTreeMap<String, i32>| topics.keys().cloned().collect::<BTreeSet<_>>();
            if names(&topics) == names(&self.topics) {
                Ok(())
            } else {
                self.consumer.subscribe(&topics.keys().map(String::as_str).collect::<Vec<_>>())
            }
        } else {
            let all = |topics: &BTreeMap<String, i32>| {
                let of = |(topic, count): (&String, &i32)| {
                    (0..*count).map(|partition| TopicPartition::new(topic, partition)).collect::<Vec<_>>()
                };
                topics.iter().flat_map(of).collect::<BTreeSet<_>>()
            };
            let (wanted, followed) = (all(&topics), all(&self.topics));
            let new: Vec<_> = wanted.difference(&followed).cloned().collect();
            self.session.begin(self.consumer, &new)?;
            let state = self.session.state();
            let from = |place| Some((place, state.gathered.partitions.get(place)?.fetched_from()));
            let assigned = list(wanted.iter().filter_map(from))?;
            drop(state);
            self.consumer.assign(&assigned)
        };
        done.map_err(|error| Error::unavailable(format!("reading the topics: {error}")))?;
        self.topics = topics;
        Ok(())
    }

    /// What an error of the client means.
    fn said(&mut self, error: &KafkaError) -> Result<(), Error> {
        use RDKafkaErrorCode as Code;
        let brokers = &self.session.config.brokers;
        let said = self.session.state().said.clone();
        let what = || format!("{brokers}: {error}: {said}");
        let Some(code) = error.rdkafka_error_code() else {
            tracing::warn!(%error, "from the client");
            return Ok(());
        };
        match code {
            Code::GroupAuthorizationFailed if self.session.config.group.is_none() => Ok(()),
            _ if is_for_a_person(code) => Err(Error::Invalid(what())),
            Code::AllBrokersDown => {
                self.away_since.get_or_insert_with(Instant::now);
                Ok(())
            }
            // Where each partition begins is looked up again when the source is opened again.
            Code::AutoOffsetReset | Code::OffsetOutOfRange => Err(Error::unavailable(format!(
                "{brokers}: an offset that was asked for is not there any more; where each partition begins is looked up again"
            ))),
            Code::UnknownTopic
            | Code::UnknownPartition
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopicId
            | Code::PollExceeded
            | Code::BadMessage => Err(Error::unavailable(what())),
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Err(Error::unavailable(what())),
            _ => {
                tracing::debug!(%error, said, "from the client");
                Ok(())
            }
        }
    }
}
