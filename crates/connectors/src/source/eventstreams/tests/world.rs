//! What the engine and the store are to a source, and the oracle: in the end the logs hold every number once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use lakehead_connector_api::{Chunk, Discontinuity, Error, Gap, Reader, Renumbering, StreamResume};
use lakehead_model::{Cursor, Name, Reject, StreamSchema, Timestamp};
use lakehead_testkit::{Act, ManualClock, Upstream, VecTail};

use super::{
    super::{Feed, Pace, config::Config},
    kafka::{Kafka, START},
};

/// The engine and the store, as far as a source sees them.
pub(super) struct World {
    pub(super) kafka: Arc<Mutex<Kafka>>,
    pub(super) upstream: Upstream,
    /// The source's settings, without its address.
    pub(super) settings: serde_json::Value,
    /// The upstream streams that it reads.
    pub(super) path: String,
    /// The streams that it feeds, of those in `logs`.
    pub(super) feeds: Vec<&'static str>,
    pub(super) logs: BTreeMap<&'static str, Kept>,
    pub(super) gaps: Vec<Gap>,
    pub(super) rejects: Vec<Reject>,
    pub(super) duplicates: u64,
    /// The time by the clock.
    pub(super) now: Timestamp,
}

/// What is kept of one stream.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub(super) log: VecTail,
    pub(super) cursor: Option<Cursor>,
    /// Where numbers lead over, by the ledger.
    leads: Vec<(String, i64, i64)>,
}

/// A kill: after how many chunks, and how many of those that were under way then each stream has on disk.
#[derive(Clone, Debug)]
pub(super) struct Kill {
    pub(super) after: usize,
    pub(super) kept: [usize; 2],
}

/// The time when a source is opened, an hour after the first event.
const NOW: Timestamp = Timestamp((START + 3600) * 1_000_000);

/// Chunks that are under way at most, before the oldest is on disk.
const UNDER_WAY: usize = 6;

impl World {
    pub(super) async fn new(kafka: Kafka) -> Self {
        Self::of(kafka, "t", &["t"]).await
    }

    /// A source that reads these upstream streams and feeds these.
    pub(super) async fn of(kafka: Kafka, path: &str, feeds: &[&'static str]) -> Self {
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
            settings: serde_json::json!({}),
            path: path.to_owned(),
            feeds: feeds.to_vec(),
            logs: feeds.iter().map(|name| (*name, Kept::default())).collect(),
            gaps: Vec::new(),
            rejects: Vec::new(),
            duplicates: 0,
            now: NOW,
        }
    }

    pub(super) fn open(&self) -> Feed {
        let mut settings = self.settings.clone();
        settings["url"] = self.upstream.url(&format!("/v2/stream/{}", self.path)).into();
        let resumes = self.feeds.iter().map(|name| {
            let Kept { log, cursor, .. } = self.logs.get(name).cloned().unwrap_or_default();
            resume(name, cursor, &log)
        });
        feed_at(self.now, settings, resumes.collect()).expect("it opens")
    }

    /// Feeds these from the next opening on, by these routes.
    pub(super) fn reroute(&mut self, feeds: &[&'static str], routes: &serde_json::Value) {
        self.feeds = feeds.to_vec();
        for name in feeds {
            self.logs.entry(name).or_default();
        }
        self.settings["routes"] = routes.clone();
    }

    pub(super) fn commit(&mut self, chunk: Chunk) {
        let kept = self.note(&chunk);
        kept.log.commit(chunk.events.events());
        kept.cursor = chunk.cursor.or(kept.cursor.take());
        self.check_offsets();
    }

    /// The ledgers are on disk before the events.
    fn note(&mut self, chunk: &Chunk) -> &mut Kept {
        let kept = self.logs.get_mut(self.feeds[chunk.to.0]).expect("a stream that it feeds");
        for one in &chunk.discontinuities {
            kept.leads.push(match one {
                Discontinuity::Missing(gap) => {
                    self.gaps.push(gap.clone());
                    (gap.partition.clone(), gap.from, gap.to)
                }
                Discontinuity::Renumbered(Renumbering { partition, from, to, .. }) => (partition.clone(), *from, *to),
                Discontinuity::Skipped(skipped) => panic!("EventStreams skips nothing: {skipped:?}"),
            });
        }
        self.rejects.extend(chunk.rejects.iter().cloned());
        self.duplicates += chunk.duplicates;
        kept
    }

    /// Of what was under way when the process was killed each stream has on disk what came first, and no more. What was
    /// refused before any of that is on disk, too.
    fn killed(&mut self, mut under_way: VecDeque<Chunk>, kept: [usize; 2]) {
        let mut left = kept;
        let survives: Vec<bool> = under_way
            .iter()
            .map(|chunk| {
                let of = &mut left[chunk.to.0.min(1)];
                let survives = *of > 0;
                *of = of.saturating_sub(1);
                survives
            })
            .collect();
        let last = survives.iter().rposition(|survives| *survives);
        for (place, survives) in survives.into_iter().enumerate() {
            let chunk = under_way.pop_front().expect("as many");
            if survives {
                self.commit(chunk);
            } else if last.is_some_and(|last| place < last) {
                self.note(&chunk);
            }
        }
    }

    /// Wherever offsets do not go on one by one in a log, the ledger and the rejects say so by now.
    pub(super) fn check_offsets(&self) {
        // A reject whose offset nobody could rely on stands for any one.
        let is_placed =
            |reject: &&Reject| reject.position.rsplit('/').next().is_some_and(|end| end.parse::<i64>().is_ok());
        let mut unplaced = self.rejects.len() - self.rejects.iter().filter(is_placed).count();
        for (stream, kept) in &self.logs {
            self.check_offsets_of(stream, kept, &mut unplaced);
        }
    }

    fn check_offsets_of(&self, stream: &str, kept: &Kept, unplaced: &mut usize) {
        let mut leads: BTreeSet<(String, i64, i64)> = kept.leads.iter().cloned().collect();
        leads.extend(self.rejects.iter().filter_map(|reject| {
            let (partition, offset) = reject.position.rsplit_once('/')?;
            let offset: i64 = offset.parse().ok()?;
            Some((partition.to_owned(), offset, offset + 1))
        }));
        let mut next: BTreeMap<String, i64> = BTreeMap::new();
        for event in kept.log.events() {
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
                let accounted = usize::try_from(lacking).is_ok_and(|lacking| lacking <= *unplaced);
                assert!(accounted, "{stream}: {partition}: {offset} after {expected} is in no ledger: {leads:?}");
                *unplaced -= usize::try_from(lacking).unwrap_or(0);
            }
        }
    }

    /// Runs until the logs hold every number of `wanted`, killed after each number of chunks that `kills` gives, with
    /// what was handed over last not committed.
    pub(super) async fn run(&mut self, wanted: &BTreeSet<u64>, kills: &[usize]) {
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

    /// Runs one life of the process: until the kill, or until the logs hold every number of `wanted`. Chunks are under way for
    /// a while before they are on disk. True when all is there.
    pub(super) async fn live(&mut self, wanted: &BTreeSet<u64>, kill: Option<&Kill>) -> bool {
        let mut source = self.open();
        let (mut under_way, mut handed) = (VecDeque::<Chunk>::new(), 0);
        loop {
            let mut there: BTreeSet<u64> = self.numbers().into_iter().collect();
            if wanted.is_subset(&there) {
                return true;
            }
            there.extend(under_way.iter().flat_map(|chunk| chunk.events.events()).map(number));
            // Nothing more comes when all is there.
            if let Some(kill) = kill.filter(|kill| handed >= kill.after || wanted.is_subset(&there)) {
                self.killed(under_way, kill.kept);
                return false;
            }
            let room = if kill.is_some() { UNDER_WAY } else { 0 };
            match source.next().await {
                Ok(Some(chunk)) => under_way.push_back(chunk),
                // The engine waits for what is under way, and opens it again.
                Err(Error::Unavailable { .. }) => {
                    under_way.drain(..).for_each(|chunk| self.commit(chunk));
                    source = self.open();
                }
                other => panic!("{other:?}"),
            }
            handed += 1;
            while under_way.len() > room {
                under_way.pop_front().into_iter().for_each(|chunk| self.commit(chunk));
            }
        }
    }

    fn events(&self) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        self.logs.iter().flat_map(|(stream, kept)| kept.log.events().into_iter().map(|event| (*stream, event)))
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.events().map(|(_, event)| number(&event)).collect()
    }

    /// Every event of `wanted` once, byte for byte.
    pub(super) fn check(&self, wanted: &BTreeSet<u64>) {
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
        assert!(self.events().all(|(_, event)| texts.contains(&event)), "byte for byte");
    }

    /// The topics whose events are in the log of this stream.
    pub(super) fn topics_in(&self, stream: &str) -> BTreeSet<String> {
        let topic = |event: Vec<u8>| {
            let event: serde_json::Value = serde_json::from_slice(&event).expect("JSON");
            event["meta"]["topic"].as_str().expect("a topic").to_owned()
        };
        self.logs[stream].log.events().into_iter().map(topic).collect()
    }

    /// Two more events come: they follow without a seam, and nothing comes again.
    pub(super) async fn more(&mut self, mut wanted: BTreeSet<u64>) {
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

/// Which event it is.
fn number(event: &[u8]) -> u64 {
    let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
    event["number"].as_u64().expect("a number")
}

pub(super) fn resume(stream: &str, cursor: Option<Cursor>, log: &VecTail) -> StreamResume {
    let event_time = StreamSchema::builtin("mediawiki/recentchange").expect("built in").event_time;
    StreamResume { stream: Name::new(stream).expect("a name"), cursor, event_time, tail: Box::new(log.clone()) }
}

pub(super) fn feed(url: &str, cursor: Option<Cursor>, log: &VecTail) -> Result<Feed, Error> {
    feed_with(serde_json::json!({ "url": url }), cursor, log)
}

pub(super) fn feed_with(settings: serde_json::Value, cursor: Option<Cursor>, log: &VecTail) -> Result<Feed, Error> {
    feed_of(settings, vec![resume("t", cursor, log)])
}

pub(super) fn feed_of(settings: serde_json::Value, streams: Vec<StreamResume>) -> Result<Feed, Error> {
    feed_at(NOW, settings, streams)
}

fn feed_at(now: Timestamp, settings: serde_json::Value, streams: Vec<StreamResume>) -> Result<Feed, Error> {
    let mut settings = settings;
    let defaults = serde_json::json!({ "since": "2001-01-01T00:00:00Z", "event_bytes_max": "100 kB" });
    for (key, value) in defaults.as_object().expect("a table") {
        settings.as_object_mut().expect("a table").entry(key).or_insert(value.clone());
    }
    // The binary does this first thing; a client wants it even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config: Config = serde_json::from_value(settings).expect("valid settings");
    config.check().expect("settings that can work");
    let clock = Arc::new(ManualClock::new(now));
    let pace = Pace { proof: Duration::from_millis(60), pause: Duration::from_millis(1), ..Pace::default() };
    Feed::new(config, streams, clock, pace)
}

/// An event that looks like any other.
pub(super) const ALIKE: &str = "data: {\"a\":1,\"meta\":{\"dt\":\"2026-11-28T00:00:00Z\"}}\n\n";

pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await.expect("it ends") })
}
