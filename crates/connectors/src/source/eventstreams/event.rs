//! What the source needs to know of one event: where it stood upstream, who it is, when it was.
//!
//! The fields inside of the data are the truth, not the frame's id: EventStreams puts `meta.topic`, `meta.partition`
//! and `meta.offset` into each event, while its ids are times that a later event may have again. One forward walk over
//! the document finds all of them.

use lakehead_json::{Paths, Raw};
use lakehead_model::{TimeFormat, Timestamp};

use crate::event_key::Key;

/// What was read from one event. All of it may be missing: a stream that is not Wikimedia's need not have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'d> {
    /// The raw JSON string of `meta.topic`, quotes and all, to be compared by its bytes.
    pub(super) topic: Option<&'d [u8]>,
    pub(super) partition: i32,
    pub(super) offset: Option<i64>,
    pub(super) key: Key,
    /// Whether the key is its `meta.id`. Else it says only what the event looks like, and another may look the same.
    pub(super) named: bool,
    /// Of which upstream stream it is, as [`scope_of`] its topic.
    pub(super) scope: u128,
    /// `meta.dt`, which is the Kafka timestamp (equal in all 4,431 recorded frames).
    pub(super) kafka_time: Option<Timestamp>,
    /// By the stream's rule; as read here `timestamp`, else `meta.dt`.
    pub(super) event_time: Option<Timestamp>,
}

impl Facts<'_> {
    /// By what it is known again: who it is, in its upstream stream. Streams that are made from one another may hand
    /// on the `meta.id`, and two events of one id are two.
    pub(super) fn known_by(&self) -> Key {
        self.key.within(self.scope)
    }
}

impl Key {
    /// Half of it, which is a hash, too.
    #[allow(clippy::cast_possible_truncation, reason = "half is what is wanted")]
    pub(super) fn half(self) -> u64 {
        self.0 as u64
    }

    /// The key of the same name in this scope.
    fn within(self, scope: u128) -> Self {
        Self(self.0 ^ scope)
    }
}

/// The upstream stream of a topic, given as the raw JSON string: what follows the datacentre, hashed. An event that comes
/// again in another datacentre's topic is the same event.
pub(super) fn scope_of(raw_topic: &[u8]) -> u128 {
    let stream = memchr::memchr(b'.', raw_topic).map_or(raw_topic, |dot| &raw_topic[dot + 1..]);
    Key::hash([stream.strip_prefix(b"\"").unwrap_or(stream)]).0
}

/// Reads [`Facts`].
#[derive(Debug)]
pub(super) struct FactReader {
    all: Paths,
    of_log: Paths,
}

const TOPIC: usize = 0;
const PARTITION: usize = 1;
const OFFSET: usize = 2;
const ID: usize = 3;
const DT: usize = 4;
const TIMESTAMP: usize = 5;
const PATHS: [&[&str]; 6] =
    [&["meta", "topic"], &["meta", "partition"], &["meta", "offset"], &["meta", "id"], &["meta", "dt"], &["timestamp"]];

impl FactReader {
    pub(super) fn new() -> Self {
        let paths = PATHS.map(|path| path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
        Self { all: Paths::new(&paths), of_log: Paths::new(&paths[..TIMESTAMP]) }
    }

    /// What a valid document says. On one that is not valid nothing of it can be relied on, but nothing panics.
    pub(super) fn read<'d>(&self, document: &'d [u8]) -> Facts<'d> {
        let mut found = [None; PATHS.len()];
        self.all.extract(document, &mut found);
        let kafka_time = found[DT].and_then(|dt| dt.as_time(TimeFormat::Rfc3339));
        let timestamp = found[TIMESTAMP].and_then(|time| time.as_time(TimeFormat::UnixSeconds));
        let name = key_of_id(&found);
        Facts {
            topic: topic_of(&found),
            partition: found[PARTITION].and_then(Raw::as_i64).and_then(|p| i32::try_from(p).ok()).unwrap_or(0),
            offset: found[OFFSET].and_then(Raw::as_i64).filter(|offset| *offset >= 0),
            key: name.unwrap_or_else(|| key_without_id(document, &found)),
            named: name.is_some(),
            scope: 0,
            kafka_time,
            event_time: timestamp.or(kafka_time),
        }
    }

    /// By what an event of the log is [known again](Facts::known_by), and its Kafka time.
    pub(super) fn identity(&self, document: &[u8]) -> (Key, Option<Timestamp>) {
        let mut found = [None; PATHS.len()];
        self.of_log.extract(document, &mut found);
        let key = key_of_id(&found).unwrap_or_else(|| key_without_id(document, &found));
        let scope = topic_of(&found).map_or(0, scope_of);
        (key.within(scope), found[DT].and_then(|dt| dt.as_time(TimeFormat::Rfc3339)))
    }
}

/// The raw JSON string of the topic, where it is one.
fn topic_of<'d>(found: &[Option<Raw<'d>>; PATHS.len()]) -> Option<&'d [u8]> {
    found[TOPIC].map(Raw::bytes).filter(|raw| raw.first() == Some(&b'"'))
}

fn key_of_id(found: &[Option<Raw<'_>>; PATHS.len()]) -> Option<Key> {
    let id = found[ID]?.as_str().filter(|id| !id.is_empty())?;
    Some(Key::of_id(id.as_bytes()))
}

/// The hash of all that is not topic, partition or offset.
fn key_without_id(document: &[u8], found: &[Option<Raw<'_>>; PATHS.len()]) -> Key {
    let base = document.as_ptr().addr();
    let mut holes: Vec<(usize, usize)> = [TOPIC, PARTITION, OFFSET]
        .iter()
        .filter_map(|place| found[*place])
        .map(|raw| (raw.bytes().as_ptr().addr() - base, raw.bytes().len()))
        .collect();
    holes.sort_unstable();
    let mut at = 0;
    let mut parts = Vec::with_capacity(holes.len() + 1);
    for (start, length) in holes {
        parts.push(document.get(at..start).unwrap_or_default());
        at = start + length;
    }
    parts.push(document.get(at..).unwrap_or_default());
    Key::hash(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"$schema":"x","meta":{"id":"59d43ae0-e4e9-4197-990d-52723364e505","dt":"2021-08-27T13:20:17Z","topic":"codfw.t","partition":0,"offset":441362975},"timestamp":1630070416}"#;

    #[test]
    fn the_facts_of_an_event_are_found_in_its_data() {
        let facts = FactReader::new().read(EVENT.as_bytes());
        assert_eq!(facts.topic, Some(&b"\"codfw.t\""[..]));
        assert_eq!((facts.partition, facts.offset), (0, Some(441_362_975)));
        assert_eq!(facts.key.to_string(), "59d43ae0-e4e9-4197-990d-52723364e505");
        assert_eq!(facts.kafka_time, Some(Timestamp::from_seconds(1_630_070_417)));
        assert_eq!(facts.event_time, Some(Timestamp::from_seconds(1_630_070_416)));
        let facts = Facts { scope: scope_of(br#""eqiad.t""#), ..facts };
        assert_eq!(FactReader::new().identity(EVENT.as_bytes()), (facts.known_by(), facts.kafka_time));
        assert_eq!(facts.key.to_string().parse(), Ok(facts.key));
    }

    #[test]
    fn an_event_without_id_is_the_same_in_every_cluster() {
        let plain = EVENT.replace(r#""id":"59d43ae0-e4e9-4197-990d-52723364e505","#, "");
        let key = |text: &str| FactReader::new().read(text.as_bytes()).key;
        assert_eq!(key(&plain), key(&plain.replace("441362975", "7").replace("codfw", "eqiad")));
        assert_ne!(key(&plain), key(&plain.replace("1630070416", "1630070417")));
        assert_ne!(key(&plain), key(EVENT));
        let named = |text: &str| FactReader::new().read(text.as_bytes()).named;
        assert!(named(EVENT) && !named(&plain));
    }

    #[test]
    fn an_event_is_known_in_every_datacentre_and_in_no_other_stream() {
        let known_by = |topic: &str| FactReader::new().identity(EVENT.replace("codfw.t", topic).as_bytes()).0;
        assert_eq!(known_by("codfw.t"), known_by("eqiad.t"));
        assert_eq!(known_by("codfw.t"), known_by("t"));
        assert_ne!(known_by("codfw.t"), known_by("codfw.u"));
        assert_ne!(known_by("codfw.t"), FactReader::new().read(EVENT.as_bytes()).known_by(), "no topic");
    }

    #[test]
    fn what_is_missing_is_missing() {
        let facts = FactReader::new().read(br#"{"meta":{"offset":-1,"topic":null,"id":7}}"#);
        assert_eq!((facts.topic, facts.offset, facts.kafka_time), (None, None, None));
    }
}
