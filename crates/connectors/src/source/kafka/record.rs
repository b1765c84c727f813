//! One record of Kafka, and the event that is made of it. Pure: bytes in, an event or a reason out.
//!
//! ```json
//! {"topic":"orders","partition":3,"offset":1200,"timestamp":"2026-11-30T12:00:00Z","key":"…","headers":{"…":"…"},"value":{"…":1}}
//! ```
//! The value comes last, so that whoever looks for the place or the time of a record does not walk through it.

use std::borrow::Cow;

use crc_fast::{CrcAlgorithm, Digest};
use lakehead_model::{ByteSize, EVENT_BYTES_MAX, Timestamp};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::config::{RecordFormat, ValueFormat};

/// Bytes of keys and headers are shown as text where they are UTF-8, else so.
#[derive(Serialize)]
struct Base64Text {
    base64: String,
}

/// A record as the client gives it.
pub(super) struct Record<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// When it was created or appended; `None` where its message format has no time.
    pub(super) timestamp: Option<Timestamp>,
    /// Whether that is the broker's time rather than the producer's.
    pub(super) is_append_time: bool,
    pub(super) key: Option<&'a [u8]>,
    pub(super) headers: Vec<(&'a str, Option<&'a [u8]>)>,
    /// None for a tombstone.
    pub(super) value: Option<&'a [u8]>,
}

/// What a record becomes.
#[derive(Debug, PartialEq)]
pub(super) enum RecordEvent {
    /// This event.
    Event(Vec<u8>),
    /// Nothing: it is a tombstone, and only values are wanted.
    Tombstone,
    /// A reject, for this reason.
    Refused(String),
}

impl Record<'_> {
    /// What names it for good, together with its offset: CRC-64/NVME over time, key and value. Compaction keeps all three.
    pub(super) fn checksum(&self) -> u64 {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        let millis = self.timestamp.map_or(-1, Timestamp::millis);
        digest.update(&millis.to_le_bytes());
        for part in [self.key, self.value] {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            digest.update(&length.to_le_bytes());
            digest.update(part.unwrap_or_default());
        }
        digest.finalize()
    }

    /// Makes the event.
    pub(super) fn event(&self, format: RecordFormat, value: ValueFormat) -> RecordEvent {
        let value = match self.value.map(|bytes| written(bytes, value)).transpose() {
            Ok(value) => value,
            Err(reason) => return RecordEvent::Refused(reason),
        };
        let event = match (format, value) {
            (RecordFormat::Value, None) => return RecordEvent::Tombstone,
            (RecordFormat::Value, Some(value)) => value.into_owned(),
            (RecordFormat::Envelope, value) => self.envelope(value.as_deref()),
        };
        if event.len() > EVENT_BYTES_MAX {
            let limit = ByteSize(EVENT_BYTES_MAX as u64);
            return RecordEvent::Refused(format!("the event has {} bytes; at most {limit} are taken", event.len()));
        }
        RecordEvent::Event(event)
    }

    fn envelope(&self, value: Option<&[u8]>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Head<'a> {
            topic: &'a str,
            partition: i32,
            offset: i64,
            timestamp: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            timestamp_type: Option<&'static str>,
            key: Option<BytesText<'a>>,
            headers: HeadersText<'a>,
        }
        let head = Head {
            topic: self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp.map(|time| time.to_string()),
            timestamp_type: self.is_append_time.then_some("append"),
            key: self.key.map(BytesText),
            headers: HeadersText(&self.headers),
        };
        let mut event = Vec::with_capacity(256 + value.map_or(0, <[u8]>::len));
        serde_json::to_writer(&mut event, &head).expect("strings and numbers are always JSON");
        // The head's closing bracket comes behind the value.
        event.pop();
        match value {
            Some(value) => {
                event.extend_from_slice(b",\"value\":");
                event.extend_from_slice(value);
            }
            None => event.extend_from_slice(b",\"tombstone\":true"),
        }
        event.push(b'}');
        event
    }
}

/// The value as JSON on one line, or why it is not what it should be.
fn written(bytes: &[u8], format: ValueFormat) -> Result<Cow<'_, [u8]>, String> {
    match format {
        ValueFormat::Json => {
            lakehead_json::check_event(bytes).map_err(|why| format!("value: {why}"))?;
            Ok(lakehead_json::on_one_line(bytes))
        }
        ValueFormat::Text => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Owned(serde_json::to_vec(text).expect("text is always JSON"))),
            Err(error) => Err(format!("value: expected UTF-8 text, found another byte at {}", error.valid_up_to())),
        },
        ValueFormat::Base64 => Ok(Cow::Owned(format!("\"{}\"", base64(bytes)).into_bytes())),
    }
}

/// Bytes that mostly are text.
struct BytesText<'a>(&'a [u8]);

impl Serialize for BytesText<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => to.serialize_str(text),
            Err(_) => Base64Text { base64: base64(self.0) }.serialize(to),
        }
    }
}

/// Headers in their order; those of one name are an array.
struct HeadersText<'a>(&'a [(&'a str, Option<&'a [u8]>)]);

impl Serialize for HeadersText<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (place, (name, value)) in self.0.iter().enumerate() {
            if self.0[..place].iter().any(|(before, _)| before == name) {
                continue;
            }
            let same = self.0[place + 1..].iter().filter(|(other, _)| other == name);
            let all: Vec<_> =
                std::iter::once(*value).chain(same.map(|(_, value)| *value)).map(|v| v.map(BytesText)).collect();
            match all.as_slice() {
                [one] => map.serialize_entry(name, one)?,
                all => map.serialize_entry(name, all)?,
            }
        }
        map.end()
    }
}

/// Base 64 with padding: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let sextet = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[sextet as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Record<'a> {
        let timestamp = Some(Timestamp::from_millis(1_796_040_000_000));
        Record {
            topic: "orders",
            partition: 3,
            offset: 1200,
            timestamp,
            is_append_time: false,
            key,
            headers: Vec::new(),
            value,
        }
    }

    fn envelope(record: &Record<'_>) -> String {
        match record.event(RecordFormat::Envelope, ValueFormat::Json) {
            RecordEvent::Event(event) => String::from_utf8(event).expect("JSON is UTF-8"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_envelope_holds_the_value_byte_for_byte_and_all_that_is_not_in_it() {
        let headers = vec![("h", Some(&b"1"[..])), ("other", None), ("h", Some(&b"\xff"[..]))];
        let record = Record { headers, ..record(Some(b"k\"ey"), Some(b"{\"a\" : 1.0}")) };
        let head = r#"{"topic":"orders","partition":3,"offset":1200,"timestamp":"2026-11-30T12:00:00Z","key":"k\"ey","#;
        let rest = r#""headers":{"h":["1",{"base64":"/w=="}],"other":null},"value":{"a" : 1.0}}"#;
        assert_eq!(envelope(&record), format!("{head}{rest}"));
    }

    #[test]
    fn a_tombstone_is_a_key_without_a_value_and_null_is_a_value() {
        let tombstone = envelope(&record(Some(b"k"), None));
        assert!(tombstone.ends_with(r#""key":"k","headers":{},"tombstone":true}"#), "{tombstone}");
        assert!(envelope(&record(None, Some(b"null"))).ends_with(r#""key":null,"headers":{},"value":null}"#));
        let bare = |value| record(None, value).event(RecordFormat::Value, ValueFormat::Json);
        assert_eq!(bare(None), RecordEvent::Tombstone);
        assert_eq!(bare(Some(b"[1]")), RecordEvent::Event(b"[1]".to_vec()));
    }

    #[test]
    fn what_is_no_event_is_refused_with_a_reason() {
        let large = vec![b'1'; EVENT_BYTES_MAX + 1];
        let just = [b"\"", vec![b'x'; EVENT_BYTES_MAX - 2].as_slice(), b"\""].concat();
        for (value, format, reason) in [
            (&b""[..], ValueFormat::Json, "value: not JSON"),
            (b"{\"a\":", ValueFormat::Json, "value: not JSON"),
            (b"{} {}", ValueFormat::Json, "value: not JSON"),
            (b"\"\xff\"", ValueFormat::Json, "value: not JSON"),
            (b"ab\xff", ValueFormat::Text, "another byte at 2"),
            (&large, ValueFormat::Json, "at most 4 MiB"),
            (&large, ValueFormat::Base64, "at most 4 MiB"),
            (&just, ValueFormat::Json, "the event has 4194"),
        ] {
            match record(None, Some(value)).event(RecordFormat::Envelope, format) {
                RecordEvent::Refused(found) => assert!(found.contains(reason), "{found}"),
                other => panic!("{reason}: {:?}", std::mem::discriminant(&other)),
            }
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_the_value_looks_like() {
        let event = envelope(&record(Some(b"a\nb"), Some(b"{\n \"a\": 1\r\n}")));
        assert!(!event.contains('\n') && event.ends_with(r#""value":{"a":1}}"#), "{event}");
    }

    #[test]
    fn other_values_become_json_strings() {
        let value = |bytes, format| match record(None, Some(bytes)).event(RecordFormat::Value, format) {
            RecordEvent::Event(event) => String::from_utf8(event).expect("UTF-8"),
            other => panic!("{other:?}"),
        };
        assert_eq!(value(b"a\"\n", ValueFormat::Text), r#""a\"\n""#);
        // The test vectors of RFC 4648, section 10.
        for (bytes, text) in [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            assert_eq!(value(bytes, ValueFormat::Base64), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_checksum_tells_records_apart() {
        let sums = [
            record(None, None).checksum(),
            record(None, Some(b"")).checksum(),
            record(Some(b""), None).checksum(),
            record(Some(b"a"), Some(b"b")).checksum(),
            record(Some(b"ab"), Some(b"")).checksum(),
            Record { timestamp: None, ..record(None, None) }.checksum(),
        ];
        let distinct: std::collections::BTreeSet<_> = sums.iter().collect();
        assert_eq!(distinct.len(), sums.len());
    }
}
