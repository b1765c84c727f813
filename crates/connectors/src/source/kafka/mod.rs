#![doc = include_str!("manual.md")]
//!
//! ---
//!
//! ```text
//! consuming (a thread): client ─▶ record ─▶ gathered ─▶ handover ─▶ the reader
//!                          ↑ session: what the group moves             acked ◀─ what is on disk
//! ```
//! In this folder: `config` (what a user may set), `client_keys` (which settings of librdkafka), `topics` (which are read, and where
//! each goes), `cursor` (the position as it is written), `record` (a record, and its event), `partition` (where reading begins, what
//! offsets say), `gathered` (what is not handed over yet), `handover` and `acked` (between the thread and the engine), `lookup`
//! (questions to the brokers), `session` (what the group moves), `consuming` (the thread). Here is what the engine sees.

mod acked;
mod client_keys;
mod config;
mod consuming;
mod cursor;
mod gathered;
mod handover;
mod lookup;
mod partition;
mod record;
mod session;
#[cfg(test)]
mod tests;
mod topics;

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use lakehead_connector_api::{
    Acknowledge, Chunk, ConnectorKind, Error, Identity, Opened, Peeked, Reader, Resume, SourceKind,
};

use self::{
    acked::{Acked, KafkaAcks},
    config::Config,
    gathered::{Formats, Gathered},
    handover::Handover,
    session::{Session, SessionState},
    topics::TopicChoice,
};

/// The source kind `kafka`.
pub(crate) struct KafkaTopics;

impl ConnectorKind for KafkaTopics {
    const NAME: &'static str = "kafka";
    const MANUAL: &'static str = include_str!("manual.md");
    const EXAMPLE: &'static str = r#"[source.shop]
kind = "kafka"
brokers = "kafka1:9092,kafka2:9092"
topics = ["orders", "shop.*"]
stream = "shop"
"#;
    type Config = Config;

    fn check(config: &Config) -> Result<(), String> {
        config.check()
    }
}

impl SourceKind for KafkaTopics {
    const IDENTITY: Option<Identity> = Some(Identity {
        topic: &["topic"],
        partition: &["partition"],
        offset: &["offset"],
        // A record has no name but its place.
        id: &["id"],
    });

    /// Without its group, in which nothing is committed and no partition moves.
    async fn peek(config: Config, resume: Resume) -> Result<Peeked, Error> {
        Ok(Peeked::Opened(Self::open(Config { group: None, shared: false, ..config }, resume).await?))
    }

    async fn open(config: Config, resume: Resume) -> Result<Opened, Error> {
        let Resume { name, streams, clock } = resume;
        let formats = Formats { format: config.format, value: config.value };
        let mut cursors = Vec::new();
        for stream in &streams {
            cursors.push(stream.cursor.as_ref().map(|cursor| cursor::read(&cursor.position)).transpose()?);
        }
        let known = cursors.iter().flatten().map(|(member, _)| *member).next();
        let member = known.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        let acked = Arc::new(Acked::default());
        let mut gathered = Gathered::new(formats, clock.clone(), member, &streams);
        for (stream, (_, partitions)) in
            cursors.iter().enumerate().filter_map(|(place, one)| Some((place, one.as_ref()?)))
        {
            for (place, at) in partitions {
                gathered.follow(place, stream, *at);
                acked.set(place, at.next);
            }
        }
        let between = Arc::new(Handover::default());
        let choice = TopicChoice::new(&config, streams.into_iter().map(|stream| stream.stream).collect());
        let client = consuming::client(&config, &name, member);
        let is_told = config.group.is_some();
        let state = SessionState {
            gathered,
            unsent: None,
            committed: HashMap::new(),
            is_first: known.is_none(),
            at_opening: Default::default(),
            failed: None,
            is_closing: false,
            said: String::new(),
        };
        let (acked_there, between_there) = (acked.clone(), between.clone());
        let session =
            Session { config, choice, clock, acked: acked_there, between: between_there, state: Mutex::new(state) };
        let closed = CloseOnDrop(between.clone());
        std::thread::Builder::new()
            .name("kafka".into())
            .spawn(move || {
                let _closed = closed;
                consuming::run(session, &client);
            })
            .map_err(|error| Error::unavailable(format!("starting a thread that reads: {error}")))?;
        let acks = is_told.then(|| Box::new(KafkaAcks::new(acked)) as Box<dyn Acknowledge>);
        Ok(Opened { reader: Box::new(KafkaReader { between: CloseOnDrop(between), has_ended: false }), acks })
    }
}

/// One side of what is between the thread and the reader: when it goes, the other learns it, whatever made it go.
struct CloseOnDrop(Arc<Handover>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the engine asks.
struct KafkaReader {
    between: CloseOnDrop,
    has_ended: bool,
}

#[async_trait]
impl Reader for KafkaReader {
    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        if self.has_ended {
            return Ok(None);
        }
        let next = self.between.0.take().await?;
        self.has_ended = next.is_none();
        Ok(next)
    }
}
