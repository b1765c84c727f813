//! The suite that every source passes: what [`Reader`] and [`Acknowledge`](lakehead_connector_api::Acknowledge) promise, seen
//! from outside.
//!
//! A source brings an upstream that holds a known run of events, in whatever way it talks to one. The suite is the engine and
//! the store: it commits chunks, acknowledges them, stops the source at bad moments and opens it again.

use std::{collections::VecDeque, future::Future, sync::Arc, time::Duration};

use lakehead_connector_api::{
    Chunk, Error, Opened, Peeked, Reader, Resume, SourceKind, SourceSpec, StreamIndex, StreamResume,
};
use lakehead_model::{Cursor, EVENT_BYTES_MAX, Name, StreamSchema, Timestamp};

use super::registration;
use crate::{ManualClock, VecTail};

/// What a chunk may hold: what the contract says, and one event more, since an event is never split.
const CHUNK_BYTES_MAX: usize = (256 << 10) + EVENT_BYTES_MAX;

/// Longest wait for a chunk before the suite says what is missing.
const CHUNK_WITHIN: Duration = Duration::from_secs(15);

/// Chunks that are committed before the first of them is acknowledged, in the part of the suite where acknowledgements lag.
const ACKS_BEHIND: usize = 3;

/// Runs the suite against the source kind `K`, which feeds one stream and never ends. `settings` are its settings, `expected`
/// is what the upstream will bring, in order, from its beginning.
///
/// # Panics
/// Where the source does not keep a promise.
pub async fn source<K: SourceKind, F: Future<Output = serde_json::Value>>(
    settings: impl Fn() -> F,
    now: Timestamp,
    expected: &[Vec<u8>],
) {
    source_of_streams::<K, F>(settings, now, &[("tested", expected.to_vec())], false).await;
}

/// As [`source`], for one that ends after the last event.
///
/// # Panics
/// Where the source does not keep a promise.
pub async fn source_that_ends<K: SourceKind, F: Future<Output = serde_json::Value>>(
    settings: impl Fn() -> F,
    now: Timestamp,
    expected: &[Vec<u8>],
) {
    source_of_streams::<K, F>(settings, now, &[("tested", expected.to_vec())], true).await;
}

/// As [`source`], for an upstream that is used up by being read, as files are that are renamed: `restore` makes it as it was at its
/// beginning, each time that the suite begins anew.
///
/// # Panics
/// Where the source does not keep a promise.
pub async fn source_of_an_upstream_used_up<K: SourceKind, F: Future<Output = serde_json::Value>>(
    settings: impl Fn() -> F,
    restore: impl Fn(),
    now: Timestamp,
    expected: &[Vec<u8>],
) {
    suite::<K, F>(settings, restore, now, &[("tested", expected.to_vec())], false).await;
}

/// As [`source`], for one that feeds several streams: `expected` has for each its name and what it gets. `ends` says whether
/// the source ends after the last event.
///
/// # Panics
/// Where the source does not keep a promise.
pub async fn source_of_streams<K: SourceKind, F: Future<Output = serde_json::Value>>(
    settings: impl Fn() -> F,
    now: Timestamp,
    expected: &[(&str, Vec<Vec<u8>>)],
    ends: bool,
) {
    suite::<K, F>(settings, || {}, now, expected, ends).await;
}

async fn suite<K: SourceKind, F: Future<Output = serde_json::Value>>(
    settings: impl Fn() -> F,
    restore: impl Fn(),
    now: Timestamp,
    expected: &[(&str, Vec<Vec<u8>>)],
    ends: bool,
) {
    let spec = SourceSpec::of::<K>();
    registration::is_complete(&spec.kind, "source", &["kind", "stream", "streams"]);
    let every: usize = expected.iter().map(|(_, events)| events.len()).sum();
    for acknowledged in [Acknowledged::AtOnce, Acknowledged::Behind, Acknowledged::Never] {
        for stops in [vec![every], vec![1, every], vec![every / 3, every / 2, every]] {
            restore();
            let mut world = World::new(now, expected, acknowledged);
            for stop in stops {
                // Opened again each time, from what was committed; acknowledged or not, that does not come again.
                let mut opened = world.open(&spec, settings().await).await;
                world.read_until(&mut opened, stop).await;
            }
            world.check("opened again from the committed cursors");
            world.stays_ended(&spec, settings().await, ends).await;
        }
    }
    restore();
    let mut world = World::new(now, expected, Acknowledged::AtOnce);
    world.stopped_at_any_moment(&spec, &settings, every).await;
    world.check("stopped at any moment");
    restore();
    let mut world = World::new(now, expected, Acknowledged::AtOnce);
    world.killed_before_a_commit(&spec, &settings, every).await;
    world.check("killed before a commit");
    restore();
    let mut world = World::new(now, expected, Acknowledged::AtOnce);
    world.looked_at(&spec, settings().await, every).await;
    world.check("looked at before the start");
    one_stream_or_several(&spec, settings().await, now).await;
}

/// A source opens for several streams, or says that it feeds one.
async fn one_stream_or_several(spec: &SourceSpec, settings: serde_json::Value, now: Timestamp) {
    let world = World::new(now, &[("one", Vec::new()), ("another", Vec::new())], Acknowledged::Never);
    if let Err(error) = (spec.open)(settings, world.resume()).await {
        assert!(matches!(error, Error::Invalid(_)), "{}: two streams are refused as a setting: {error:?}", spec.name);
    }
}

/// When the source is told of what was committed.
#[derive(Clone, Copy, PartialEq)]
enum Acknowledged {
    /// After each commit.
    AtOnce,
    /// Later, in order.
    Behind,
    /// A crash came before.
    Never,
}

/// What the engine and the store are to a source.
struct World {
    streams: Vec<WorldStream>,
    clock: Arc<ManualClock>,
    acknowledged: Acknowledged,
    pending: VecDeque<(StreamIndex, Cursor)>,
}

/// One of its streams.
struct WorldStream {
    name: Name,
    expected: Vec<Vec<u8>>,
    log: VecTail,
    cursor: Option<Cursor>,
}

impl World {
    fn new(now: Timestamp, expected: &[(&str, Vec<Vec<u8>>)], acknowledged: Acknowledged) -> Self {
        let stream = |(name, expected): &(&str, Vec<Vec<u8>>)| WorldStream {
            name: Name::new(name).expect("a name of a stream"),
            expected: expected.clone(),
            log: VecTail::default(),
            cursor: None,
        };
        let clock = Arc::new(ManualClock::new(now));
        Self { streams: expected.iter().map(stream).collect(), clock, acknowledged, pending: VecDeque::new() }
    }

    fn resume(&self) -> Resume {
        let stream = |stream: &WorldStream| StreamResume {
            stream: stream.name.clone(),
            cursor: stream.cursor.clone(),
            event_time: StreamSchema::builtin("json").unwrap_or_default().event_time,
            tail: Box::new(stream.log.clone()),
        };
        Resume {
            name: "tested".to_owned(),
            streams: self.streams.iter().map(stream).collect(),
            clock: self.clock.clone(),
        }
    }

    async fn open(&mut self, spec: &SourceSpec, settings: serde_json::Value) -> Opened {
        // What was not acknowledged to the one before is not acknowledged to the next either.
        self.pending.clear();
        (spec.open)(settings, self.resume()).await.expect("the source opens")
    }

    /// Events that were committed, of all streams.
    fn events(&self) -> usize {
        self.streams.iter().map(|stream| stream.log.len()).sum()
    }

    /// Commits chunks until there are `count` events.
    async fn read_until(&mut self, opened: &mut Opened, count: usize) {
        while self.events() < count {
            let chunk = self.next(opened.reader.as_mut()).await;
            let held = self.events();
            self.commit(chunk.unwrap_or_else(|| panic!("the source ended after {held} of {count} events")));
            self.acknowledge(opened).await;
        }
    }

    async fn next(&self, reader: &mut dyn Reader) -> Option<Chunk> {
        let next = tokio::time::timeout(CHUNK_WITHIN, reader.next()).await;
        next.unwrap_or_else(|_| panic!("nothing came for {CHUNK_WITHIN:?}, with {} events held", self.events()))
            .expect("the source continues")
    }

    fn commit(&mut self, chunk: Chunk) {
        let bytes = chunk.events.payload().len();
        assert!(bytes <= CHUNK_BYTES_MAX, "a chunk is bounded: found {bytes} bytes");
        let of = self.streams.len();
        let stream =
            self.streams.get_mut(chunk.to.0).unwrap_or_else(|| panic!("{:?} is one of {of} streams", chunk.to));
        assert!(
            chunk.events.is_empty() || chunk.cursor.is_some(),
            "events come with a cursor, or nothing can be resumed"
        );
        stream.log.commit(chunk.events.events());
        if let Some(cursor) = chunk.cursor {
            self.pending.push_back((chunk.to, cursor.clone()));
            stream.cursor = Some(cursor);
        }
        let held = stream.log.len();
        let excess = stream.log.events().iter().zip(&stream.expected).position(|(held, expected)| held != expected);
        let at = excess.or_else(|| (held > stream.expected.len()).then_some(stream.expected.len()));
        let Some(at) = at else { return };
        let found = stream.log.events().get(at).map(|event| String::from_utf8_lossy(event).into_owned());
        panic!("every event once, in order, byte for byte: stream {} has {found:?} as its event {at}", stream.name);
    }

    async fn acknowledge(&mut self, opened: &mut Opened) {
        let behind = match self.acknowledged {
            Acknowledged::AtOnce => 0,
            Acknowledged::Behind => ACKS_BEHIND,
            Acknowledged::Never => return,
        };
        while self.pending.len() > behind {
            let (to, cursor) = self.pending.pop_front().expect("there are more");
            if let Some(acks) = &mut opened.acks {
                acks.acknowledge(to, &cursor).await.expect("the source takes acknowledgements in order");
            }
        }
    }

    /// The reader is dropped at the first moment that it can be, then at the second, and so on.
    async fn stopped_at_any_moment<F: Future<Output = serde_json::Value>>(
        &mut self,
        spec: &SourceSpec,
        settings: &impl Fn() -> F,
        every: usize,
    ) {
        let mut polls = 1;
        loop {
            let mut opened = self.open(spec, settings().await).await;
            for _ in 0..polls {
                if self.events() == every {
                    return;
                }
                let mut next = opened.reader.next();
                let mut left = polls;
                let chunk = loop {
                    if let Some(chunk) = polled_once(next.as_mut()).await {
                        break Some(chunk);
                    }
                    left -= 1;
                    if left == 0 {
                        break None;
                    }
                    tokio::task::yield_now().await;
                };
                drop(next);
                let Some(chunk) = chunk else { break };
                self.commit(chunk.expect("the source continues").expect("the source has more"));
                self.acknowledge(&mut opened).await;
            }
            polls += 1 + polls / 8;
        }
    }

    /// Every other chunk is handed over and never committed.
    async fn killed_before_a_commit<F: Future<Output = serde_json::Value>>(
        &mut self,
        spec: &SourceSpec,
        settings: &impl Fn() -> F,
        every: usize,
    ) {
        while self.events() < every {
            let mut opened = self.open(spec, settings().await).await;
            let held = self.events();
            while self.events() == held {
                let chunk = self.next(opened.reader.as_mut()).await.expect("the source has more");
                self.commit(chunk);
                self.acknowledge(&mut opened).await;
            }
            if self.events() < every {
                drop(self.next(opened.reader.as_mut()).await);
            }
        }
    }

    /// Somebody looks at it before the start, while it runs and while it is stopped: that takes nothing from whom it is for.
    async fn looked_at(&mut self, spec: &SourceSpec, settings: serde_json::Value, every: usize) {
        self.look(spec, settings.clone(), every).await;
        let mut opened = self.open(spec, settings.clone()).await;
        self.read_until(&mut opened, every / 2).await;
        // What may be opened once only, as an address that it listens on, says so.
        if let Ok(Peeked::Opened(mut looked)) = (spec.peek)(settings.clone(), self.resume()).await
            && self.events() < every
        {
            drop(tokio::time::timeout(CHUNK_WITHIN, looked.reader.next()).await);
        }
        drop(opened);
        self.look(spec, settings.clone(), every).await;
        let mut opened = self.open(spec, settings).await;
        self.read_until(&mut opened, every).await;
    }

    async fn look(&self, spec: &SourceSpec, settings: serde_json::Value, every: usize) {
        match (spec.peek)(settings, self.resume()).await.expect("the source opens for a look") {
            Peeked::Unseen(why) => assert!(!why.is_empty(), "{}: it says why", spec.name),
            Peeked::Opened(mut looked) if self.events() < every => {
                let seen = self.next(looked.reader.as_mut()).await;
                assert!(seen.is_some(), "{}: a look sees what is there", spec.name);
            }
            Peeked::Opened(_) => {}
        }
    }

    /// A source that has ended brings nothing when it is opened again, and ends.
    async fn stays_ended(&mut self, spec: &SourceSpec, settings: serde_json::Value, ends: bool) {
        if !ends {
            return;
        }
        let mut opened = self.open(spec, settings).await;
        while let Some(chunk) = self.next(opened.reader.as_mut()).await {
            self.commit(chunk);
        }
        assert!(self.next(opened.reader.as_mut()).await.is_none(), "a source that has ended stays ended");
        self.check("opened again after its end");
    }

    fn check(&self, how: &str) {
        for stream in &self.streams {
            let held = stream.log.events();
            assert!(held == stream.expected, "{how}: every event of {} once, in order, byte for byte", stream.name);
        }
    }
}

/// Polls once.
async fn polled_once<T>(mut call: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match call.as_mut().poll(context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[cfg(test)]
mod tests;
