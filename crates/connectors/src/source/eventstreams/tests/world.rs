//! What the engine and the store are to a source, and the oracle: in the end the log holds every number once.

use std::{
    collections::{BTreeMap, BTreeSet},
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
    pub(super) log: VecTail,
    pub(super) cursor: Option<Cursor>,
    pub(super) gaps: Vec<Gap>,
    pub(super) renumberings: Vec<Renumbering>,
    pub(super) rejects: Vec<Reject>,
    pub(super) duplicates: u64,
}

impl World {
    pub(super) async fn new(kafka: Kafka) -> Self {
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
            renumberings: Vec::new(),
            rejects: Vec::new(),
            duplicates: 0,
        }
    }

    pub(super) fn open(&self) -> Feed {
        feed(&self.upstream.url("/v2/stream/t"), self.cursor.clone(), &self.log).expect("it opens")
    }

    pub(super) fn commit(&mut self, chunk: Chunk) {
        for one in chunk.discontinuities {
            match one {
                Discontinuity::Missing(gap) => self.gaps.push(gap),
                Discontinuity::Renumbered(renumbering) => self.renumberings.push(renumbering),
                Discontinuity::Skipped(skipped) => panic!("EventStreams skips nothing: {skipped:?}"),
            }
        }
        self.rejects.extend(chunk.rejects);
        self.duplicates += chunk.duplicates;
        self.log.commit(chunk.events.events());
        self.cursor = chunk.cursor.or(self.cursor.take());
        self.check_offsets();
    }

    /// Wherever offsets do not go on one by one in the log, the ledger and the rejects say so by now.
    pub(super) fn check_offsets(&self) {
        let mut leads: BTreeSet<(String, i64, i64)> = BTreeSet::new();
        leads.extend(self.gaps.iter().map(|gap| (gap.partition.clone(), gap.from, gap.to)));
        leads.extend(self.renumberings.iter().map(|one| (one.partition.clone(), one.from, one.to)));
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

    pub(super) fn numbers(&self) -> Vec<u64> {
        let number = |event: &Vec<u8>| {
            let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
            event["number"].as_u64().expect("a number")
        };
        self.log.events().iter().map(number).collect()
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
        assert!(self.log.events().iter().all(|event| texts.contains(event)), "byte for byte");
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

pub(super) fn feed(url: &str, cursor: Option<Cursor>, log: &VecTail) -> Result<Feed, Error> {
    feed_with(serde_json::json!({ "url": url }), cursor, log)
}

pub(super) fn feed_with(settings: serde_json::Value, cursor: Option<Cursor>, log: &VecTail) -> Result<Feed, Error> {
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
    let stream = Name::new("t").expect("a name");
    let resume = StreamResume { stream, cursor, event_time, tail: Box::new(log.clone()) };
    let pace = Pace { proof: Duration::from_millis(60), pause: Duration::from_millis(1), ..Pace::default() };
    Feed::new(config, resume, clock, pace)
}

/// An event that looks like any other.
pub(super) const ALIKE: &str = "data: {\"a\":1,\"meta\":{\"dt\":\"2026-11-28T00:00:00Z\"}}\n\n";

pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await.expect("it ends") })
}
