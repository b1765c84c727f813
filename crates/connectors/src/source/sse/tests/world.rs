//! What the engine and the store are to a source; and a feed that gives, on each connection, what a real one might.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use lakehead_connector_api::{Chunk, Error, Reader, StreamResume};
use lakehead_model::{Cursor, Name, Reject};
use lakehead_testkit::{Act, Upstream, VecTail};
use serde_json::{Value, json};

use super::super::{SseFeed, config::Config};
use crate::sse_link::client;

/// A client without headers.
static PLAIN: OnceLock<reqwest::Client> = OnceLock::new();

/// The engine and the store, as far as a source sees them.
#[derive(Default)]
pub(super) struct World {
    pub(super) settings: Value,
    pub(super) log: VecTail,
    pub(super) cursor: Option<Cursor>,
    pub(super) rejects: Vec<Reject>,
    pub(super) duplicates: u64,
}

impl World {
    /// Of the feed at `url`, with these settings beside it.
    pub(super) fn new(url: &str, settings: &Value) -> Self {
        let mut settings = settings.clone();
        settings["url"] = url.into();
        // The binary does this first thing; a client wants it even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { settings, ..Self::default() }
    }

    fn has_headers(&self) -> bool {
        self.settings.get("headers").or(self.settings.get("gzip")).is_some()
    }

    pub(super) async fn open(&self) -> Result<SseFeed, Error> {
        let config: Config = serde_json::from_value(self.settings.clone()).expect("valid settings");
        config.check().expect("settings that can work");
        let (stream, cursor, tail) = (Name::new("t").expect("a name"), self.cursor.clone(), Box::new(self.log.clone()));
        let made = || client(config.header_map().expect("headers that can be")).expect("a client");
        // To make one takes some milliseconds, and some tests open thousands of times.
        let client = if self.has_headers() { made() } else { PLAIN.get_or_init(made).clone() };
        SseFeed::open(config, client, StreamResume { stream, cursor, event_time: Vec::new(), tail }).await
    }

    pub(super) fn commit(&mut self, chunk: Chunk) {
        assert!(chunk.events.is_empty() || chunk.cursor.is_some(), "events come with a cursor");
        self.log.commit(chunk.events.events());
        self.rejects.extend(chunk.rejects);
        self.duplicates += chunk.duplicates;
        self.cursor = chunk.cursor.or(self.cursor.take());
    }

    /// Runs until the log holds `count` events. With `kills` the source is killed after each chunk, every other of which was not
    /// committed; else it is opened again only after an error.
    pub(super) async fn run(&mut self, count: usize, kills: bool) {
        let mut source = self.open().await.expect("it opens");
        let mut chunks = 0;
        while self.log.len() < count {
            match source.next().await {
                Ok(Some(chunk)) => {
                    chunks += 1;
                    let has_events = !chunk.events.is_empty();
                    if !kills || !has_events || chunks % 3 > 0 {
                        self.commit(chunk);
                    }
                    if kills && has_events {
                        source = self.open().await.expect("it opens");
                    }
                }
                Ok(None) => panic!("it ended after {} of {count} events", self.log.len()),
                Err(Error::Unavailable { .. }) => source = self.open().await.expect("it opens"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The next error, after all chunks before it were committed.
    pub(super) async fn error(&mut self) -> Error {
        let mut source = self.open().await.expect("it opens");
        loop {
            match source.next().await {
                Ok(Some(chunk)) => self.commit(chunk),
                Ok(None) => panic!("it ended"),
                Err(error) => return error,
            }
        }
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.log.events().into_iter().map(|event| String::from_utf8(event).expect("UTF-8")).collect()
    }
}

/// A feed of events numbered from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shop {
    pub(super) count: usize,
    pub(super) has_ids: bool,
    pub(super) line_end: &'static str,
    pub(super) gives: Gives,
}

/// What a feed gives to who asks for what follows an id.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    /// What follows it.
    After,
    /// It, and what follows.
    From,
    /// Some that come before it, too.
    Earlier(usize),
    /// Everything.
    All,
}

impl Shop {
    /// The n-th event as it is to be stored.
    pub(super) fn event(n: usize) -> String {
        format!(r#"{{"event_id":"o{n}","n":{n},"text":"ü😀\u20ac \\"}}"#)
    }

    pub(super) fn events(&self) -> Vec<String> {
        (1..=self.count).map(Self::event).collect()
    }

    /// The n-th event as it is sent: named, in two lines of data.
    pub(super) fn frame(&self, n: usize) -> String {
        let id = if self.has_ids { format!("id: ü{n}|") } else { String::new() };
        let event = Self::event(n).replacen(',', ",|data: ", 1);
        format!("event: order|{id}data:{event}||").replace('|', self.line_end)
    }

    /// What is sent to a request.
    pub(super) fn answer(&self, head: &str) -> String {
        let asked =
            last_event_id(head).map(|id| id.trim_start_matches('ü').parse::<usize>().expect("one of its own ids"));
        let first = match (self.gives, asked.filter(|_| self.has_ids)) {
            (Gives::All, _) | (_, None) => 1,
            (Gives::After, Some(id)) => id + 1,
            (Gives::From, Some(id)) => id,
            (Gives::Earlier(more), Some(id)) => usize::max(1, (id + 1).saturating_sub(more)),
        };
        (first..=self.count).map(|n| self.frame(n)).collect()
    }
}

/// The head of an answer that is a stream, without anything in it.
pub(super) const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// What a request asks for.
pub(super) fn last_event_id(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("last-event-id: "))
}

/// An upstream whose n-th connection gets what `answer` says, and is then left open; the last answer counts for all that follow.
pub(super) async fn feed_of(answers: Vec<String>) -> Upstream {
    Upstream::start(move |n, _| {
        let text = &answers[n.min(answers.len() - 1)];
        let end = if n + 1 < answers.len() { Vec::new() } else { vec![Act::Hang] };
        [vec![Act::send(STREAM), Act::send(text.clone())], end].concat()
    })
    .await
}

/// What comes of one connection that brings this text and stays open: `count` events.
pub(super) async fn taken(text: impl Into<Vec<u8>>, settings: &Value, count: usize) -> World {
    let text = text.into();
    let upstream = Upstream::start(move |_, _| vec![Act::send(STREAM), Act::send(text.clone()), Act::Hang]).await;
    let mut world = World::new(&upstream.url("/feed"), settings);
    world.run(count, false).await;
    world
}

pub(super) fn none() -> Value {
    json!({})
}

pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), work).await.expect("it ends") })
}

/// What a source is given to read the time, where it needs any.
pub(super) fn clock() -> Arc<lakehead_testkit::ManualClock> {
    Arc::new(lakehead_testkit::ManualClock::new(lakehead_model::Timestamp(0)))
}
