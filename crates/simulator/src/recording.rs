//! Recordings: events from files, served as they were recorded.
//!
//! A file is JSON lines or a recorded SSE response, plain or gzip; which, its content says. Events keep their bytes,
//! topics and offsets; one without an offset gets one by its order, written into its `meta` as EventStreams does
//! (EVENTSTREAMS.md, section 1.12). Several files are united: of two events at one topic and offset the first stays. A
//! frame that an SSE recording ends in is kept when its data is whole, and dropped when it is not.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use lakehead_eventstreams_wire::{Data, Frame, Parser};
use lakehead_model::Timestamp;
use memchr::{memchr, memchr_iter};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    error::Error,
    patch,
    topic::{NONE, Topic},
};

/// Largest recording after decompression, all files together: they are held in memory.
const BYTES_MAX: usize = 2 << 30;

/// The stream of events that do not say theirs: what was recorded before events had a `meta.stream`.
const STREAM_UNSAID: &str = "mediawiki.recentchange";

/// One recorded event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) offset: u64,
    pub(crate) kafka_millis: i64,
    json: Box<[u8]>,
}

/// All recorded events.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) topics: Vec<Topic>,
    events: Vec<Event>,
    /// For each topic its events' numbers, and the greatest Kafka timestamp up to each.
    of_topic: Vec<Vec<(u64, i64)>>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stream: Option<Cow<'a, str>>,
    offset: Option<u64>,
    #[serde(borrow)]
    dt: Option<Cow<'a, str>>,
}

impl Recording {
    /// Reads the files.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut topics: BTreeMap<String, BTreeMap<u64, Event>> = BTreeMap::new();
        let mut room = BYTES_MAX;
        for path in paths {
            let bytes = read_file(path, room)?;
            room -= bytes.len();
            let mut found = 0;
            each_event(&bytes, &mut |line, json| {
                if line.cut && serde_json::from_slice::<&RawValue>(json).is_err() {
                    return Ok(());
                }
                found += 1;
                let event_error = |found| Error::Event { path: path.clone(), line: line.number, found };
                add(json, &mut topics).map_err(event_error)
            })?;
            if found == 0 {
                return Err(Error::Recording { path: path.clone(), problem: "expected recorded events, found none" });
            }
        }
        Ok(Self::unite(topics))
    }

    /// Brings the topics' events into one order: each topic's by offset, and between topics by time.
    fn unite(found: BTreeMap<String, BTreeMap<u64, Event>>) -> Self {
        let mut topics: Vec<Topic> = Vec::new();
        for name in found.keys() {
            let stream = stream_of(name);
            if topics.iter().any(|topic| topic.stream == stream) {
                continue;
            }
            let both = if stream == name {
                vec![name.clone()]
            } else {
                ["eqiad", "codfw"].map(|dc| format!("{dc}.{stream}")).to_vec()
            };
            topics.extend(both.into_iter().map(|name| Topic { name, stream: stream.to_owned() }));
        }
        topics.sort_by(|a, b| a.stream.cmp(&b.stream));
        let mut left: Vec<_> = found
            .into_iter()
            .map(|(name, events)| {
                let topic = topics.iter().position(|topic| topic.name == name);
                (topic.expect("every topic found is listed"), events.into_values().peekable())
            })
            .collect();
        let mut events: Vec<Event> = Vec::new();
        let mut of_topic = vec![Vec::<(u64, i64)>::new(); topics.len()];
        while let Some((topic, lane)) = left
            .iter_mut()
            .filter_map(|(topic, lane)| Some((lane.peek()?.kafka_millis, topic, lane)))
            .min_by_key(|(millis, _, _)| *millis)
            .map(|(_, topic, lane)| (*topic, lane))
        {
            let Some(event) = lane.next() else { break };
            let greatest =
                of_topic[topic].last().map_or(event.kafka_millis, |(_, before)| (*before).max(event.kafka_millis));
            of_topic[topic].push((events.len() as u64, greatest));
            events.push(event);
        }
        Self { topics, events, of_topic }
    }

    pub(crate) fn len(&self) -> u64 {
        self.events.len() as u64
    }

    pub(crate) fn event(&self, n: u64) -> &Event {
        &self.events[n as usize]
    }

    pub(crate) fn next_of(&self, topic: usize, n: u64) -> u64 {
        let events = &self.of_topic[topic];
        events.get(events.partition_point(|(number, _)| *number < n)).map_or(NONE, |(number, _)| *number)
    }

    pub(crate) fn at_offset(&self, topic: usize, offset: u64) -> Option<u64> {
        let events = &self.of_topic[topic];
        let first = events.first().map(|(number, _)| self.event(*number).offset);
        if first.is_none_or(|first| offset < first) {
            return None;
        }
        let at = events.partition_point(|(number, _)| self.event(*number).offset < offset);
        match events.get(at) {
            Some((number, _)) => Some(*number),
            // Just behind the last event is where the next one would be; further on is out of range.
            None => events.last().filter(|(number, _)| self.event(*number).offset + 1 == offset).map(|_| NONE),
        }
    }

    pub(crate) fn at_time(&self, topic: usize, millis: i64) -> u64 {
        let events = &self.of_topic[topic];
        events.get(events.partition_point(|(_, greatest)| *greatest < millis)).map_or(NONE, |(number, _)| *number)
    }

    pub(crate) fn write(&self, n: u64, shift: i64, out: &mut Vec<u8>) {
        let event = self.event(n);
        let from = out.len();
        out.extend_from_slice(&event.json);
        if shift != 0 {
            patch::replace(out, from, "offset", event.offset.saturating_add_signed(shift).to_string().as_bytes());
        }
    }
}

/// The stream of a topic: its name without the datacentre.
fn stream_of(topic: &str) -> &str {
    ["eqiad.", "codfw."].iter().find_map(|prefix| topic.strip_prefix(prefix)).unwrap_or(topic)
}

/// Adds the event to its topic.
fn add(json: &[u8], topics: &mut BTreeMap<String, BTreeMap<u64, Event>>) -> Result<(), String> {
    let wrong = |error: serde_json::Error| error.to_string();
    let text = std::str::from_utf8(json).map_err(|error| error.to_string())?;
    let document: Document<'_> = serde_json::from_str(text).map_err(wrong)?;
    let raw_meta = document.meta.map(RawValue::get);
    let meta: Meta<'_> = raw_meta.map(serde_json::from_str).transpose().map_err(wrong)?.unwrap_or_default();
    let topic = match (&meta.topic, &meta.stream) {
        (Some(topic), _) => topic.to_string(),
        (None, Some(stream)) => format!("eqiad.{stream}"),
        (None, None) => format!("eqiad.{STREAM_UNSAID}"),
    };
    let events = topics.entry(topic.clone()).or_default();
    let last = events.last_key_value().map(|(offset, event)| (*offset, event.kafka_millis));
    let dt = meta.dt.as_ref().and_then(|dt| dt.parse::<Timestamp>().ok()).map(Timestamp::millis);
    let kafka_millis = dt.or(last.map(|(_, millis)| millis)).unwrap_or(0);
    let offset = meta.offset.unwrap_or_else(|| last.map_or(0, |(offset, _)| offset + 1));
    let json = if meta.offset.is_some() {
        json.into()
    } else {
        with_place(text, raw_meta, &meta, &topic, offset).into_bytes().into()
    };
    events.entry(offset).or_insert(Event { offset, kafka_millis, json });
    Ok(())
}

/// The event with topic, partition and offset at the end of its `meta`.
fn with_place(text: &str, raw_meta: Option<&str>, meta: &Meta<'_>, topic: &str, offset: u64) -> String {
    let topic = if meta.topic.is_none() {
        format!("\"topic\":{},\"partition\":0,", serde_json::Value::from(topic))
    } else {
        String::new()
    };
    let place = format!("{topic}\"offset\":{offset}");
    let (head, inside, tail) = match raw_meta {
        Some(raw) => {
            // The raw value borrows from the text, so their addresses differ by where it stands.
            let end = raw.as_ptr() as usize - text.as_ptr() as usize + raw.len() - 1;
            (&text[..end], place, &text[end..])
        }
        None => {
            let end = text.rfind('}').unwrap_or(text.len());
            (&text[..end], format!("\"meta\":{{{place}}}"), &text[end..])
        }
    };
    let comma = if head.trim_end().ends_with('{') { "" } else { "," };
    format!("{head}{comma}{inside}{tail}")
}

fn read_file(path: &Path, room: usize) -> Result<Vec<u8>, Error> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let stored = std::fs::read(path).map_err(read_error)?;
    let bytes = if stored.starts_with(&[0x1f, 0x8b]) {
        let mut bytes = Vec::new();
        let decoder = flate2::read::MultiGzDecoder::new(stored.as_slice());
        decoder.take(room as u64 + 1).read_to_end(&mut bytes).map_err(read_error)?;
        bytes
    } else {
        stored
    };
    if bytes.len() > room {
        let problem = "recordings are held in memory and may have 2 GiB together; give fewer or shorter ones";
        return Err(Error::Recording { path: path.to_owned(), problem });
    }
    Ok(bytes)
}

/// Where an event's JSON was found.
struct Line {
    /// From 1.
    number: usize,
    /// Whether the file ends in it, without a line break.
    cut: bool,
}

/// Takes the JSON of one event.
type Take<'t> = dyn FnMut(Line, &[u8]) -> Result<(), Error> + 't;

/// Hands over the JSON of each event, of either form.
fn each_event(bytes: &[u8], take: &mut Take<'_>) -> Result<(), Error> {
    let head = &bytes[..bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0) + 1.min(bytes.len())];
    if matches!(head.last(), Some(b':' | b'e' | b'i' | b'd' | b'r')) {
        each_of_frames(bytes, take)
    } else {
        each_of_lines(bytes, take)
    }
}

fn each_of_lines(bytes: &[u8], take: &mut Take<'_>) -> Result<(), Error> {
    let mut rest = bytes;
    let mut number = 0;
    while !rest.is_empty() {
        let end = memchr(b'\n', rest);
        let line = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[], |end| &rest[end + 1..]);
        number += 1;
        if !line.trim_ascii().is_empty() {
            take(Line { number, cut: end.is_none() }, line.strip_suffix(b"\r").unwrap_or(line))?;
        }
    }
    Ok(())
}

fn each_of_frames(bytes: &[u8], take: &mut Take<'_>) -> Result<(), Error> {
    let mut parser = Parser::new(BYTES_MAX);
    let mut number = 0;
    let mut rest = bytes;
    loop {
        let before = rest;
        let Some(frame) = parser.next(&mut rest) else { break };
        number += memchr_iter(b'\n', &before[..before.len() - rest.len()]).count();
        // The frame's last line is the one before the blank line.
        take_frame(&frame, Line { number: number.saturating_sub(1), cut: false }, take)?;
    }
    // Where the file ends in a frame, the blank line after it is missing.
    number = memchr_iter(b'\n', bytes.trim_ascii_end()).count() + 1;
    let cut = !bytes.ends_with(b"\n");
    match parser.next(&mut &b"\n\n"[..]) {
        Some(frame) => take_frame(&frame, Line { number, cut }, take),
        None => Ok(()),
    }
}

/// Hands over what a frame carries, if it is an event. Data of several lines is JSON with white space between its lines.
fn take_frame(frame: &Frame<'_>, line: Line, take: &mut Take<'_>) -> Result<(), Error> {
    match (frame.event, &frame.data) {
        (b"" | b"message", Data::Whole(data)) if !data.is_empty() => {
            let one_line: Cow<'_, [u8]> = match memchr(b'\n', data) {
                Some(_) => data.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect(),
                None => Cow::Borrowed(data),
            };
            take(line, &one_line)
        }
        // No frame is larger than the file, which is within the limit.
        _ => Ok(()),
    }
}
