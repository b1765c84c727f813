//! The source against the simulator: every fault that it knows, and the recordings of the real service.
//!
//! The oracle: the N-th event is a pure function of the seed and N, so what the log holds in the end is known byte for
//! byte; in the second cluster only the offset differs.

use std::io::Write as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lakehead_connector_api::{Chunk, Discontinuity, Error, Gap, Reader, Resume, StreamResume};
use lakehead_connectors::SOURCES;
use lakehead_model::{Cursor, Name, Reject, StreamSchema, Timestamp};
use lakehead_simulator::{Faults, Generator, Options, Simulator};
use lakehead_testkit::{ManualClock, VecTail};

const SEED: u64 = 11;
/// What the second cluster adds to offsets: an offset of the first is that of a later event there.
const SHIFT: i64 = -211;

fn start() -> Timestamp {
    Timestamp::from_seconds(1_790_000_000)
}

/// What the engine and the store are to a source.
struct World {
    url: String,
    settings: serde_json::Value,
    clock: Arc<ManualClock>,
    streams: Vec<Kept>,
    gaps: Vec<Gap>,
    rejects: Vec<Reject>,
}

/// A stream that the source feeds.
#[derive(Clone)]
struct Kept {
    name: &'static str,
    log: VecTail,
    cursor: Option<Cursor>,
}

impl World {
    async fn new(options: Options, settings: serde_json::Value) -> Self {
        Self::of(options, settings, &["tested"]).await
    }

    /// Of a source that reads all upstream streams and feeds these.
    async fn of(options: Options, settings: serde_json::Value, streams: &[&'static str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let simulator = Arc::new(Simulator::new(options, clock.clone()).expect("a simulator"));
        let names: Vec<String> = simulator.describe().into_iter().map(|stream| stream.name).collect();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/v2/stream/{}", listener.local_addr().expect("an address"), names.join(","));
        tokio::spawn(simulator.serve(listener, std::future::pending()));
        let kept = |name: &&'static str| Kept { name, log: VecTail::default(), cursor: None };
        let streams = streams.iter().map(kept).collect();
        Self { url, settings, clock, streams, gaps: Vec::new(), rejects: Vec::new() }
    }

    /// The events of all streams.
    fn events(&self) -> Vec<Vec<u8>> {
        self.streams.iter().flat_map(|stream| stream.log.events()).collect()
    }

    async fn open(&self) -> Box<dyn Reader> {
        let spec = SOURCES.iter().find(|spec| spec.name == "eventstreams").expect("it is registered");
        let mut settings = self.settings.clone();
        settings["url"] = self.url.clone().into();
        settings["since"] = "2001-01-01T00:00:00Z".into();
        let stream = |kept: &Kept| StreamResume {
            stream: Name::new(kept.name).expect("a name"),
            cursor: kept.cursor.clone(),
            event_time: StreamSchema::builtin("mediawiki/recentchange").unwrap_or_default().event_time,
            tail: Box::new(kept.log.clone()),
        };
        let streams = self.streams.iter().map(stream).collect();
        let resume = Resume { name: "tested".to_owned(), streams, clock: self.clock.clone() };
        (spec.open)(settings, resume).await.expect("it opens").reader
    }

    fn commit(&mut self, chunk: Chunk) {
        self.gaps.extend(chunk.discontinuities.into_iter().filter_map(|one| match one {
            Discontinuity::Missing(gap) => Some(gap),
            _ => None,
        }));
        self.rejects.extend(chunk.rejects);
        let kept = &mut self.streams[chunk.to.0];
        kept.log.commit(chunk.events.events());
        kept.cursor = chunk.cursor.or(kept.cursor.take());
    }

    /// Runs until the log holds `count` events; killed at every `kill_every`-th chunk with events, which is
    /// lost.
    async fn run(&mut self, count: usize, kill_every: usize) {
        let work = async {
            let mut source = self.open().await;
            let mut chunks = 0;
            while self.events().len() < count {
                match source.next().await {
                    Ok(Some(chunk)) => {
                        chunks += usize::from(!chunk.events.is_empty());
                        if !chunk.events.is_empty() && chunks % kill_every == 0 {
                            source = self.open().await;
                        } else {
                            self.commit(chunk);
                        }
                    }
                    Err(Error::Unavailable { .. }) => source = self.open().await,
                    other => panic!("{other:?}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), work).await.expect("it ends");
    }
}

/// The events `numbers` as either cluster has them, by `meta.id`.
fn oracle(numbers: impl Iterator<Item = u64>) -> BTreeMap<String, [Vec<u8>; 2]> {
    let generator = Generator::new(SEED, start(), 0.0);
    let one = |n| {
        let mut text = Vec::new();
        generator.write_event(n, &mut text);
        let offset = i64::try_from(generator.offset(n)).expect("small");
        let text = String::from_utf8(text).expect("UTF-8");
        let other = text.replace(&format!("\"offset\":{offset}"), &format!("\"offset\":{}", offset + SHIFT));
        (id(text.as_bytes()), [text.into_bytes(), other.into_bytes()])
    };
    numbers.map(one).collect()
}

fn id(event: &[u8]) -> String {
    let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
    event["meta"]["id"].as_str().expect("an id").to_owned()
}

/// With these faults, 3,000 events but for `missing` come once, byte for byte, over kills and cuts. Gives gaps and
/// rejects.
async fn check(faults: &[&str], missing: &[u64], kill_every: usize) -> (Vec<Gap>, Vec<Reject>) {
    let faults = Faults::parse(faults.iter().copied()).expect("faults that there are");
    let (count, start) = (3_000, Some(start()));
    let options = Options { seed: SEED, rate: 0.0, events: Some(count), start, faults, ..Options::default() };
    let mut world = World::new(options, serde_json::json!({ "silence_max": "1s" })).await;
    let wanted = oracle((0..count).filter(|n| !missing.contains(n)));
    world.run(wanted.len(), kill_every).await;
    let mut seen = BTreeSet::new();
    for event in world.events() {
        let id = id(&event);
        assert!(wanted.get(&id).is_some_and(|texts| texts.contains(&event)), "{}", String::from_utf8_lossy(&event));
        assert!(seen.insert(id.clone()), "{id} came twice");
    }
    assert_eq!(seen.len(), wanted.len());
    (world.gaps, world.rejects)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_and_cuts_anywhere_lose_nothing_and_double_nothing() {
    for kill_every in [2, 3, 1_000] {
        for fault in ["cut-inside-frame=every-211", "cut-inside-character=every-173", "cut-after-id=every-97"] {
            let (gaps, rejects) = check(&[fault], &[], kill_every).await;
            assert!(gaps.is_empty() && rejects.is_empty(), "{fault}: {gaps:?} {rejects:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_cluster_with_cuts_and_kills_gives_the_same_events() {
    let second = format!("second-cluster=alternate:{SHIFT}");
    for kill_every in [2, 5, 1_000] {
        let (gaps, rejects) = check(&[&second, "cut-inside-frame=every-307"], &[], kill_every).await;
        assert!(gaps.is_empty() && rejects.is_empty(), "{gaps:?} {rejects:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holes_are_gaps_when_they_last_and_nothing_when_they_pass() {
    let (gaps, _) = check(&["hole=500..503,1700", "hole-once=900..910,2100"], &[500, 501, 502, 1_700], 1_000).await;
    let missing: i64 = gaps.iter().map(|gap| gap.to - gap.from).sum();
    assert_eq!(missing, 4, "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_errors_refusals_of_the_connection_and_silence_do_no_harm() {
    let faults =
        ["duplicate=every-50", "error-event=700,1900", "too-many-requests=2:1s", "unavailable=4", "silence=2500:30s"];
    let (gaps, rejects) = check(&faults, &[], 7).await;
    assert!(gaps.is_empty() && rejects.is_empty(), "{gaps:?} {rejects:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_json_and_ten_megabytes_are_refused_with_reason_and_place() {
    let (gaps, rejects) = check(&["not-json=400,401", "huge=1200:10 MB"], &[400, 401, 1_200], 1_000).await;
    assert!(gaps.is_empty(), "{gaps:?}");
    assert_eq!(rejects.len(), 3, "{rejects:?}");
    assert!(
        rejects.iter().filter(|reject| reject.reason.starts_with("not JSON: expected")).count() == 2,
        "{rejects:?}"
    );
    assert!(rejects.iter().any(|reject| reject.reason.contains("event_bytes_max")));
    assert!(rejects.iter().all(|reject| reject.position.contains("mediawiki.recentchange/0/")), "{rejects:?}");
    assert!(rejects.iter().all(|reject| reject.payload.len() <= Reject::PAYLOAD_BYTES_MAX));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_upstream_streams_come_once_into_two_streams_over_clusters_cuts_and_kills() {
    const COUNT: u64 = 3_200;
    let options = |faults: &[&str]| Options {
        seed: SEED,
        rate: 0.0,
        events: Some(COUNT),
        start: Some(start()),
        page_creates: true,
        faults: Faults::parse(faults.iter().copied()).expect("faults that there are"),
        ..Options::default()
    };
    let settings = || serde_json::json!({ "silence_max": "1s", "routes": { "page-create": "created" } });
    let streams = ["recentchange", "created"];
    // What one cluster has, in one go.
    let mut first = World::of(options(&[]), settings(), &streams).await;
    first.run(3_200, usize::MAX).await;
    let ids = |world: &World, place: usize| -> BTreeSet<String> {
        world.streams[place].log.events().iter().map(|event| id(event)).collect()
    };
    assert_eq!((ids(&first, 0).len(), ids(&first, 1).len()), (3_000, 200));
    let second = format!("second-cluster=alternate:{SHIFT}");
    for faults in [&["cut-inside-frame=every-307", &second][..], &["cut-after-id=every-97", "duplicate=every-50"]] {
        for kill_every in [2, 5, 1_000] {
            let mut world = World::of(options(faults), settings(), &streams).await;
            world.run(3_200, kill_every).await;
            assert_eq!(world.events().len(), 3_200, "{faults:?}");
            for place in [0, 1] {
                assert!(ids(&world, place) == ids(&first, place), "{faults:?} {kill_every}: each once, in its stream");
            }
            assert!(world.gaps.is_empty() && world.rejects.is_empty(), "{:?} {:?}", world.gaps, world.rejects);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_recordings_come_into_two_streams() {
    let files = ["recentchange_2021-08-27.sse.gz", "page-create_2021-08-20.sse.gz"];
    let paths: Vec<PathBuf> = files.into_iter().filter_map(recording).collect();
    let [changes, creates] = &paths[..] else { return };
    let faults = Faults::parse(["cut-inside-frame=every-113"]).expect("a fault");
    let options = Options { rate: 0.0, from: paths.clone(), faults, ..Options::default() };
    let mut world = World::of(options, serde_json::json!({}), &["recentchange", "page_create"]).await;
    world.run(1_950 + 41, 4).await;
    assert!(world.streams[0].log.events() == data_lines(changes));
    assert!(world.streams[1].log.events() == data_lines(creates));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recordings_come_through_whole_and_the_cut_frame_does_not() {
    for (file, count) in [
        ("recentchange_2021-08-27.sse.gz", 1_950),
        ("revision-create_2021-08-27.sse.gz", 1_571),
        ("revision-score_2021-08-27.sse.gz", 910),
        ("page-create_2021-08-20.sse.gz", 41),
    ] {
        let Some(path) = recording(file) else { continue };
        let expected = data_lines(&path);
        assert_eq!(expected.len(), count, "{file}");
        let faults = Faults::parse(["cut-inside-frame=every-113"]).expect("a fault");
        let options = Options { rate: 0.0, from: vec![path], faults, ..Options::default() };
        let mut world = World::new(options, serde_json::json!({})).await;
        world.run(count, 4).await;
        assert!(world.events() == expected, "{file}: every event once, in order, byte for byte");
        assert!(world.gaps.is_empty() && world.rejects.is_empty(), "{file}");
    }
}

/// What DESIGN claims, on real events: a client that resumes by EventStreams' own ids, which are times, loses events;
/// one that resumes by offset does not. The first is computed, the second is run, at cut points all over the recording.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resuming_by_time_as_eventstreams_does_it_loses_events_and_ours_does_not() {
    let Some(path) = recording("recentchange_2021-08-27.sse.gz") else { return };
    let expected = data_lines(&path);
    let times: Vec<Timestamp> = expected
        .iter()
        .map(|event| {
            let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
            event["meta"]["dt"].as_str().expect("a time").parse().expect("a time")
        })
        .collect();
    let loses = |cut: usize| {
        let asked = times[cut].0 + 1_000;
        times.iter().position(|time| time.0 >= asked).unwrap_or(times.len()) > cut + 1
    };
    let lossy = (0..times.len()).filter(|cut| loses(*cut)).count();
    assert!(lossy * 5 > times.len(), "EVENTSTREAMS.md, section 6: a fifth of all cut points; {lossy}");
    for step in [61, 89, 127] {
        let faults = Faults::parse([format!("cut-after-id=every-{step}").as_str()]).expect("a fault");
        let options = Options { rate: 0.0, from: vec![path.clone()], faults, ..Options::default() };
        let mut world = World::new(options, serde_json::json!({})).await;
        world.run(expected.len(), 3).await;
        assert!(world.events() == expected, "cut at every {step}");
    }
}

/// The recordings lie beside the project where they are at all; without them there is nothing to test.
fn recording(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sse").join(file);
    if !path.exists() {
        let _ = writeln!(std::io::stdout(), "SKIPPED recordings: {file} is not here");
        return None;
    }
    Some(path)
}

/// The data of every event whose data is whole, read as plainly as can be.
fn data_lines(path: &Path) -> Vec<Vec<u8>> {
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("a file");
    std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(file), &mut text).expect("gzip");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    // The last one may be cut.
    let whole = data.filter(|data| serde_json::from_str::<serde_json::Value>(data).is_ok());
    whole.map(|data| data.as_bytes().to_vec()).collect()
}
