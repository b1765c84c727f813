//! Assignments: which partition of which topic, and where in it, as JSON. They stand in the `id:` of every frame, and a
//! client hands them back in `Last-Event-ID`.
//!
//! ```json
//! [{"topic":"eqiad.mediawiki.recentchange","partition":0,"timestamp":1630070417001},
//!  {"topic":"codfw.mediawiki.recentchange","partition":0,"offset":-1}]
//! ```
//!
//! An id is read forgivingly, since not every server is an EventStreams, and a header strictly, as KafkaSSE does.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Where in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// This offset, itself included; -1 is the end, -2 the beginning.
    Offset(i64),
    /// The first event whose Kafka timestamp, in Unix milliseconds, is this or later.
    Timestamp(i64),
}

/// What one entry says of a partition. A server may be asked by both offset and time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Assignment {
    /// The topic's name.
    pub topic: String,
    /// The partition's number in the topic.
    pub partition: i32,
    /// As [`Position::Offset`], where there is one that is a whole number.
    #[serde(default, deserialize_with = "whole_number")]
    pub offset: Option<i64>,
    /// As [`Position::Timestamp`], where there is one that is a whole number.
    #[serde(default, deserialize_with = "whole_number")]
    pub timestamp: Option<i64>,
}

/// One entry of a `Last-Event-ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A topic's name: all its partitions, from `since` or the end.
    Topic(String),
    /// A partition, with an offset or a timestamp at least.
    Assignment(Assignment),
}

impl Entry {
    /// The name of the entry's topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        match self {
            Self::Topic(topic) => topic,
            Self::Assignment(assignment) => &assignment.topic,
        }
    }
}

/// Reads a frame's id. `None` when it is no list of assignments. What an assignment lacks but topic and partition is
/// forgiven.
#[must_use]
pub fn read_id(id: &[u8]) -> Option<Vec<Assignment>> {
    serde_json::from_slice(id).ok()
}

/// Reads a `Last-Event-ID`.
///
/// # Errors
/// When it is no list, is empty, or has an entry that says no position; the error is KafkaSSE's kind of message.
pub fn read_last_event_id(header: &str) -> Result<Vec<Entry>, String> {
    let value: Value =
        serde_json::from_str(header).map_err(|error| format!("Failed parsing Last-Event-ID: {error}"))?;
    let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
        return Err("Must provide at least one topic or assignment: expected a JSON array that is not empty".to_owned());
    };
    items.iter().map(entry).collect()
}

fn entry(item: &Value) -> Result<Entry, String> {
    match item {
        Value::String(topic) => return Ok(Entry::Topic(topic.clone())),
        Value::Object(_) => {
            if let Ok(assignment) = Assignment::deserialize(item)
                && assignment.offset.or(assignment.timestamp).is_some()
            {
                return Ok(Entry::Assignment(assignment));
            }
        }
        _ => {}
    }
    Err(format!(
        "Assignments must be topic names or objects with a string topic, an integer partition and an integer offset or timestamp: {item}"
    ))
}

fn whole_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    Ok(Value::deserialize(from)?.as_i64())
}

/// A topic and partition as the beginning of an assignment, made once to be written with one position after another.
#[derive(Clone, Debug)]
pub struct TopicPartition {
    /// `{"topic":"…","partition":0,"`
    head: Vec<u8>,
}

impl TopicPartition {
    /// The partition `partition` of the topic `topic`.
    #[must_use]
    pub fn new(topic: &str, partition: i32) -> Self {
        let mut head = b"{\"topic\":".to_vec();
        push_json(topic, &mut head);
        head.extend_from_slice(b",\"partition\":");
        push_json(&partition, &mut head);
        head.extend_from_slice(b",\"");
        Self { head }
    }
}

/// Writes a list of assignments: an id, or a `Last-Event-ID`.
#[inline]
pub fn write_assignments<'p>(assignments: impl IntoIterator<Item = (&'p TopicPartition, Position)>, out: &mut Vec<u8>) {
    out.push(b'[');
    let mut is_first = true;
    for (partition, position) in assignments {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        out.extend_from_slice(&partition.head);
        let (key, number): (&[u8], i64) = match position {
            Position::Offset(offset) => (b"offset\":", offset),
            Position::Timestamp(millis) => (b"timestamp\":", millis),
        };
        out.extend_from_slice(key);
        push_json(&number, out);
        out.push(b'}');
    }
    out.push(b']');
}

fn push_json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("numbers and strings are always JSON");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_event_id_is_checked_entry_by_entry() {
        let good = r#"["a", {"topic":"b","partition":0,"offset":-2}, {"topic":"c","partition":0,"timestamp":7}]"#;
        let topics = |entries: Vec<Entry>| entries.iter().map(|entry| entry.topic().to_owned()).collect::<Vec<_>>();
        assert_eq!(read_last_event_id(good).map(topics), Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        for bad in [
            "",
            "x",
            "[]",
            "{}",
            "7",
            "[7]",
            r#"[["b",0,1]]"#,
            r#"[{"topic":"b","partition":0}]"#,
            r#"[{"topic":"b","partition":"0","offset":1}]"#,
            r#"[{"topic":"b","partition":0,"offset":1.5}]"#,
            r#"[{"topic":7,"partition":0,"offset":1}]"#,
            r#"[{"partition":0,"offset":1}]"#,
        ] {
            assert!(read_last_event_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_is_read_forgivingly() {
        let id = br#"[{"topic":"a","partition":1,"offset":"5","more":{}},{"topic":"b","partition":0,"offset":2}]"#;
        let of =
            |topic: &str, partition, offset| Assignment { topic: topic.to_owned(), partition, offset, timestamp: None };
        assert_eq!(read_id(id), Some(vec![of("a", 1, None), of("b", 0, Some(2))]));
        assert_eq!(read_id(b"[]"), Some(Vec::new()));
        for other in ["", "17", "[1]", r#"["a"]"#, r#"[{"topic":"a"}]"#, r#"{"topic":"a","partition":0}"#] {
            assert_eq!(read_id(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn assignments_are_written_as_eventstreams_writes_them() {
        let partitions = [TopicPartition::new("eqiad.t", 0), TopicPartition::new("codfw.t", 3)];
        let mut out = Vec::new();
        write_assignments(partitions.iter().zip([Position::Timestamp(17), Position::Offset(-1)]), &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            r#"[{"topic":"eqiad.t","partition":0,"timestamp":17},{"topic":"codfw.t","partition":3,"offset":-1}]"#
        );
        out.clear();
        write_assignments([], &mut out);
        assert_eq!(out, b"[]");
    }
}
