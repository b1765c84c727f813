//! What the run of a source promises, with a real store: order, cursors, acknowledgements, a stop.

use std::{path::Path, sync::Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use lakehead_connector_api::{Acknowledge, Error as SourceError, Reader};
use lakehead_model::{EventBatch, Offset, Reject, StreamSchema};
use lakehead_store::{Options, Store};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    builtin::REJECTS,
    sync::lock,
    tests::{SOON, Ticking, name},
};

/// Hands over chunks, then ends, or waits for ever.
struct Prepared {
    chunks: VecDeque<Chunk>,
    ends: bool,
}

#[async_trait]
impl Reader for Prepared {
    async fn next(&mut self) -> Result<Option<Chunk>, SourceError> {
        match self.chunks.pop_front() {
            Some(chunk) => Ok(Some(chunk)),
            None if self.ends => Ok(None),
            None => std::future::pending().await,
        }
    }
}

/// What was acknowledged: the stream, the cursor, and how many rejects were on disk then.
type Acknowledged = Arc<Mutex<Vec<(usize, u64, u64)>>>;

struct Recorder {
    acknowledged: Acknowledged,
    rejects: Stream,
    /// One acknowledgement is taken for each permit.
    pace: Arc<Semaphore>,
}

#[async_trait]
impl Acknowledge for Recorder {
    async fn acknowledge(&mut self, to: StreamIndex, cursor: &Cursor) -> Result<(), SourceError> {
        self.pace.acquire().await.expect("it is open").forget();
        let position = cursor.position.parse().expect("a number");
        lock(&self.acknowledged).push((to.0, position, self.rejects.head().end.0));
        Ok(())
    }
}

struct World {
    store: Store,
    ingest: Ingest,
    acknowledged: Acknowledged,
    pace: Arc<Semaphore>,
}

impl World {
    fn new(dir: &Path, streams: &[&str]) -> Self {
        let clock = Arc::new(Ticking(1_800_000_000_000_000.into()));
        let store = Store::open(dir, Options::default(), Arc::clone(&clock) as _).expect("a store");
        let stream = |text: &str| store.stream(&name(text)).expect("opens");
        let fed = |text: &&str| FedStream {
            stream: stream(text),
            times: EventTimes::new(&StreamSchema::builtin("json").expect("built in")),
            untimed: Arc::default(),
            conformance: Arc::default(),
        };
        let names = streams.iter().map(|text| name(text)).collect();
        let ingest = Ingest {
            source: name("w"),
            streams: streams.iter().map(fed).collect(),
            rejects: stream(REJECTS).appender(),
            gaps: stream("gaps").appender(),
            watch: Arc::new(SourceWatch::new(name("w"), "prepared", names)),
            clock,
        };
        let pace = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { store, ingest, acknowledged: Arc::default(), pace }
    }

    fn stream(&self, text: &str) -> Stream {
        self.store.stream(&name(text)).expect("it is open")
    }

    fn opened(&self, chunks: Vec<Chunk>, ends: bool) -> Opened {
        let (acknowledged, pace) = (Arc::clone(&self.acknowledged), Arc::clone(&self.pace));
        let acks = Recorder { acknowledged, pace, rejects: self.stream(REJECTS) };
        Opened { reader: Box::new(Prepared { chunks: chunks.into(), ends }), acks: Some(Box::new(acks)) }
    }

    async fn run(&self, opened: Opened, stop: &watch::Sender<bool>) -> Result<Ending, Failure> {
        let run = async { self.ingest.run(opened, &mut stop.subscribe(), &mut |_| {}).await };
        tokio::time::timeout(SOON, run).await.expect("it ends")
    }

    async fn until(&self, stream: &str, count: u64) {
        let mut end = self.stream(stream).committed();
        tokio::time::timeout(SOON, end.wait_for(|end| end.0 >= count)).await.expect("in time").expect("it is open");
    }
}

/// One event `{"n":N}` with the cursor N, and so many rejects before it.
fn chunk(to: usize, n: u64, rejects: usize) -> Chunk {
    let mut events = EventBatch::default();
    events.push(format!("{{\"n\":{n}}}").as_bytes(), None);
    let reject = |_| Reject { reason: "no".into(), position: format!("at {n}"), payload: Bytes::from_static(b"{") };
    let cursor = Some(Cursor { position: n.to_string().into(), progress: None });
    Chunk { to: StreamIndex(to), events, cursor, rejects: (0..rejects).map(reject).collect(), ..Chunk::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stream_has_its_events_and_its_cursor_and_is_acknowledged_in_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let world = World::new(dir.path(), &["a", "b", "c"]);
    let chunks = (0..300_usize).map(|n| chunk(n % 3, n as u64, 0)).collect();
    let ending = world.run(world.opened(chunks, true), &watch::Sender::new(false)).await.expect("no failure");
    assert_eq!(ending, Ending::Ended);
    let acknowledged = lock(&world.acknowledged).clone();
    assert_eq!(acknowledged.len(), 300);
    for (place, stream) in ["a", "b", "c"].into_iter().enumerate() {
        let head = world.stream(stream).head();
        assert_eq!((head.end, &*head.cursors["w"].position), (Offset(100), &*(297 + place).to_string()));
        let of: Vec<u64> = acknowledged.iter().filter(|(to, ..)| *to == place).map(|(_, n, _)| *n).collect();
        assert_eq!(of, (0..300).skip(place).step_by(3).collect::<Vec<_>>());
    }
    assert_eq!(world.ingest.watch.status().events, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cursor_passes_a_reject_that_is_not_on_disk_and_rejects_share_their_syncs() {
    let dir = tempfile::tempdir().expect("a folder");
    let world = World::new(dir.path(), &["a"]);
    let chunks = (0..200_usize).map(|n| chunk(0, n as u64, 1 + n % 2)).collect();
    world.run(world.opened(chunks, true), &watch::Sender::new(false)).await.expect("no failure");
    let mut rejects = 0;
    for (n, (_, acknowledged, on_disk)) in (0..).zip(lock(&world.acknowledged).clone()) {
        rejects += 1 + n % 2;
        assert_eq!(acknowledged, n);
        assert!(on_disk >= rejects, "{n}: {on_disk} of {rejects} rejects are on disk");
    }
    let (mut blocks, mut reader) = (0, world.stream(REJECTS).reader(Offset(0)));
    while reader.next().expect("a good log").is_some() {
        blocks += 1;
    }
    assert_eq!(world.stream(REJECTS).head().end, Offset(300));
    assert!(blocks < 150, "200 chunks with rejects took {blocks} commits: they wait for one another");
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_hold_up_nobody_and_a_stop_ends_the_reader_and_keeps_what_was_appended() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::new(dir.path(), &["a"]);
    world.pace = Arc::new(Semaphore::new(0));
    let opened = world.opened((0..100).map(|n| chunk(0, n, usize::from(n % 7 == 0))).collect(), false);
    let stop = watch::Sender::new(false);
    let stopping = async {
        world.until("a", 100).await;
        assert!(lock(&world.acknowledged).is_empty(), "nothing is acknowledged yet");
        world.pace.add_permits(1_000);
        stop.send_replace(true);
    };
    let (ending, ()) = tokio::join!(world.run(opened, &stop), stopping);
    assert_eq!(ending.expect("no failure"), Ending::Stopped);
    let order: Vec<u64> = lock(&world.acknowledged).iter().map(|(_, n, _)| *n).collect();
    assert_eq!(
        order,
        (0..100).collect::<Vec<_>>(),
        "what was appended is acknowledged; nothing overtakes what is held back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_failure_is_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let world = World::new(dir.path(), &["a"]);
    let mut chunks: Vec<Chunk> = (0..20).map(|n| chunk(0, n, 1)).collect();
    chunks.push(chunk(3, 20, 0));
    let failed = world.run(world.opened(chunks, true), &watch::Sender::new(false)).await;
    assert!(
        matches!(&failed, Err(Failure::Source(SourceError::Internal(what))) if what.contains("it feeds 1 streams")),
        "{failed:?}"
    );
    // A stream that is not there is a defect of the source; what was held back for its rejects comes again.
    let head = world.stream("a").head();
    let cursor = head.cursors.get("w").map_or(0, |cursor| cursor.position.parse::<u64>().expect("a number") + 1);
    assert_eq!(head.end, Offset(cursor), "the cursor says what is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_lets_nothing_by_before_it_is_on_disk() {
    let dir = tempfile::tempdir().expect("a folder");
    let world = World::new(dir.path(), &["a"]);
    let inlet = Inlet::new(name("w"), &world.stream("a"), world.stream(REJECTS).appender(), Arc::default());
    let nothing = inlet.refusing(&[]).await.expect("taken");
    assert!(nothing.is_settled().is_some(), "nothing to wait for");
    let mut refusing = inlet.refusing(&chunk(0, 0, 2).rejects).await.expect("taken");
    assert!(refusing.is_settled().is_none(), "it is under way");
    let _settled = refusing.on_disk().await.expect("it is written");
    assert_eq!(world.stream(REJECTS).head().end, Offset(2));
    assert!(refusing.is_settled().is_some());
}
