//! The whole source against an upstream in memory that behaves as EventStreams and Kafka do, and misbehaves on demand:
//! two clusters with other offsets, cuts at any byte, holes, repeats, garbage, oversized events.
//!
//! The oracle: each event has a number, its text is a pure function of it (but for the offset, which is the cluster's),
//! and in the end the log holds every number once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use lakehead_connector_api::{Activity, Chunk, Error, Gap, Move, Resume, Source};
use lakehead_eventstreams_wire::{Data, Frame};
use lakehead_model::{Cursor, Reject, StreamSchema, Timestamp};
use lakehead_testkit::{Act, ManualClock, Upstream, VecTail};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    EventStreams, Feed, Pace,
    config::Config,
    cursor::{PARTITIONS_MAX, SavedCursor},
    intake::{Intake, Step},
};

/// When the first event happened; Unix seconds.
const START: i64 = 1_790_000_000;

/// Between two events of a topic. An overlap of two minutes holds a dozen.
const SECONDS_APART: i64 = 10;

/// A topic of the model: how many events it has. The k-th has number `first + k`.
#[derive(Clone, Debug)]
struct Topic {
    name: &'static str,
    first: u64,
    count: u64,
}

/// The upstream's two clusters and their misbehaviour.
#[derive(Clone, Debug, Default)]
struct Kafka {
    topics: Vec<Topic>,
    /// Numbers that are nowhere, though their offsets are taken.
    lost: BTreeSet<u64>,
    /// Numbers that are left out the first time that their turn comes.
    late: BTreeSet<u64>,
    /// Numbers whose data is garbage.
    garbage: BTreeSet<u64>,
    /// Numbers whose data is greater than the limit.
    large: BTreeSet<u64>,
    /// Sent once more later on the same connection.
    repeated: BTreeSet<u64>,
    /// For each connection: which cluster answers, and after how many bytes it hangs up. Then the last cluster, whole.
    connections: Vec<(u64, usize)>,
}

impl Kafka {
    fn numbers(&self) -> impl Iterator<Item = u64> {
        self.topics.iter().flat_map(|topic| topic.first..topic.first + topic.count)
    }

    /// The Kafka time of a number, in milliseconds: up to 64 s behind the one before it.
    fn millis(number: u64) -> i64 {
        let disorder = i64::try_from(number.wrapping_mul(0x9e37_79b9) % 64_000).expect("small");
        let place = i64::try_from(number % 1_000_000).expect("small");
        (START + place * SECONDS_APART) * 1_000 - disorder
    }

    fn base(cluster: u64, topic: usize) -> u64 {
        1_000 + cluster * 77_777 + topic as u64 * 5
    }

    fn document(&self, cluster: u64, topic: usize, place: u64) -> String {
        let Topic { name, first, .. } = self.topics[topic];
        let number = first + place;
        let time = Timestamp::from_millis(Self::millis(number));
        let offset = Self::base(cluster, topic) + place;
        let padding = "ü".repeat(usize::try_from(number % 7).expect("small"));
        format!(
            r#"{{"meta":{{"id":"00000000-0000-4000-8000-{number:012x}","dt":"{time}","topic":"{name}","partition":0,"offset":{offset}}},"number":{number},"text":"{padding}"}}"#
        )
    }

    fn frame(&self, cluster: u64, topic: usize, place: u64, out: &mut String) {
        let number = self.topics[topic].first + place;
        let mut document = self.document(cluster, topic, place);
        if self.garbage.contains(&number) {
            document.replace_range(document.len() - 10.., "\u{1}");
        }
        if self.large.contains(&number) {
            document.insert_str(document.len() - 1, &format!(r#","large":"{}""#, "x".repeat(LIMIT + 100_000)));
        }
        let ids: Vec<String> = self
            .topics
            .iter()
            .map(|topic| format!(r#"{{"topic":"{}","partition":0,"timestamp":1}}"#, topic.name))
            .collect();
        let _ = write!(out, "event: message\nid: [{}]\ndata: {document}\n\n", ids.join(","));
    }

    /// What connection `n` sends to a client that asks so.
    fn answer(&mut self, n: usize, head: &str) -> Vec<u8> {
        let last = self.connections.last().map_or(0, |(cluster, _)| *cluster);
        let (cluster, bytes) = self.connections.get(n).copied().unwrap_or((last, usize::MAX));
        let asked = head
            .lines()
            .find_map(|line| line.strip_prefix("last-event-id: "))
            .map(|id| serde_json::from_str::<Vec<serde_json::Value>>(id).expect("the header is JSON"));
        let mut places: Vec<(usize, u64)> = Vec::new();
        for (t, topic) in self.topics.iter().enumerate() {
            let end = topic.count;
            let of_time = |millis: i64| (0..end).find(|k| Self::millis(topic.first + k) >= millis).unwrap_or(end);
            let start = match &asked {
                None => 0,
                Some(asked) => {
                    let Some(entry) = asked.iter().find(|entry| entry["topic"] == topic.name) else { continue };
                    assert!(entry.get("offset").is_none() || entry.get("timestamp").is_none(), "never both: {entry}");
                    match (entry["offset"].as_u64(), entry["timestamp"].as_i64()) {
                        // Out of range: from the end, silently.
                        (Some(offset), _) => offset.checked_sub(Self::base(cluster, t)).map_or(end, |k| k.min(end)),
                        (None, Some(millis)) => of_time(millis),
                        _ => panic!("neither offset nor time, or -1: {entry}"),
                    }
                }
            };
            places.extend((start..end).map(|k| (t, k)));
        }
        // Topics take turns, each in its own order.
        places.sort_by_key(|(t, k)| (self.topics[*t].first % 1_000_000 + k, *t));
        let mut text = String::new();
        let mut before = None;
        for (t, k) in places {
            let number = self.topics[t].first + k;
            if self.lost.contains(&number) || (text.len() < bytes && self.late.remove(&number)) {
                continue;
            }
            self.frame(cluster, t, k, &mut text);
            if self.repeated.contains(&number) {
                if let Some((t, k)) = before {
                    self.frame(cluster, t, k, &mut text);
                }
                self.frame(cluster, t, k, &mut text);
            }
            before = Some((t, k));
        }
        text.truncate(text.floor_char_boundary(bytes));
        let mut sent = text.into_bytes();
        // The last bytes of a cut connection may be half a character.
        if bytes % 3 == 0 && bytes < sent.len() + 3 {
            sent.pop();
        }
        sent
    }

    fn cuts(&self, n: usize) -> bool {
        n < self.connections.len() && self.connections[n].1 != usize::MAX
    }
}

const LIMIT: usize = 100_000;

/// The engine and the store, as far as a source sees them.
struct World {
    kafka: Arc<Mutex<Kafka>>,
    upstream: Upstream,
    log: VecTail,
    cursor: Option<Cursor>,
    gaps: Vec<Gap>,
    moves: Vec<Move>,
    rejects: Vec<Reject>,
    duplicates: u64,
}

impl World {
    async fn new(kafka: Kafka) -> Self {
        let kafka = Arc::new(Mutex::new(kafka));
        let model = kafka.clone();
        let upstream = Upstream::start(move |n, head| {
            let mut model = model.lock().expect("no panic under the lock");
            let end = if model.cuts(n) { Act::Reset } else { Act::Hang };
            // Small writes, and a pause of the sender is what makes a reset arrive after the bytes.
            let end = if n % 2 == 0 || !model.cuts(n) { vec![end] } else { Vec::new() };
            [vec![Act::stream(), Act::Send(model.answer(n, head))], end].concat()
        })
        .await;
        Self {
            kafka,
            upstream,
            log: VecTail::default(),
            cursor: None,
            gaps: Vec::new(),
            moves: Vec::new(),
            rejects: Vec::new(),
            duplicates: 0,
        }
    }

    fn open(&self) -> Feed {
        feed(&self.upstream.url("/v2/stream/t"), self.cursor.clone(), &self.log).expect("it opens")
    }

    fn commit(&mut self, chunk: Chunk) {
        self.gaps.extend(chunk.gaps);
        self.moves.extend(chunk.moves);
        self.rejects.extend(chunk.rejects);
        self.duplicates += chunk.duplicates;
        self.log.commit(chunk.events.events());
        self.cursor = chunk.cursor.or(self.cursor.take());
        self.check_offsets();
    }

    /// Wherever offsets do not go on one by one in the log, the ledger and the rejects say so by now.
    fn check_offsets(&self) {
        let mut leads: BTreeSet<(String, i64, i64)> = BTreeSet::new();
        leads.extend(self.gaps.iter().map(|gap| (gap.partition.clone(), gap.from, gap.to)));
        leads.extend(self.moves.iter().map(|one| (one.partition.clone(), one.from, one.to)));
        leads.extend(self.rejects.iter().filter_map(|reject| {
            let (partition, offset) = reject.position.rsplit_once('/')?;
            let offset: i64 = offset.parse().ok()?;
            Some((partition.to_owned(), offset, offset + 1))
        }));
        // A reject whose offset nobody could rely on stands for any one.
        let is_placed =
            |reject: &&Reject| reject.position.rsplit('/').next().is_some_and(|end| end.parse::<i64>().is_ok());
        let mut unplaced = self.rejects.len() - self.rejects.iter().filter(is_placed).count();
        let mut next: BTreeMap<String, i64> = BTreeMap::new();
        for event in self.log.events() {
            let event: serde_json::Value = serde_json::from_slice(&event).expect("JSON");
            let partition = format!("{}/0", event["meta"]["topic"].as_str().expect("a topic"));
            let offset = event["meta"]["offset"].as_i64().expect("an offset");
            if let Some(expected) = next.insert(partition.clone(), offset + 1) {
                let (mut reached, mut new) = (BTreeSet::from([expected]), vec![expected]);
                while let Some(at) = new.pop() {
                    let onward =
                        leads.iter().filter(|(of, from, _)| *of == partition && *from == at).map(|(.., to)| *to);
                    new.extend(onward.filter(|to| reached.insert(*to)));
                }
                let lacking = reached.range(..=offset).next_back().map_or(u64::MAX, |from| from.abs_diff(offset));
                let accounted = usize::try_from(lacking).is_ok_and(|lacking| lacking <= unplaced);
                assert!(accounted, "{partition}: {offset} after {expected} is in no ledger: {leads:?}");
                unplaced -= usize::try_from(lacking).unwrap_or(0);
            }
        }
    }

    /// Runs until the log holds every number of `wanted`, killed after each number of chunks that `kills` gives, with
    /// what was handed over last not committed.
    async fn run(&mut self, wanted: &BTreeSet<u64>, kills: &[usize]) {
        let mut kills = kills.iter().copied();
        let mut source = self.open();
        let mut left = kills.next();
        while !wanted.is_subset(&self.numbers().into_iter().collect()) {
            match source.next().await {
                Ok(Some(chunk)) if left != Some(0) => self.commit(chunk),
                Ok(Some(_)) | Err(Error::Unavailable { .. }) => {
                    left = kills.next();
                    source = self.open();
                    continue;
                }
                other => panic!("{other:?}"),
            }
            left = left.map(|left| left - 1);
        }
    }

    fn numbers(&self) -> Vec<u64> {
        let number = |event: &Vec<u8>| {
            let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
            event["number"].as_u64().expect("a number")
        };
        self.log.events().iter().map(number).collect()
    }

    /// Every event of `wanted` once, byte for byte.
    fn check(&self, wanted: &BTreeSet<u64>) {
        let mut numbers = self.numbers();
        numbers.sort_unstable();
        assert_eq!(numbers, wanted.iter().copied().collect::<Vec<_>>(), "every event once");
        let kafka = self.kafka.lock().expect("no panic under the lock");
        let mut texts = BTreeSet::new();
        for (t, topic) in kafka.topics.iter().enumerate() {
            for place in 0..topic.count {
                texts.extend((0..3).map(|cluster| kafka.document(cluster, t, place).into_bytes()));
            }
        }
        assert!(self.log.events().iter().all(|event| texts.contains(event)), "byte for byte");
    }

    /// Two more events come: they follow without a seam, and nothing comes again.
    async fn more(&mut self, mut wanted: BTreeSet<u64>) {
        {
            let mut kafka = self.kafka.lock().expect("no panic under the lock");
            let topic = &mut kafka.topics[0];
            wanted.extend([topic.first + topic.count, topic.first + topic.count + 1]);
            topic.count += 2;
        }
        self.run(&wanted, &[]).await;
        self.check(&wanted);
    }
}

fn feed(url: &str, cursor: Option<Cursor>, log: &VecTail) -> Result<Feed, Error> {
    feed_with(serde_json::json!({ "url": url }), cursor, log)
}

fn feed_with(settings: serde_json::Value, cursor: Option<Cursor>, log: &VecTail) -> Result<Feed, Error> {
    let mut settings = settings;
    let defaults = serde_json::json!({ "since": "2001-01-01T00:00:00Z", "event_bytes_max": "100 kB" });
    for (key, value) in defaults.as_object().expect("a table") {
        settings.as_object_mut().expect("a table").entry(key).or_insert(value.clone());
    }
    // The binary does this first thing; a client wants it even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config: Config = serde_json::from_value(settings).expect("valid settings");
    config.check().expect("settings that can work");
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(START + 3600)));
    let event_time = StreamSchema::builtin("mediawiki/recentchange").expect("built in").event_time;
    let resume = Resume { name: "t".to_owned(), cursor, event_time, tail: Box::new(log.clone()), clock };
    let pace = Pace { proof: Duration::from_millis(60), pause: Duration::from_millis(1), ..Pace::default() };
    Feed::new(config, resume, pace)
}

/// Two datacentres, one of them idle but for a few canaries.
fn topics(count: u64) -> Vec<Topic> {
    vec![
        Topic { name: "codfw.t", first: 1_000_000, count },
        Topic { name: "eqiad.t", first: 2_000_000, count: count / 10 },
    ]
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await.expect("it ends") })
}

#[test]
fn keeps_the_source_contract() {
    run(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kafka = Kafka { topics: vec![topics(40).remove(0)], ..Kafka::default() };
        let expected: Vec<Vec<u8>> = (0..40).map(|place| kafka.document(0, 0, place).into_bytes()).collect();
        let kafka = Mutex::new(kafka);
        let upstream = Upstream::start(move |n, head| {
            let sent = kafka.lock().expect("no panic under the lock").answer(n, head);
            vec![Act::stream(), Act::Send(sent), Act::Hang]
        });
        let url = upstream.await;
        let settings = || async { serde_json::json!({ "url": url.url("/v2/stream/t"), "since": "24h" }) };
        lakehead_testkit::conformance::source::<EventStreams, _>(settings, Timestamp::from_seconds(START), &expected)
            .await;
    });
}

#[test]
fn a_kill_loses_nothing_and_doubles_nothing() {
    run(async {
        let mut world = World::new(Kafka { topics: topics(60), ..Kafka::default() }).await;
        let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        world.kafka.lock().expect("free").connections = (1..30).map(|n| (0, n * 700)).collect();
        world.run(&wanted, &[0, 1, 0, 2, 0, 0, 1, 3, 0]).await;
        world.check(&wanted);
        assert!(world.gaps.is_empty() && world.rejects.is_empty());
        world.more(wanted).await;
    });
}

#[test]
fn another_cluster_with_other_offsets_gives_the_same_log() {
    run(async {
        for cut in (500..9_000).step_by(611) {
            let connections = vec![(0, cut), (1, cut * 2), (0, cut * 3), (1, cut), (1, usize::MAX)];
            let mut world = World::new(Kafka { topics: topics(60), connections, ..Kafka::default() }).await;
            let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
            world.run(&wanted, &[0, 2]).await;
            world.check(&wanted);
            assert!(world.gaps.is_empty(), "{:?}", world.gaps);
            world.more(wanted).await;
        }
    });
}

#[test]
fn a_lasting_hole_becomes_a_gap_and_a_passing_one_is_filled() {
    run(async {
        let lost = BTreeSet::from([1_000_010, 1_000_011, 1_000_030]);
        let late = BTreeSet::from([1_000_020, 1_000_021]);
        let mut world = World::new(Kafka { topics: topics(60), lost, late, ..Kafka::default() }).await;
        let mut wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        wanted.retain(|number| !world.kafka.lock().expect("free").lost.contains(number));
        world.run(&wanted, &[]).await;
        world.check(&wanted);
        let gaps: Vec<_> = world.gaps.iter().map(|gap| (gap.partition.as_str(), gap.from, gap.to)).collect();
        assert_eq!(gaps, [("codfw.t/0", 1_010, 1_012), ("codfw.t/0", 1_030, 1_031)]);
        assert_eq!(world.gaps[0].after, Some(Timestamp::from_millis(Kafka::millis(1_000_009))));
        assert_eq!(world.gaps[0].before, Some(Timestamp::from_millis(Kafka::millis(1_000_012))));
    });
}

#[test]
fn garbage_behind_a_hole_is_refused_without_a_place_and_accounts_for_one_offset() {
    run(async {
        let (late, garbage) = (BTreeSet::from([1_000_006]), BTreeSet::from([1_000_007]));
        let mut world = World::new(Kafka { topics: topics(60), late, garbage, ..Kafka::default() }).await;
        let mut wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        wanted.remove(&1_000_007);
        world.run(&wanted, &[]).await;
        world.check(&wanted);
        assert_eq!(world.rejects.len(), 1);
    });
}

#[test]
fn garbage_and_oversized_events_are_refused_once_with_reason_and_place() {
    run(async {
        let garbage = BTreeSet::from([1_000_010, 1_000_011, 2_000_002]);
        let large = BTreeSet::from([1_000_020]);
        let connections = (1..40).map(|n| (0, n * 9_973)).collect();
        let kafka = Kafka { topics: topics(60), garbage, large, connections, ..Kafka::default() };
        let mut world = World::new(kafka).await;
        let mut wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        wanted.retain(|n| ![1_000_010, 1_000_011, 2_000_002, 1_000_020].contains(n));
        world.run(&wanted, &[]).await;
        world.check(&wanted);
        assert!(world.gaps.is_empty(), "{:?}", world.gaps);
        let mut refused: Vec<_> = world.rejects.iter().map(|r| (r.position.clone(), r.reason.clone())).collect();
        refused.sort();
        let places: Vec<&str> = refused.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["codfw.t/0/1010", "codfw.t/0/1011", "codfw.t/0/1020", "eqiad.t/0/1007"]);
        assert!(refused[0].1.contains("not JSON: expected"), "{refused:?}");
        assert!(refused[2].1.contains("at most 100000 bytes (event_bytes_max)"), "{refused:?}");
    });
}

#[test]
fn an_upstream_that_lost_the_held_event_gives_a_gap_and_goes_on() {
    run(async {
        let mut world = World::new(Kafka { topics: topics(40), ..Kafka::default() }).await;
        let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        world.run(&wanted, &[]).await;
        // Another cluster, whose log begins after the held event.
        let all = {
            let mut kafka = world.kafka.lock().expect("free");
            kafka.topics[0].count = 100;
            kafka.lost = (1_000_000..1_000_060).collect();
            kafka.connections = (0..40).map(|_| (2, usize::MAX)).collect();
            kafka.numbers().collect::<BTreeSet<u64>>()
        };
        let wanted = all.into_iter().filter(|n| *n < 1_000_040 || *n >= 1_000_060).collect();
        world.run(&wanted, &[]).await;
        let gaps: Vec<_> = world.gaps.iter().map(|gap| (gap.from, gap.to)).collect();
        assert_eq!(gaps, [(1_040, i64::try_from(Kafka::base(2, 0)).expect("small") + 60)]);
        assert!(world.gaps[0].reason.contains("not found again"));
        let mut numbers = world.numbers();
        numbers.sort_unstable();
        assert_eq!(numbers, wanted.into_iter().collect::<Vec<_>>());
    });
}

#[test]
fn each_answer_that_is_no_stream_says_what_to_do_next() {
    run(async {
        let answers = [
            (
                "400 Bad Request",
                "",
                r#"{"title":"Stream Not Found","detail":"Invalid streams: t"}"#,
                "Invalid streams: t",
            ),
            ("403 Forbidden", "", "", "contact"),
            ("404 Not Found", "", r#"{"message":"topic x is not available"}"#, "topic x"),
        ];
        for (status, headers, body, wanted) in answers {
            let upstream = Upstream::start(move |_, _| vec![Act::answer(status, headers, body)]).await;
            let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
            let error = feed.next().await.expect_err(status);
            assert!(matches!(&error, Error::Invalid(what) if what.contains(wanted)), "{error}");
        }
        let busy = |_: usize, _: &str| vec![Act::answer("429 Too Many Requests", "Retry-After: 7\r\n", "")];
        let upstream = Upstream::start(busy).await;
        let error = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens").next().await;
        let wait = Some(Duration::from_secs(7));
        assert!(matches!(&error, Err(Error::Unavailable { retry_after, .. }) if *retry_after == wait), "{error:?}");
        let head = &upstream.requests()[0];
        assert!(head.contains("user-agent: Lakehead/") && head.contains("(no contact set)"), "{head}");
        let page = |_: usize, _: &str| vec![Act::answer("200 OK", "Content-Type: text/html\r\n", "<html>")];
        let upstream = Upstream::start(page).await;
        let error = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens").next().await;
        assert!(matches!(&error, Err(Error::Unavailable { what, .. }) if what.contains("text/html")), "{error:?}");
    });
}

#[test]
fn an_error_frame_and_a_hang_up_without_an_event_and_silence_are_the_upstream_being_away() {
    run(async {
        let cases: [(Vec<Act>, &str); 3] = [
            (vec![Act::stream(), Act::send("event: error\ndata: {\"message\":\"broker down\"}\n\n")], "broker down"),
            (vec![Act::stream()], "hung up without an event"),
            (vec![Act::stream(), Act::Hang], "sent nothing for 1s (silence_max)"),
        ];
        for (acts, wanted) in cases {
            let upstream = Upstream::start(move |_, _| acts.clone()).await;
            let settings = serde_json::json!({ "url": upstream.url("/t"), "silence_max": "1s" });
            let mut feed = feed_with(settings, None, &VecTail::default()).expect("it opens");
            let error = loop {
                if let Err(error) = feed.next().await {
                    break error;
                }
            };
            assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains(wanted)), "{error}");
        }
    });
}

/// An upstream that sends `piece` for ever, and never anything else.
async fn endless(piece: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/t", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            let mut sent = socket.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = socket.write_all(piece.repeat(1_000).as_bytes()).await;
            }
        }
    });
    url
}

#[test]
fn bytes_that_never_end_an_event_are_silence() {
    for piece in ["data: {\n", "id: 1\n\n", "data\n\n", ": x", "x"] {
        run(async {
            let settings = serde_json::json!({ "url": endless(piece).await, "silence_max": "1s" });
            let mut feed = feed_with(settings, None, &VecTail::default()).expect("it opens");
            let error = feed.next().await.expect_err("nothing but bytes came");
            let wanted = "sent no whole event for 1s (silence_max), though ";
            assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains(wanted)), "{piece:?}: {error}");
        });
    }
}

#[test]
fn whole_comments_keep_a_quiet_connection_for_longer_than_silence_may_last() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/t", listener.local_addr().expect("an address"));
        // It takes one connection and no other.
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let _ = socket.read(&mut [0; 4096]).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            socket.write_all(head.as_bytes()).await.expect("taken");
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                socket.write_all(b":\r\n\r\n: still here\n\n").await.expect("taken");
            }
            socket.write_all(ALIKE.as_bytes()).await.expect("taken");
            std::future::pending::<()>().await;
        });
        let settings = serde_json::json!({ "url": url, "silence_max": "1s" });
        let mut feed = feed_with(settings, None, &VecTail::default()).expect("it opens");
        let chunk = feed.next().await.expect("no silence").expect("no end");
        assert_eq!(chunk.events.len(), 1);
    });
}

/// What a source gave.
#[derive(Default)]
struct Given {
    events: u64,
    duplicates: u64,
    rejects: Vec<Reject>,
    cursor: Option<Cursor>,
}

/// Reads until so many events have come, be they new or not, from connections that bring `texts` in turn. The last hangs.
async fn given(settings: serde_json::Value, texts: Vec<String>, count: u64) -> Given {
    let last = texts.len() - 1;
    let upstream = Upstream::start(move |n, _| {
        let mut acts = vec![Act::stream(), Act::send(texts[n.min(last)].clone())];
        acts.extend((n >= last).then_some(Act::Hang));
        acts
    })
    .await;
    let mut settings = settings;
    settings["url"] = upstream.url("/t").into();
    let mut feed = feed_with(settings, None, &VecTail::default()).expect("it opens");
    let mut given = Given::default();
    while given.events + given.duplicates < count {
        let chunk = feed.next().await.expect("no error").expect("no end");
        given.events += chunk.events.len() as u64;
        given.duplicates += chunk.duplicates;
        given.rejects.extend(chunk.rejects);
        given.cursor = chunk.cursor.or(given.cursor);
    }
    given
}

/// An event that looks like any other.
const ALIKE: &str = "data: {\"a\":1,\"meta\":{\"dt\":\"2026-11-28T00:00:00Z\"}}\n\n";

fn alike(id: &str) -> String {
    format!("id: {id}\n{ALIKE}")
}

#[test]
fn events_that_only_look_alike_are_all_kept() {
    let frames: [fn(u64) -> String; 5] = [
        |_| ALIKE.to_owned(),
        |n| alike(&n.to_string()),
        |n| alike(&format!(r#"[{{"topic":"t","partition":0,"offset":{n}}}]"#)),
        |_| alike(r#"[{"topic":"t","partition":0,"timestamp":1}]"#),
        |n| format!("data: {{\"meta\":{{\"topic\":\"t\",\"partition\":0,\"offset\":{n}}}}}\n\n"),
    ];
    for (case, frame) in frames.into_iter().enumerate() {
        for since in [serde_json::json!("1h"), serde_json::Value::Null] {
            run(async {
                let text = (0..1_000).map(frame).collect();
                let given = given(serde_json::json!({ "since": since }), vec![text], 1_000).await;
                assert_eq!((given.events, given.duplicates), (1_000, 0), "{case}");
            });
        }
    }
}

#[test]
fn what_an_upstream_repeats_after_a_reconnect_is_dropped_and_counted() {
    run(async {
        let (since, now) = (serde_json::json!({ "since": "1h" }), serde_json::json!({ "since": null }));
        // Asked by a time, an upstream begins where it began before.
        let given_since = given(since, vec![ALIKE.repeat(3), ALIKE.repeat(5)], 8).await;
        assert_eq!((given_since.events, given_since.duplicates), (5, 3));
        // Asked from now on, it has nothing to repeat.
        let given_now = given(now.clone(), vec![ALIKE.repeat(3), ALIKE.repeat(5)], 8).await;
        assert_eq!((given_now.events, given_now.duplicates), (8, 0));
        // By its id an event is known wherever it comes; also when nothing new comes with it.
        let ids = [alike("7"), alike("8"), alike("9")].concat();
        let given_ids = given(now, vec![ids.clone(), ids], 6).await;
        assert_eq!((given_ids.events, given_ids.duplicates), (3, 3));
    });
}

#[test]
fn a_pause_ends_what_an_upstream_repeats() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(START)));
    let event_time = StreamSchema::builtin("mediawiki/recentchange").expect("built in").event_time;
    let tail = Box::new(VecTail::default());
    let since = Timestamp::from_seconds(START);
    let mut intake = Intake::new("t", LIMIT, since, None, &event_time, clock, tail).expect("no cursor");
    let now = std::time::Instant::now();
    let take = |intake: &mut Intake| {
        let frame = Frame { event: b"", id: None, data: Data::Whole(br#"{"a":1}"#.into()) };
        assert_eq!(intake.take(&frame, now).expect("no error"), Step::Next);
    };
    let connect = |intake: &mut Intake| assert_eq!(intake.connect(true).expect("no error"), None);
    connect(&mut intake);
    (0..3).for_each(|_| take(&mut intake));
    connect(&mut intake);
    // It may only be slow to begin.
    intake.paused(now);
    take(&mut intake);
    intake.paused(now);
    take(&mut intake);
    let chunk = intake.hand_over(now).expect("events");
    assert_eq!((chunk.events.len(), chunk.duplicates), (4, 1));
}

#[test]
fn what_is_refused_again_is_counted() {
    run(async {
        let given = given(serde_json::json!({}), vec!["data: {bad\n\n".repeat(3)], 2).await;
        assert_eq!((given.events, given.duplicates, given.rejects.len()), (0, 2, 1));
    });
}

#[test]
fn more_partitions_than_can_be_followed_are_told_once_and_all_events_kept() {
    run(async {
        let name = |n: u64| format!(r#"{{"topic":"t{n}","partition":0,"offset":1}}"#);
        let odd = |topics: u64| {
            let names: Vec<String> = (0..topics).map(name).collect();
            alike(&format!("[{}]", names.join(",")))
        };
        let placed = |n: u64| format!("data: {{\"meta\":{}}}\n\n", name(n));
        let kafka = Kafka { topics: topics(20), ..Kafka::default() };
        let mut good = String::new();
        (0..3).for_each(|place| kafka.frame(0, 0, place, &mut good));
        let long = "t".repeat(30_000);
        let long = alike(&format!(r#"[{{"topic":"{long}","partition":0,"offset":1}}]"#));
        let delete = alike("[{\"topic\":\"\x7f\",\"partition\":0,\"offset\":1}]");
        for (case, odd, count, followed) in [
            ("an id of many topics", odd(200), 1, vec!["codfw.t", "eqiad.t"]),
            ("a long topic", long, 1, vec!["codfw.t", "eqiad.t"]),
            ("a topic that no header can name", delete, 1, vec!["codfw.t", "eqiad.t"]),
            ("one by one", (0..200).map(placed).collect(), 200, Vec::new()),
        ] {
            let given = given(serde_json::json!({}), vec![format!("{odd}{good}")], count + 3).await;
            assert_eq!((given.events, given.duplicates, given.rejects.len()), (count + 3, 0, 1), "{case}");
            let reason = &given.rejects[0].reason;
            assert!(reason.contains("kept") && reason.contains("at most 128 upstream partitions"), "{case}: {reason}");
            let cursor = given.cursor.expect("a cursor").position;
            assert!(cursor.len() < 64 << 10, "{case}: {}", cursor.len());
            let partitions = SavedCursor::read(&cursor).expect("a cursor").partitions;
            assert!(partitions.len() <= PARTITIONS_MAX, "{case}: {}", partitions.len());
            let follows = |topic: &&str| partitions.iter().any(|partition| partition.topic == *topic);
            assert!(followed.iter().all(follows), "{case}: {cursor}");
        }
    });
}

#[test]
fn events_that_come_in_one_read_with_an_error_frame_are_kept_before_it_is_reported() {
    run(async {
        let kafka = Kafka { topics: topics(20), ..Kafka::default() };
        let mut text = String::new();
        (0..3).for_each(|place| kafka.frame(0, 0, place, &mut text));
        text.push_str("event: error\ndata: {\"message\":\"broker down\"}\n\n");
        let upstream = Upstream::start(move |_, _| vec![Act::stream(), Act::send(text.clone())]).await;
        let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
        let chunk = feed.next().await.expect("first what was taken").expect("no end");
        assert_eq!((chunk.events.len(), chunk.cursor.is_some()), (3, true));
        let error = feed.next().await.expect_err("then the error");
        assert!(matches!(&error, Error::Unavailable { what, .. } if what.contains("broker down")), "{error}");
    });
}

#[test]
fn an_upstream_that_hangs_up_after_each_event_is_asked_ever_more_slowly() {
    // Whatever else comes with it is not worth a connection: comments, frames that are refused.
    let huge = "x".repeat(100 << 10);
    let refused = format!("id: {}\ndata: {{\"a\":1}}\n\n", "x".repeat(5 << 20));
    for beside in ["", format!(": {huge}\n\n").as_str(), refused.as_str()] {
        run(async {
            let kafka = Kafka { topics: topics(1_000), ..Kafka::default() };
            let (beside, padding) = (beside.to_owned(), beside.len());
            let one = move |n: usize, _: &str| {
                let mut text = beside.clone();
                kafka.frame(0, 0, n as u64, &mut text);
                vec![Act::stream(), Act::send(text)]
            };
            let upstream = Upstream::start(one).await;
            let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
            let begun = std::time::Instant::now();
            let mut events = 0;
            while events < 9 {
                events += feed.next().await.expect("it brings something each time").expect("no end").events.len();
            }
            // The first two follow at once; then 1, 2, 4 … 64 ms.
            assert!(begun.elapsed() >= Duration::from_millis(127), "{padding} bytes beside: {:?}", begun.elapsed());
            assert_eq!(feed.not_before.map(|at| at > tokio::time::Instant::now()), Some(true), "the next has to wait");
        });
    }
}

#[test]
fn a_frame_whose_id_or_name_passes_the_limit_is_refused_and_the_rest_goes_on() {
    run(async {
        let kafka = Kafka { topics: topics(20), ..Kafka::default() };
        let (mut before, mut after) = (String::new(), String::new());
        kafka.frame(0, 0, 0, &mut before);
        kafka.frame(0, 0, 3, &mut after);
        let huge = "x".repeat(5 << 20);
        let lines = [
            format!("id: {huge}\ndata: {{\"a\":1}}\n\n"),
            format!("event: {huge}\ndata: {{\"a\":2}}\n\n"),
            format!(": {huge}\n\n"),
        ];
        let text = format!("{before}{}{after}", lines.concat());
        let upstream = Upstream::start(move |_, _| vec![Act::stream(), Act::send(text.clone()), Act::Hang]).await;
        let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
        let (mut events, mut rejects) = (0, Vec::new());
        while events < 2 {
            let chunk = feed.next().await.expect("no error").expect("no end");
            events += chunk.events.len();
            rejects.extend(chunk.rejects);
            assert!(chunk.gaps.is_empty(), "the refused account for what is missing: {:?}", chunk.gaps);
        }
        assert_eq!(rejects.len(), 2, "not the comment: {rejects:?}");
        for reject in &rejects {
            assert!(reject.reason.contains("event_bytes_max") && reject.reason.len() < 2_000, "{}", reject.reason);
        }
    });
}

#[test]
fn the_media_type_is_compared_as_media_types_are() {
    run(async {
        let kafka = Kafka { topics: topics(20), ..Kafka::default() };
        let mut text = String::new();
        kafka.frame(0, 0, 0, &mut text);
        for named in ["Text/Event-Stream", "text/event-stream;charset=UTF-8", "TEXT/EVENT-STREAM ; a=b"] {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {named}\r\n\r\n{text}");
            let upstream = Upstream::start(move |_, _| vec![Act::send(head.clone()), Act::Hang]).await;
            let mut feed = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens");
            assert_eq!(feed.next().await.expect(named).expect("no end").events.len(), 1);
        }
    });
}

#[test]
fn what_only_looks_like_a_stream_is_said_and_tried_again() {
    run(async {
        let cases = [
            ("200 OK", "Content-Type: text/event-stream-not\r\n", "expected text/event-stream"),
            ("200 OK", "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n", "Content-Encoding"),
            ("204 No Content", "", "204"),
            ("302 Found", "Location: http://127.0.0.2:9/t\r\n", "127.0.0.2"),
            ("302 Found", "Location: /t\r\n", "in a circle"),
        ];
        for (status, headers, wanted) in cases {
            let upstream = Upstream::start(move |_, _| vec![Act::answer(status, headers, "")]).await;
            let error = feed(&upstream.url("/t"), None, &VecTail::default()).expect("it opens").next().await;
            assert!(matches!(&error, Err(Error::Unavailable { what, .. }) if what.contains(wanted)), "{error:?}");
            assert!(upstream.requests().len() < 10);
        }
    });
}

#[test]
fn a_stream_added_to_the_address_is_read_from_now_on_and_the_others_go_on_exactly() {
    run(async {
        let mut world = World::new(Kafka { topics: vec![topics(40).remove(0)], ..Kafka::default() }).await;
        let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        world.run(&wanted, &[]).await;
        let url = world.upstream.url("/v2/stream/t,other");
        world.kafka.lock().expect("free").topics.push(Topic { name: "eqiad.other", first: 3_000_000, count: 9 });
        let wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
        let mut source = feed(&url, world.cursor.clone(), &world.log).expect("it opens");
        while world.numbers().len() < wanted.len() {
            world.commit(source.next().await.expect("no error").expect("no end"));
        }
        world.check(&wanted);
    });
}

#[test]
fn it_is_live_at_the_head_and_catching_up_before() {
    run(async {
        let mut world = World::new(Kafka { topics: topics(40), ..Kafka::default() }).await;
        let mut source = world.open();
        let first = source.next().await.expect("no error").expect("no end");
        assert_eq!(first.activity, Some(Activity::CatchingUp));
        world.commit(first);
        // A second without anything: that is the head. Only the activity and the cursor come.
        let second = source.next().await.expect("no error").expect("no end");
        assert_eq!((second.activity, second.events.len()), (Some(Activity::Live), 0));
        assert!(second.cursor.is_some_and(|cursor| cursor.progress.is_some()));
    });
}

#[test]
fn a_cursor_that_cannot_be_read_is_corrupt_not_forgotten() {
    let cursor = Cursor { position: "{}".into(), progress: None };
    let error = feed("http://127.0.0.1:1/t", Some(cursor), &VecTail::default()).err().expect("an error");
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 64, ..ProptestConfig::default() })]

    /// Random cuts at any byte × two clusters × holes, late ones, garbage, repeats × kills.
    #[test]
    fn whatever_happens_every_event_comes_once(
        connections in proptest::collection::vec((0_u64..2, 0_usize..20_000), 0..12),
        kills in proptest::collection::vec(0_usize..4, 0..8),
        lost in proptest::collection::btree_set(1_000_001_u64..1_000_058, 0..4),
        late in proptest::collection::btree_set(1_000_001_u64..1_000_058, 0..4),
        garbage in proptest::collection::btree_set(1_000_001_u64..1_000_058, 0..3),
        repeated in proptest::collection::btree_set(1_000_001_u64..1_000_058, 0..6),
    ) {
        run(async {
            let kafka = Kafka {
                topics: topics(60),
                lost: lost.clone(),
                late,
                garbage: garbage.clone(),
                large: BTreeSet::new(),
                repeated,
                connections,
            };
            let mut world = World::new(kafka).await;
            let mut wanted: BTreeSet<u64> = world.kafka.lock().expect("free").numbers().collect();
            wanted.retain(|number| !lost.contains(number) && !garbage.contains(number));
            world.run(&wanted, &kills).await;
            world.check(&wanted);
            world.more(wanted).await;
            // What is missing is in the ledger, by whichever cluster's offsets.
            let within = |number: &u64| world.gaps.iter().any(|gap| (0..2).any(|cluster| {
                let offset = i64::try_from(Kafka::base(cluster, 0) + number - 1_000_000).expect("small");
                gap.from <= offset && offset < gap.to
            }));
            assert!(lost.difference(&garbage).all(within), "{lost:?} {:?}", world.gaps);
            let refused: BTreeSet<&[u8]> = world.rejects.iter().map(|reject| &reject.payload[..]).collect();
            assert!(refused.len() >= garbage.difference(&lost).count(), "{garbage:?} {:?}", world.rejects);
        });
    }
}
