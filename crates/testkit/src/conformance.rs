//! The suite that every source passes: what [`Source`] promises, seen from outside.
//!
//! It lives here and not beside the trait since it needs a log and a clock to hand to the source, and connector-api
//! stands below both. A source brings an upstream that holds a known run of events, in whatever way it talks to one.

use std::{future::Future, sync::Arc};

use lakehead_connector_api::{Resume, Source, SourceKind, SourceSpec};
use lakehead_model::{Cursor, StreamSchema, Timestamp};

pub use crate::sink_conformance::sink;
use crate::{ManualClock, VecTail};

/// Runs the suite against the source kind `K`. `settings` are its settings, `expected` what the upstream will bring,
/// in order, from its beginning.
///
/// # Panics
/// Where the source does not keep a promise.
pub async fn source<K: SourceKind, F: Future<Output = serde_json::Value>>(
    settings: impl Fn() -> F,
    now: Timestamp,
    expected: &[Vec<u8>],
) {
    let spec = SourceSpec::of::<K>();
    registration_is_complete(&spec);
    let every = expected.len();
    for stops in [vec![every], vec![1, every], vec![every / 3, every / 2, every]] {
        let mut world = World::new(now);
        for stop in stops {
            // Opened again each time, from what was committed: unacknowledged events come again.
            let mut source = world.open(&spec, settings().await).await;
            world.read_until(source.as_mut(), stop).await;
        }
        assert_eq!(world.log.events(), expected, "every event once, in order, byte for byte");
    }
    a_call_that_is_dropped_has_taken_nothing(&spec, settings().await, now, expected).await;
}

/// Name, manual, example and schema are there, and a wrong key is named.
fn registration_is_complete(spec: &SourceSpec) {
    assert!(spec.manual.len() > 200, "{}: the manual says what it does", spec.name);
    assert!(spec.example.contains(&format!("kind = \"{}\"", spec.name)), "{}: the example names its kind", spec.name);
    let properties = (spec.schema)().get("properties").and_then(|p| p.as_object()).cloned().unwrap_or_default();
    for (key, property) in properties {
        assert!(property.get("description").is_some(), "{}: {key} has a description", spec.name);
    }
    let error = (spec.check)(&serde_json::json!({ "no_such_key": 1 })).expect_err("an unknown key is refused");
    assert!(error.contains("no_such_key"), "{}: {error}", spec.name);
}

async fn a_call_that_is_dropped_has_taken_nothing(
    spec: &SourceSpec,
    settings: serde_json::Value,
    now: Timestamp,
    expected: &[Vec<u8>],
) {
    let mut world = World::new(now);
    let mut source = world.open(spec, settings).await;
    while world.log.events().len() < expected.len() {
        // Polled once and dropped, again and again, with the call that is let through in between.
        for _ in 0..3 {
            if let Some(chunk) = futures_now(source.next()).await {
                world.commit(chunk);
            }
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(world.log.events(), expected, "a dropped call takes nothing with it");
}

/// Polls once.
async fn futures_now<T>(call: impl Future<Output = T>) -> Option<T> {
    let mut call = std::pin::pin!(call);
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match call.as_mut().poll(context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// What the engine and the store are to a source.
struct World {
    log: VecTail,
    cursor: Option<Cursor>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new(now: Timestamp) -> Self {
        Self { log: VecTail::default(), cursor: None, clock: Arc::new(ManualClock::new(now)) }
    }

    async fn open(&self, spec: &SourceSpec, settings: serde_json::Value) -> Box<dyn Source> {
        let resume = Resume {
            name: "tested".to_owned(),
            cursor: self.cursor.clone(),
            event_time: StreamSchema::builtin("json").unwrap_or_default().event_time,
            tail: Box::new(self.log.clone()),
            clock: self.clock.clone(),
        };
        (spec.open)(settings, resume).await.expect("the source opens")
    }

    async fn read_until(&mut self, source: &mut dyn Source, count: usize) {
        while self.log.events().len() < count {
            let chunk = source.next().await;
            self.commit(chunk);
        }
    }

    fn commit(&mut self, chunk: Result<Option<lakehead_connector_api::Chunk>, lakehead_connector_api::Error>) {
        let chunk = chunk.expect("the source goes on").expect("the source has not ended");
        assert!(chunk.events.payload().len() <= (256 << 10) + (4 << 20), "a chunk is bounded");
        self.log.commit(chunk.events.events());
        self.cursor = chunk.cursor.or(self.cursor.take());
    }
}
