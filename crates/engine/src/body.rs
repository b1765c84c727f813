//! The body of a push, taken apart into events: one JSON document, an array of them, or one on each line.
//!
//! Pure: bytes in, events and refusals out. Every event is kept byte for byte as it stands in the body; only one with
//! raw newlines is compacted. One bad event refuses itself, not its neighbours.

use bytes::Bytes;
use lakehead_model::{ByteSize, EventBatch};

/// The largest event: 4 MiB, the limit of Wikimedia's event platform, whose largest events have about 4 MB.
pub(crate) const EVENT_BYTES_MAX: usize = 4 << 20;

/// What a body holds.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// The events, in order, without event times.
    pub(crate) events: EventBatch,
    /// What is not one.
    pub(crate) refused: Vec<Refused>,
}

/// One thing in a body that is not an event.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Its place among all that the body holds, from 0.
    pub(crate) index: usize,
    /// Why.
    pub(crate) reason: String,
    /// It.
    pub(crate) payload: Bytes,
}

/// How the body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    One,
    Array,
    Lines,
}

impl Body {
    /// Takes `body` apart. The content type decides only when it names JSON lines; else the body itself tells.
    pub(crate) fn read(body: &Bytes, content_type: Option<&str>) -> Self {
        let mut read = Self { events: EventBatch::with_capacity(16, body.len()), refused: Vec::new() };
        if body.trim_ascii().is_empty() {
            return read;
        }
        let mut index = 0;
        let mut take = |document: &[u8]| {
            read.take(index, body, document);
            index += 1;
        };
        match shape(body, content_type) {
            Shape::One => take(body.trim_ascii()),
            Shape::Lines => lines(body).for_each(take),
            Shape::Array => match lakehead_json::validate(body) {
                Ok(()) => elements(body.trim_ascii(), &mut take),
                Err(error) => {
                    let reason = format!("this array is not JSON, so nothing of it was taken: {error}");
                    read.refused.push(Refused { index: 0, reason, payload: body.clone() });
                }
            },
        }
        read
    }

    fn take(&mut self, index: usize, body: &Bytes, document: &[u8]) {
        match judge(document) {
            Ok(()) if document.contains(&b'\n') || document.contains(&b'\r') => {
                self.events.push(&lakehead_json::compact(document), None);
            }
            Ok(()) => self.events.push(document, None),
            Err(reason) => self.refused.push(Refused { index, reason, payload: body.slice_ref(document) }),
        }
    }
}

/// Whether `document` may enter a stream; else why not. Any JSON value may: what it means is the columns' affair.
pub(crate) fn judge(document: &[u8]) -> Result<(), String> {
    if document.len() > EVENT_BYTES_MAX {
        let limit = ByteSize(EVENT_BYTES_MAX as u64);
        return Err(format!("the event has {} bytes; at most {limit} are taken", document.len()));
    }
    lakehead_json::validate(document).map_err(|error| format!("not JSON: {error}"))
}

fn shape(body: &[u8], content_type: Option<&str>) -> Shape {
    let named = content_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if matches!(named.as_deref(), Some("application/x-ndjson" | "application/ndjson" | "application/jsonl")) {
        return Shape::Lines;
    }
    let trimmed = body.trim_ascii();
    if trimmed.first() == Some(&b'[') {
        return Shape::Array;
    }
    // A printed-out object spreads over lines too, but then neither its first nor its last line is an object by itself.
    let whole = |line: Option<&[u8]>| line.is_some_and(|line| line.starts_with(b"{") && line.ends_with(b"}"));
    let several = trimmed.contains(&b'\n');
    if several && (whole(lines(trimmed).next()) || whole(lines(trimmed).next_back())) {
        Shape::Lines
    } else {
        Shape::One
    }
}

/// The lines that hold anything.
fn lines(body: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

/// Calls `each` with every element of `array`, which must be a valid JSON array.
fn elements<'a>(array: &'a [u8], each: &mut impl FnMut(&'a [u8])) {
    let (mut depth, mut start, mut in_text, mut escaped) = (0_usize, 1, false, false);
    for (at, byte) in array.iter().enumerate() {
        if in_text {
            in_text = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 1 => depth -= 1,
            b',' if depth == 1 => {
                each(array[start..at].trim_ascii());
                start = at + 1;
            }
            b']' => {
                let last = array[start..at].trim_ascii();
                if !last.is_empty() {
                    each(last);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, content_type: Option<&str>, events: &[&str], refused: &[(usize, &str)]) {
        let read = Body::read(&Bytes::copy_from_slice(body.as_bytes()), content_type);
        let found: Vec<_> = read.events.events().map(|event| String::from_utf8_lossy(event).into_owned()).collect();
        assert_eq!(found, events, "{body}");
        let found: Vec<_> = read.refused.iter().map(|refused| (refused.index, refused.reason.as_str())).collect();
        assert_eq!(found, refused, "{body}");
    }

    #[test]
    fn one_event_is_kept_byte_for_byte() {
        check("{ \"a\" : 1.50 }", None, &["{ \"a\" : 1.50 }"], &[]);
        check(" {\"a\":1}\n", Some("application/json"), &["{\"a\":1}"], &[]);
    }

    #[test]
    fn a_printed_out_event_is_compacted() {
        check("{\n  \"a\": {\n    \"b\": 1.0\n  }\n}\n", None, &["{\"a\":{\"b\":1.0}}"], &[]);
    }

    #[test]
    fn an_array_is_split_without_touching_its_elements() {
        check(
            "[ {\"a\": \"],{\\\"\"} ,\n{\"b\":[1,{\"c\":2}]} ]",
            None,
            &["{\"a\": \"],{\\\"\"}", "{\"b\":[1,{\"c\":2}]}"],
            &[],
        );
        check("[]", None, &[], &[]);
        check("[[1, 2],\n\"]\", null , 5]", None, &["[1, 2]", "\"]\"", "null", "5"], &[]);
    }

    #[test]
    fn a_broken_array_is_refused_as_a_whole() {
        let read = Body::read(&Bytes::from_static(b"[{\"a\":1},{\"b\":}]"), None);
        assert!(read.events.is_empty());
        assert_eq!(read.refused.len(), 1);
        assert!(read.refused[0].reason.starts_with("this array is not JSON"), "{}", read.refused[0].reason);
    }

    #[test]
    fn a_bad_line_refuses_itself_and_not_its_neighbours() {
        let read = Body::read(&Bytes::from_static(b"{\"a\":1}\n{\"a\":\n\n{\"a\":3}\r\n"), None);
        assert_eq!(read.events.events().collect::<Vec<_>>(), [b"{\"a\":1}", b"{\"a\":3}"]);
        assert_eq!(read.refused.len(), 1);
        assert_eq!(read.refused[0].index, 1);
        assert_eq!(&read.refused[0].payload[..], b"{\"a\":");
    }

    #[test]
    fn the_content_type_settles_what_one_line_means() {
        check("[1]\n2", Some("application/x-ndjson; charset=utf-8"), &["[1]", "2"], &[]);
        check("[1]", Some("application/json"), &["1"], &[]);
    }

    #[test]
    fn a_giant_event_is_refused_with_its_size() {
        let giant = format!("{{\"a\":\"{}\"}}", "x".repeat(EVENT_BYTES_MAX));
        let read = Body::read(&Bytes::from(giant), None);
        assert!(read.refused[0].reason.contains("at most 4 MiB"), "{}", read.refused[0].reason);
    }

    #[test]
    fn an_empty_body_holds_nothing() {
        check("\n\n", Some("application/x-ndjson"), &[], &[]);
        check(" ", None, &[], &[]);
    }
}
