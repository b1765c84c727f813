//! What the engine and the store are to a source, a producer, and topics that are made as a test wants them.

use std::{
    io::Write,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use lakehead_connector_api::{Discontinuity, Error, Opened, Resume, SourceSpec, StreamIndex, StreamResume};
use lakehead_model::{Cursor, Name, Reject, StreamSchema, Timestamp};
use lakehead_testkit::{ManualClock, VecTail};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::{Value, json};

use super::super::KafkaTopics;

pub(super) const SPEC: SourceSpec = SourceSpec::of::<KafkaTopics>();

/// Noon of a day; records have times around it.
pub(super) const NOON: Timestamp = Timestamp(1_796_040_000_000_000);

/// Longest wait for something that must come.
const WITHIN: Duration = Duration::from_secs(60);

/// Brokers, and a name that no other topic has.
pub(super) struct Broker {
    pub(super) url: String,
    pub(super) topic: String,
}

impl Broker {
    /// Apache Kafka, or a line that says that there is none.
    pub(super) fn real(test: &str) -> Option<Self> {
        match std::env::var("KAFKA_URL") {
            Ok(url) => Some(Self::at(url, test)),
            Err(_) => {
                // Past the harness, which keeps what a passing test prints; `cargo xtask` counts it.
                let mut out = std::io::stdout().lock();
                let _ = writeln!(out, "SKIPPED kafka::{test}: KAFKA_URL is not set (cargo xtask services up kafka)");
                None
            }
        }
    }

    pub(super) fn at(url: String, test: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { url, topic: format!("{test}-{}-{number}", std::process::id()) }
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.url).set("message.max.bytes", "20000000");
        client
    }

    pub(super) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    /// Creates the topic, with these settings.
    pub(super) async fn create(&self, partitions: i32, settings: &[(&str, &str)]) {
        self.create_named(&self.topic, partitions, settings).await;
    }

    pub(super) async fn create_named(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        for (key, value) in settings {
            new = new.set(key, value);
        }
        // A topic that was deleted a moment ago may still be there.
        for _ in 0..100 {
            let made = self.admin().create_topics([&new], &AdminOptions::new()).await.expect("an answer");
            if made.into_iter().all(|one| one.is_ok()) {
                return self.known(topic, partitions).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the topic {topic} cannot be created");
    }

    /// Waits until the brokers tell of so many partitions.
    async fn known(&self, topic: &str, partitions: i32) {
        let producer = self.producer().producer;
        for _ in 0..100 {
            let metadata = producer.client().fetch_metadata(Some(topic), WITHIN).expect("an answer");
            let found = metadata.topics().first().filter(|topic| topic.error().is_none());
            if found.is_some_and(|topic| topic.partitions().len() == usize::try_from(partitions).expect("few")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nobody tells of the topic {topic}");
    }

    pub(super) async fn delete(&self) {
        let gone = self.admin().delete_topics(&[&self.topic], &AdminOptions::new()).await.expect("an answer");
        assert!(gone.into_iter().all(|one| one.is_ok()));
    }

    pub(super) async fn add_partitions(&self, count: i32) {
        let more = NewPartitions::new(&self.topic, usize::try_from(count).expect("few"));
        let made = self.admin().create_partitions([&more], &AdminOptions::new()).await.expect("an answer");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        self.known(&self.topic, count).await;
    }

    /// Removes what lies before `offset`, as retention does.
    pub(super) async fn truncate(&self, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(offset)).expect("an offset");
        self.admin().delete_records(&list, &AdminOptions::new()).await.expect("an answer");
    }

    /// The offset after the last record of partition 0.
    pub(super) async fn lookup_end(&self) -> i64 {
        let producer = self.producer();
        producer.producer.client().fetch_watermarks(&self.topic, 0, WITHIN).expect("an answer").1
    }

    pub(super) fn producer(&self) -> Producing {
        Producing { producer: self.client().create().expect("a producer"), topic: self.topic.clone() }
    }

    /// One that writes in transactions.
    pub(super) fn transactions(&self) -> Producing {
        let mut client = self.client();
        client.set("transactional.id", format!("t-{}", self.topic));
        let producer: BaseProducer = client.create().expect("a producer");
        producer.init_transactions(WITHIN).expect("transactions");
        Producing { producer, topic: self.topic.clone() }
    }

    /// The settings of a source that reads the topic.
    pub(super) fn settings(&self) -> Value {
        json!({ "brokers": self.url, "topics": [self.topic], "discovery": "500ms" })
    }

    /// The same, with more.
    pub(super) fn settings_and(&self, more: Value) -> Value {
        let mut settings = self.settings();
        let more = more.as_object().cloned().unwrap_or_default();
        settings.as_object_mut().expect("an object").extend(more);
        settings
    }
}

/// A producer for one topic.
pub(super) struct Producing {
    pub(super) producer: BaseProducer,
    pub(super) topic: String,
}

impl Producing {
    /// Sends `{"n":N}` for each of these numbers, and waits until the broker has them.
    pub(super) fn numbers(&self, partition: i32, numbers: std::ops::Range<i64>) {
        for n in numbers {
            self.send(partition, Some(&n.to_string()), Some(format!("{{\"n\":{n}}}").as_bytes()));
        }
        self.flush();
    }

    /// Sends a record without waiting.
    pub(super) fn send(&self, partition: i32, key: Option<&str>, value: Option<&[u8]>) {
        let mut record = BaseRecord::<str, [u8]>::to(&self.topic).partition(partition).timestamp(NOON.millis());
        record.key = key;
        record.payload = value;
        while let Err((error, again)) = self.producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(rdkafka::error::RDKafkaErrorCode::QueueFull), "{error}");
            self.producer.poll(Duration::from_millis(10));
            record = again;
        }
    }

    /// Sends a record of this time.
    pub(super) fn send_at(&self, time: Timestamp, value: &[u8]) {
        let record = BaseRecord::<str, [u8]>::to(&self.topic).partition(0).timestamp(time.millis());
        assert!(self.producer.send(record.key("k").payload(value)).is_ok());
    }

    pub(super) fn send_with_header(&self, name: &str, value: &str) {
        let headers = OwnedHeaders::new().insert(Header { key: name, value: Some(value) });
        let record = BaseRecord::<str, [u8]>::to(&self.topic).partition(0).timestamp(NOON.millis());
        let sent = self.producer.send(record.key("k").payload(b"1").headers(headers));
        assert!(sent.is_ok());
        self.flush();
    }

    pub(super) fn flush(&self) {
        self.producer.flush(WITHIN).expect("the broker takes it");
    }
}

/// What the engine and the store are to a source.
#[derive(Default)]
pub(super) struct TestLog {
    pub(super) cursor: Option<Cursor>,
    pub(super) events: Vec<Value>,
    pub(super) rejects: Vec<Reject>,
    pub(super) discontinuities: Vec<Discontinuity>,
    pub(super) duplicates: u64,
}

impl TestLog {
    pub(super) async fn open(&self, name: &str, settings: &Value) -> Opened {
        (SPEC.check)(settings).expect("settings");
        let stream = StreamResume {
            stream: Name::new("s").expect("a name"),
            cursor: self.cursor.clone(),
            event_time: StreamSchema::builtin("json").expect("built in").event_time,
            tail: Box::new(VecTail::default()),
        };
        let clock = Arc::new(ManualClock::new(NOON));
        let resume = Resume { name: name.to_owned(), streams: vec![stream], clock };
        (SPEC.open)(settings.clone(), resume).await.expect("it opens")
    }

    /// Commits the next chunk, and acknowledges it.
    pub(super) async fn step(&mut self, opened: &mut Opened) -> Result<(), Error> {
        let next = tokio::time::timeout(WITHIN, opened.reader.next()).await;
        let next = next.unwrap_or_else(|_| panic!("nothing came, with {} events held", self.events.len()))?;
        let Some(chunk) = next else { return Err(Error::Internal("it ended".into())) };
        let event = |event: &[u8]| serde_json::from_slice(event).expect("an event is JSON");
        self.events.extend(chunk.events.events().map(event));
        self.rejects.extend(chunk.rejects);
        self.discontinuities.extend(chunk.discontinuities);
        self.duplicates += chunk.duplicates;
        self.cursor = chunk.cursor;
        if let (Some(acks), Some(cursor)) = (&mut opened.acks, &self.cursor) {
            acks.acknowledge(StreamIndex(0), cursor).await?;
        }
        Ok(())
    }

    /// Commits chunks until `count` events and rejects are there.
    pub(super) async fn read(&mut self, opened: &mut Opened, count: usize) {
        self.read_until(opened, |log| log.events.len() + log.rejects.len() >= count).await;
    }

    pub(super) async fn read_until(&mut self, opened: &mut Opened, is_enough: impl Fn(&Self) -> bool) {
        while !is_enough(self) {
            self.step(opened).await.expect("it continues");
        }
    }

    /// What stops it.
    pub(super) async fn error(&mut self, opened: &mut Opened) -> Error {
        loop {
            if let Err(error) = self.step(opened).await {
                return error;
            }
        }
    }

    /// The offsets of one partition's events, in their order.
    pub(super) fn offsets(&self, partition: i32) -> Vec<i64> {
        let of = self.events.iter().filter(|event| event["partition"] == partition);
        of.map(|event| event["offset"].as_i64().expect("an offset")).collect()
    }

    /// The numbers that were sent, in the order in which they came.
    pub(super) fn numbers(&self) -> Vec<i64> {
        self.events.iter().filter_map(|event| event["value"]["n"].as_i64()).collect()
    }

    /// Ranges of a kind, in words.
    pub(super) fn noted(&self) -> Vec<String> {
        let said = |one: &Discontinuity| match one {
            Discontinuity::Missing(gap) => format!("missing {}..{}", gap.from, gap.to),
            Discontinuity::Skipped(skipped) => format!("skipped {}..{}", skipped.from, skipped.to),
            Discontinuity::Renumbered(again) => format!("renumbered {}..{}", again.from, again.to),
        };
        self.discontinuities.iter().map(said).collect()
    }
}
