//! The recorded changes that lie beside the project where it is developed; none elsewhere.
//!
//! Recordings of four years, one after the other, so that nothing but the odd ones among them comes years late; the odd
//! ones are strewn in. Some events are moved a little, as a mirror does.

use std::{collections::BTreeMap, fs, io::Read, path::PathBuf};

use lakehead_model::{StreamSchema, Timestamp};
use lakehead_testkit::oracle::event_time;
use serde_json::value::RawValue;

use super::changes::{NAME, SIZES, columns};
use crate::{
    random::Random,
    table::{Burst, Table},
};

/// In the order in which they were recorded, with the most that is taken of each.
const RECORDINGS: &[(&str, usize)] = &[
    ("recentchange/raw_2019-06_amommendes_schema-v2.jsonl.gz", 200),
    ("recentchange/raw_2021-08_kirajano.jsonl.gz", 1_200),
    ("recentchange/firehose_2023-01-25_349s.jsonl.gz", 2_200),
    ("recentchange/raw_2026-02_sat99496.jsonl.gz", 50),
];
const ODD: &str = "odd/odd_recentchange.jsonl";

/// Where recordings would be.
pub(crate) fn where_recordings_are() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data")
}

/// The recorded stream; `None` where there are no recordings.
pub(crate) fn recorded(seed: u64) -> Option<Table> {
    let mut random = Random::new(seed, "recorded");
    let data = where_recordings_are();
    let mut events = Vec::new();
    for (file, most) in RECORDINGS {
        let Ok(packed) = fs::File::open(data.join(file)) else { continue };
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(packed).read_to_string(&mut text).expect("gzip");
        let lines: Vec<&str> = text.lines().collect();
        let from = random.below(lines.len().saturating_sub(*most) + 1);
        events.extend(lines.into_iter().skip(from).take(*most).map(str::to_owned));
    }
    if let Ok(text) = fs::read_to_string(data.join(ODD)) {
        for line in text.lines() {
            let odd: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).expect("JSON");
            // One of them was recorded over several lines; the store keeps an event on one.
            let event = odd["event"].get().replace('\n', " ");
            events.insert(random.below(events.len() + 1), event);
        }
    }
    if events.is_empty() {
        return None;
    }
    for place in 0..events.len() {
        if random.chance(3) {
            let other = (place + random.below(80)).min(events.len() - 1);
            events.swap(place, other);
        }
    }
    let schema = StreamSchema::builtin("mediawiki/recentchange").expect("built in");
    let origin = format!("{} recorded changes", events.len());
    let bursts = bursts(&mut random, &schema, events);
    Some(Table { label: "recorded", name: NAME, origin, schema, columns: columns(), sizes: SIZES, bursts })
}

/// Received when the newest of them had happened.
fn bursts(random: &mut Random, schema: &StreamSchema, events: Vec<String>) -> Vec<Burst> {
    let mut now = Timestamp(0);
    let mut bursts = Vec::new();
    let mut events = events.into_iter();
    loop {
        let events: Vec<String> = events.by_ref().take(1 + random.below(40)).collect();
        if events.is_empty() {
            return bursts;
        }
        let newest = events.iter().filter_map(|event| event_time(schema, event)).max();
        now = now.max(Timestamp(newest.unwrap_or(0)));
        bursts.push(Burst { received: now, events });
    }
}
