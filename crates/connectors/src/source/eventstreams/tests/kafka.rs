//! An upstream in memory that behaves as EventStreams and Kafka do, and misbehaves on demand: two clusters with other
//! offsets, cuts at any byte, missing offsets, repeats, garbage, oversized events.
//!
//! Each event has a number, and its text is a pure function of the number, but for the offset, which is the cluster's.

use std::{collections::BTreeSet, fmt::Write as _};

use lakehead_model::Timestamp;

/// The greatest event that the sources of these tests take.
pub(super) const LIMIT: usize = 100_000;

/// When the first event happened; Unix seconds.
pub(super) const START: i64 = 1_790_000_000;

/// Between two events of a topic. An overlap of two minutes holds a dozen.
pub(super) const SECONDS_APART: i64 = 10;

/// A topic of the model: how many events it has. The k-th has number `first + k`.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) first: u64,
    pub(super) count: u64,
}

/// The upstream's two clusters and their misbehaviour.
#[derive(Clone, Debug, Default)]
pub(super) struct Kafka {
    pub(super) topics: Vec<Topic>,
    /// Numbers that are nowhere, though their offsets are taken.
    pub(super) lost: BTreeSet<u64>,
    /// Numbers that are left out the first time that their turn comes.
    pub(super) late: BTreeSet<u64>,
    /// Numbers whose data is garbage.
    pub(super) garbage: BTreeSet<u64>,
    /// Numbers whose data is greater than the limit.
    pub(super) large: BTreeSet<u64>,
    /// Sent once more later on the same connection.
    pub(super) repeated: BTreeSet<u64>,
    /// For each connection: which cluster answers, and after how many bytes it hangs up. Then the last cluster, whole.
    pub(super) connections: Vec<(u64, usize)>,
}

impl Kafka {
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.topics.iter().flat_map(|topic| topic.first..topic.first + topic.count)
    }

    /// The Kafka time of a number, in milliseconds: up to 64 s behind the one before it.
    pub(super) fn millis(number: u64) -> i64 {
        let disorder = i64::try_from(number.wrapping_mul(0x9e37_79b9) % 64_000).expect("small");
        let place = i64::try_from(number % 1_000_000).expect("small");
        (START + place * SECONDS_APART) * 1_000 - disorder
    }

    pub(super) fn base(cluster: u64, topic: usize) -> u64 {
        1_000 + cluster * 77_777 + topic as u64 * 5
    }

    pub(super) fn document(&self, cluster: u64, topic: usize, place: u64) -> String {
        let Topic { name, first, .. } = self.topics[topic];
        let number = first + place;
        let time = Timestamp::from_millis(Self::millis(number));
        let offset = Self::base(cluster, topic) + place;
        let padding = "ü".repeat(usize::try_from(number % 7).expect("small"));
        format!(
            r#"{{"meta":{{"id":"00000000-0000-4000-8000-{number:012x}","dt":"{time}","topic":"{name}","partition":0,"offset":{offset}}},"number":{number},"text":"{padding}"}}"#
        )
    }

    /// An event as a connection to all topics has it.
    pub(super) fn frame(&self, cluster: u64, topic: usize, place: u64, out: &mut String) {
        self.frame_of(&self.topics.iter().collect::<Vec<_>>(), cluster, topic, place, out);
    }

    fn frame_of(&self, subscribed: &[&Topic], cluster: u64, topic: usize, place: u64, out: &mut String) {
        let number = self.topics[topic].first + place;
        let mut document = self.document(cluster, topic, place);
        if self.garbage.contains(&number) {
            document.replace_range(document.len() - 10.., "\u{1}");
        }
        if self.large.contains(&number) {
            document.insert_str(document.len() - 1, &format!(r#","large":"{}""#, "x".repeat(LIMIT + 100_000)));
        }
        let ids: Vec<String> = subscribed
            .iter()
            .map(|topic| format!(r#"{{"topic":"{}","partition":0,"timestamp":1}}"#, topic.name))
            .collect();
        let _ = write!(out, "event: message\nid: [{}]\ndata: {document}\n\n", ids.join(","));
    }

    /// What connection `n` sends to a client that asks so.
    pub(super) fn answer(&mut self, n: usize, head: &str) -> Vec<u8> {
        let last = self.connections.last().map_or(0, |(cluster, _)| *cluster);
        let (cluster, bytes) = self.connections.get(n).copied().unwrap_or((last, usize::MAX));
        let asked = head
            .lines()
            .find_map(|line| line.strip_prefix("last-event-id: "))
            .map(|id| serde_json::from_str::<Vec<serde_json::Value>>(id).expect("the header is JSON"));
        let path = head.split([' ', '?']).nth(1).and_then(|path| path.rsplit('/').next()).expect("a path");
        let is_subscribed = |topic: &Topic| {
            let (_, stream) = topic.name.split_once('.').expect("a datacentre");
            path.split(',').any(|name| name == stream)
        };
        let subscribed: Vec<Topic> = self.topics.iter().filter(|topic| is_subscribed(topic)).cloned().collect();
        let subscribed: Vec<&Topic> = subscribed.iter().collect();
        for asked in asked.iter().flatten() {
            assert!(subscribed.iter().any(|topic| asked["topic"] == topic.name), "{asked} is not of {path}: 404");
        }
        let since = head.split([' ', '?', '&']).find_map(|word| word.strip_prefix("since="));
        let since =
            since.map(|since| lakehead_eventstreams_wire::read_since(&since.replace("%3A", ":")).expect("a time"));
        let mut places: Vec<(usize, u64)> = Vec::new();
        for (t, topic) in self.topics.iter().enumerate().filter(|(_, topic)| is_subscribed(topic)) {
            let end = topic.count;
            let of_time = |millis: i64| (0..end).find(|k| Self::millis(topic.first + k) >= millis).unwrap_or(end);
            let start = match &asked {
                None => since.map_or(end, of_time),
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
            self.frame_of(&subscribed, cluster, t, k, &mut text);
            if self.repeated.contains(&number) {
                if let Some((t, k)) = before {
                    self.frame_of(&subscribed, cluster, t, k, &mut text);
                }
                self.frame_of(&subscribed, cluster, t, k, &mut text);
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

    pub(super) fn cuts(&self, n: usize) -> bool {
        n < self.connections.len() && self.connections[n].1 != usize::MAX
    }
}

/// Two datacentres, one of them idle but for a few canaries.
pub(super) fn topics(count: u64) -> Vec<Topic> {
    vec![
        Topic { name: "codfw.t", first: 1_000_000, count },
        Topic { name: "eqiad.t", first: 2_000_000, count: count / 10 },
    ]
}
