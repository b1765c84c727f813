//! Where a connection begins: `Last-Event-ID` and `since`, checked and resolved as KafkaSSE does it.
//!
//! EVENTSTREAMS.md, sections 1.2 and 1.4. What is asked is parsed without looking at the events; `resolve` then turns it
//! into an event number for each topic of the subscription. An offset out of range becomes the end, silently.

use jiff::civil;
use serde_json::Value;

use crate::feed::Feed;

/// One entry of a `Last-Event-ID`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// A topic's name: all its partitions, from `since` or the end.
    Topic(String),
    /// A place in a partition; of offset and time at least one is given.
    Place { topic: String, partition: i64, offset: Option<i64>, timestamp: Option<i64> },
}

impl Entry {
    pub(crate) fn topic(&self) -> &str {
        match self {
            Self::Topic(topic) | Self::Place { topic, .. } => topic,
        }
    }
}

/// Reads a `Last-Event-ID`; the error is KafkaSSE's kind of message.
pub(crate) fn parse_last_event_id(header: &str) -> Result<Vec<Entry>, String> {
    let value: Value =
        serde_json::from_str(header).map_err(|error| format!("Failed parsing Last-Event-ID: {error}"))?;
    let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
        return Err("Must provide at least one topic or assignment: expected a JSON array that is not empty".to_owned());
    };
    items.iter().map(entry).collect()
}

fn entry(item: &Value) -> Result<Entry, String> {
    if let Value::String(topic) = item {
        return Ok(Entry::Topic(topic.clone()));
    }
    let integer = |key: &str| item.get(key).and_then(Value::as_i64);
    let (topic, partition) = (item.get("topic").and_then(Value::as_str), integer("partition"));
    let (offset, timestamp) = (integer("offset"), integer("timestamp"));
    match (topic, partition) {
        (Some(topic), Some(partition)) if offset.or(timestamp).is_some() => {
            Ok(Entry::Place { topic: topic.to_owned(), partition, offset, timestamp })
        }
        _ => Err(format!(
            "Assignments must be topic names or objects with a string topic, an integer partition and an integer offset or timestamp: {item}"
        )),
    }
}

/// Reads `since`: milliseconds as anything JavaScript takes for a number, or a date in one of the common forms of
/// `Date.parse`: RFC 3339, a date and time without an offset (UTC), a date, RFC 2822.
pub(crate) fn parse_since(text: &str) -> Option<i64> {
    let text = text.trim();
    let hexadecimal = text.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok());
    if let Some(millis) = hexadecimal.or_else(|| text.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n as i64)) {
        return Some(millis);
    }
    let time = text
        .parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok())
        .or_else(|| utc(text.parse::<civil::DateTime>().ok()?))
        .or_else(|| utc(text.parse::<civil::Date>().ok()?.to_datetime(civil::Time::midnight())))?;
    Some(time.as_millisecond())
}

fn utc(time: civil::DateTime) -> Option<jiff::Timestamp> {
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// What a frame's id says of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing delivered yet; this is the offset where it began, or -1 for the end.
    Offset(i64),
    /// The Kafka timestamp of what was delivered last, plus 1 ms.
    Timestamp(i64),
}

/// Where one topic begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) topic: usize,
    /// The number of its first event, or `feed::NONE`.
    pub(crate) next: u64,
    pub(crate) seen: Seen,
}

/// What is asked.
pub(crate) struct Asked<'a> {
    /// The subscription's topics.
    pub(crate) topics: &'a [usize],
    /// The header's entries, whose topics are all in the subscription.
    pub(crate) entries: Option<&'a [Entry]>,
    pub(crate) since: Option<i64>,
}

/// What there is at this moment.
pub(crate) struct Available<'f> {
    pub(crate) feed: &'f Feed,
    /// The first event that does not exist yet.
    pub(crate) end: u64,
    /// Where "latest" is.
    pub(crate) latest: u64,
    /// Where a connection begins that asks for nothing.
    pub(crate) fresh: u64,
    /// What this cluster adds to offsets.
    pub(crate) shift: i64,
}

impl Available<'_> {
    /// Where each topic of the connection begins. The header beats `since` and narrows the topics.
    pub(crate) fn resolve(&self, asked: &Asked<'_>) -> Vec<Start> {
        let Some(entries) = asked.entries else {
            let starts = asked.topics.iter().map(|&topic| match asked.since {
                Some(millis) => self.at_time(topic, millis),
                None => Start { topic, next: self.feed.next_of(topic, self.fresh), seen: Seen::Offset(-1) },
            });
            return starts.collect();
        };
        // With a time to look up anywhere, KafkaSSE loses entries that carry both (section 1.4).
        let by_time = |entry: &Entry| matches!(entry, Entry::Place { offset: None, .. });
        let looks_up = entries.iter().any(by_time);
        let mut starts: Vec<Start> = Vec::new();
        for entry in entries {
            let Some(&topic) = asked.topics.iter().find(|topic| self.feed.topics[**topic].name == entry.topic()) else {
                continue;
            };
            let start = match entry {
                Entry::Topic(_) => {
                    asked.since.map_or_else(|| self.at_end(topic, -1), |millis| self.at_time(topic, millis))
                }
                // Topics have one partition; another one never has events.
                Entry::Place { partition, .. } if *partition != 0 => continue,
                Entry::Place { offset: Some(_), timestamp: Some(_), .. } if looks_up => continue,
                Entry::Place { offset: Some(offset), .. } => self.at_offset(topic, *offset),
                Entry::Place { timestamp, .. } => self.at_time(topic, timestamp.unwrap_or(i64::MAX)),
            };
            if !starts.iter().any(|earlier| earlier.topic == topic) {
                starts.push(start);
            }
        }
        starts.sort_by_key(|start| start.topic);
        starts
    }

    fn at_end(&self, topic: usize, said: i64) -> Start {
        Start { topic, next: self.feed.next_of(topic, self.latest), seen: Seen::Offset(said) }
    }

    fn at_offset(&self, topic: usize, offset: i64) -> Start {
        if offset == -2 {
            return Start { topic, next: self.feed.next_of(topic, 0), seen: Seen::Offset(-2) };
        }
        let found = u64::try_from(offset.saturating_sub(self.shift)).ok().filter(|_| offset >= 0);
        let found = found.and_then(|offset| self.feed.at_offset(topic, offset));
        match found {
            // In range: it is there, or it is the next to come.
            Some(n) if n < self.end || n == self.feed.next_of(topic, self.end) => {
                Start { topic, next: n, seen: Seen::Offset(offset) }
            }
            _ => self.at_end(topic, offset),
        }
    }

    fn at_time(&self, topic: usize, millis: i64) -> Start {
        match self.feed.at_time(topic, millis, self.end) {
            Some(n) => {
                let offset = i64::try_from(self.feed.offset(n)).unwrap_or(i64::MAX).saturating_add(self.shift);
                Start { topic, next: n, seen: Seen::Offset(offset) }
            }
            None => self.at_end(topic, -1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_read_as_javascript_would() {
        for (text, millis) in [
            ("1630070417001", 1_630_070_417_001),
            ("20180614", 20_180_614),
            ("1.6e12", 1_600_000_000_000),
            ("0x10", 16),
            ("2021-08-27T13:20:17Z", 1_630_070_417_000),
            ("2021-08-27T15:20:17.5+02:00", 1_630_070_417_500),
            ("2021-08-27T13:20:17", 1_630_070_417_000),
            ("2021-08-27", 1_630_022_400_000),
            ("Fri, 27 Aug 2021 13:20:17 GMT", 1_630_070_417_000),
        ] {
            assert_eq!(parse_since(text), Some(millis), "{text}");
        }
        for bad in ["yesterday", "2021-13-01", "NaN", "inf", "12 o'clock"] {
            assert_eq!(parse_since(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_last_event_id_is_checked_entry_by_entry() {
        let good = r#"["a", {"topic":"b","partition":0,"offset":-2}, {"topic":"c","partition":0,"timestamp":7}]"#;
        assert_eq!(parse_last_event_id(good).map(|entries| entries.len()), Ok(3));
        for bad in [
            "",
            "x",
            "[]",
            "{}",
            "7",
            "[7]",
            r#"[{"topic":"b","partition":0}]"#,
            r#"[{"topic":"b","partition":"0","offset":1}]"#,
            r#"[{"topic":"b","partition":0,"offset":1.5}]"#,
            r#"[{"topic":7,"partition":0,"offset":1}]"#,
            r#"[{"partition":0,"offset":1}]"#,
        ] {
            assert!(parse_last_event_id(bad).is_err(), "{bad}");
        }
    }
}
