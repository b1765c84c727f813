//! The cursor as it is written: JSON, one entry for each upstream topic and partition.
//!
//! ```json
//! {"version":1,"streams":"recentchange","partitions":[
//!   {"topic":"codfw.mediawiki.recentchange","partition":0,"since":1630062000000000,"event_time":1630070418000000,
//!    "kafka_time":1630070418000000,"through":441362978,
//!    "held":{"offset":441362978,"key":"e195ebcf-e9ff-4179-9591-0d2384b96117","event_time":1630070418000000}},
//!   {"topic":"eqiad.mediawiki.recentchange","partition":0,"since":1630062000000000}]}
//! ```
//!
//! Times are microseconds since 1970. It stands in the footer of the block that holds the events it covers. Where a source
//! feeds several streams, each of them has a cursor of the partitions whose events go there; it says, too, when the upstream
//! streams were begun (`begun`), since a partition of another stream may be in no cursor yet, and what this stream has of
//! partitions whose events go elsewhere by now (`left`).

use std::collections::BTreeMap;

use lakehead_connector_api::Error;
use lakehead_model::{Name, TimeRule, Timestamp};
use serde::{Deserialize, Serialize};

use super::routes::Routes;
use crate::event_key::Key;

/// The version written, and the only one read.
const VERSION: u32 = 1;

/// Most partitions that one source may have. Each takes about 300 bytes of a cursor, which may have 64 KiB, and 80
/// bytes of a request header; all of Wikimedia's 25 public streams have 50.
pub(super) const PARTITIONS_MAX: usize = 128;

/// Most bytes of their topics' names together: 112 for each of as many as there may be, where Wikimedia's longest has some
/// 60. With the greatest numbers beside them the cursor is within its 64 KiB.
pub(super) const TOPICS_BYTES_MAX: usize = 14 << 10;

/// What a source was asked to read, and to feed. Where another cursor of it says something else, or is not there, the topics
/// have to be learned again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Asked {
    /// The upstream streams as the path has them.
    pub(super) path: String,
    /// Which streams it feeds, hashed; none for one alone.
    pub(super) fed: Option<u64>,
    /// Where what is read goes, hashed likewise.
    pub(super) routed: Option<u64>,
}

impl Asked {
    pub(super) fn new(path: &str, streams: &[Name], routes: &Routes) -> Self {
        let mut names: Vec<&str> = streams.iter().map(Name::as_str).collect();
        names.sort_unstable();
        let mut routed: Vec<(&str, &str)> = routes.named(streams).collect();
        routed.sort_unstable();
        // What no route names goes to the first.
        routed.extend(streams.first().map(|first| ("", first.as_str())));
        let of_several = |hash: Key| (names.len() > 1).then_some(hash.half());
        Self {
            path: path.to_owned(),
            fed: of_several(Key::hash(names.iter().flat_map(|name| [name.as_bytes(), b","]))),
            routed: of_several(Key::hash(
                routed.iter().flat_map(|(from, to)| [from.as_bytes(), b">", to.as_bytes(), b","]),
            )),
        }
    }
}

/// From when on each upstream stream is read.
pub(super) type Begun = BTreeMap<String, Timestamp>;

/// A cursor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedCursor {
    version: u32,
    /// The streams in the path when it was written. With other ones the topics have to be learned again.
    streams: String,
    pub(super) partitions: Vec<Entry>,
    /// By which rule its event times were read; none for `timestamp`, else `meta.dt`, as Wikimedia's streams have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time_rule: Option<TimeRule>,
    /// As [`Asked::fed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fed: Option<u64>,
    /// As [`Asked::routed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routed: Option<u64>,
    /// Where the source feeds several streams: from when on each upstream stream in the path is read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) begun: Begun,
    /// Partitions whose events go into another stream by now, as they were when they last came into this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) left: Vec<Entry>,
}

/// Where one upstream partition stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// Where it began: asked by this time as long as nothing came.
    pub(super) since: Timestamp,
    /// Greatest event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event_time: Option<Timestamp>,
    /// Greatest Kafka time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kafka_time: Option<Timestamp>,
    /// The offset up to which, itself included, everything is accounted for: taken, refused or a known gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) through: Option<i64>,
    /// The anchor event: the last one before which nothing is missing.
    #[serde(rename = "held", default, skip_serializing_if = "Option::is_none")]
    pub(super) anchor: Option<Anchor>,
    /// The log holds events after the anchor that were taken while it was being looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unproven: bool,
    /// The offset of the last of these events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) taken: Option<i64>,
    /// How often the partition has gone over from one stream to another. Of two entries the one with more is the newer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) moves: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(moves: &u32) -> bool {
    *moves == 0
}

impl Entry {
    /// Nothing came yet.
    pub(super) fn new(topic: String, partition: i32, since: Timestamp) -> Self {
        Self {
            topic,
            partition,
            since,
            event_time: None,
            kafka_time: None,
            through: None,
            anchor: None,
            unproven: false,
            taken: None,
            moves: 0,
        }
    }

    /// Whether it is of this partition.
    pub(super) fn is_of(&self, topic: &str, partition: i32) -> bool {
        self.partition == partition && self.topic == topic
    }

    /// Forgets the event times: they were read by another rule.
    pub(super) fn forget_times(&mut self) {
        self.event_time = None;
        self.anchor.iter_mut().for_each(|anchor| anchor.event_time = None);
    }

    /// The offset of the event that would follow in order on the last one in the log.
    pub(super) fn next(&self) -> Option<i64> {
        self.taken.or(self.through).map(|offset| offset.saturating_add(1))
    }
}

/// The event by which a partition's position is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Anchor {
    /// Its offset, in the cluster that was read when the cursor was written.
    pub(super) offset: i64,
    #[serde(with = "key_text")]
    pub(super) key: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event_time: Option<Timestamp>,
}

mod key_text {
    use super::Key;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(key: &Key, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(key)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Key, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl SavedCursor {
    pub(super) fn new(asked: Asked, partitions: Vec<Entry>, time_rule: Option<TimeRule>) -> Self {
        let Asked { path: streams, fed, routed } = asked;
        Self { version: VERSION, streams, partitions, time_rule, fed, routed, begun: Begun::new(), left: Vec::new() }
    }

    /// What its source was asked.
    pub(super) fn asked(&self) -> Asked {
        Asked { path: self.streams.clone(), fed: self.fed, routed: self.routed }
    }

    /// The same, of one of several streams of a source.
    pub(super) fn with(self, begun: Begun, left: Vec<Entry>) -> Self {
        Self { begun, left, ..self }
    }

    /// Forgets the event times: they were read by another rule.
    pub(super) fn forget_times(&mut self) {
        self.partitions.iter_mut().for_each(Entry::forget_times);
    }

    pub(super) fn read(position: &str) -> Result<Self, Error> {
        let unreadable =
            |why: String| Error::Corrupt(format!("the cursor of an eventstreams source cannot be read: {why}"));
        let written: Self = serde_json::from_str(position).map_err(|error| unreadable(error.to_string()))?;
        if written.version != VERSION {
            return Err(unreadable(format!("expected version {VERSION}, found {}", written.version)));
        }
        Ok(written)
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are always JSON")
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::StreamSchema;

    use super::*;

    #[test]
    fn a_cursor_reads_back_as_written() {
        let anchor = Anchor { offset: 6_520_000_000, key: Key(7), event_time: Some(Timestamp(5)) };
        let idle = Entry::new("eqiad.t".into(), 0, Timestamp(3));
        let busy =
            Entry { topic: "codfw.t".into(), anchor: Some(anchor), through: Some(6_520_000_001), ..idle.clone() };
        let begun = BTreeMap::from([("t".to_owned(), Timestamp(3)), ("u".to_owned(), Timestamp(4))]);
        let left = vec![Entry { moves: 2, ..idle.clone() }];
        let written = SavedCursor {
            begun,
            left,
            ..SavedCursor::new(Asked { path: "t,u".into(), fed: Some(7), routed: Some(8) }, vec![idle, busy], None)
        };
        assert_eq!(SavedCursor::read(&written.text()).expect("a cursor"), written);
    }

    #[test]
    fn a_newer_cursor_is_refused_by_name() {
        let error = SavedCursor::read(r#"{"version":2,"streams":"t","partitions":[]}"#).expect_err("newer");
        assert!(matches!(&error, Error::Corrupt(what) if what.contains("expected version 1, found 2")), "{error}");
    }

    #[test]
    fn the_fullest_cursor_stays_within_its_bound() {
        let entry = Entry {
            topic: "t".repeat(TOPICS_BYTES_MAX / PARTITIONS_MAX),
            partition: i32::MAX,
            since: Timestamp(i64::MAX),
            event_time: Some(Timestamp(i64::MAX)),
            kafka_time: Some(Timestamp(i64::MAX)),
            through: Some(i64::MAX),
            anchor: Some(Anchor { offset: i64::MAX, key: Key(u128::MAX), event_time: Some(Timestamp(i64::MAX)) }),
            unproven: true,
            taken: Some(i64::MAX),
            moves: u32::MAX,
        };
        let (one, rest) = (vec![entry.clone(); PARTITIONS_MAX / 2], vec![entry; PARTITIONS_MAX / 2]);
        let name = |n: u64| (format!("{n:031}"), Timestamp(i64::MAX));
        let begun = (0..64).map(name).collect();
        let saved = SavedCursor::new(
            Asked { path: "s".repeat(2_000), fed: Some(u64::MAX), routed: Some(u64::MAX) },
            one,
            StreamSchema::default().time_rule().into(),
        );
        let text = SavedCursor { begun, left: rest, ..saved }.text();
        assert!(text.len() <= 64 << 10, "{}", text.len());
    }
}
