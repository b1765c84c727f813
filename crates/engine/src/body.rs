//! The body of a push, taken apart into events: one JSON document, an array of them, or one on each line.
//!
//! Pure: bytes in, events and refusals out. What may be an event says [`check_event`]. One bad event refuses itself, not its
//! neighbours.

use bytes::Bytes;
use lakehead_json::{check_event, on_one_line};
use lakehead_json_schema::JsonSchema;
use lakehead_model::{APPEND_EVENTS_MAX, EventBatch, Refusals, Reject};

/// UTF-8's; some programs on Windows write it before everything.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body on its way through: which of its documents comes next.
#[derive(Debug)]
pub(crate) struct Documents {
    body: Bytes,
    /// Where the next one begins, or its white space.
    at: usize,
    /// How many came before.
    index: u64,
    shape: Shape,
    /// The whole array is not JSON, and why.
    broken: Option<String>,
}

/// What one append takes of a body.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// The events, in order, without event times.
    pub(crate) events: EventBatch,
    /// The body goes on behind it.
    pub(crate) more: bool,
}

/// How the body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    One,
    Array,
    Lines,
}

impl Documents {
    /// Looks how `body` is to be read. The content type decides only when it names JSON lines; else the body itself tells. A
    /// byte order mark before it is passed over.
    pub(crate) fn of(body: &Bytes, content_type: Option<&str>) -> Self {
        let body = if body.starts_with(BYTE_ORDER_MARK) { body.slice(BYTE_ORDER_MARK.len()..) } else { body.clone() };
        Self::read_as(shape(&body, content_type), body, 0)
    }

    /// Whole lines of a body of which `index` documents came before.
    pub(crate) fn lines(body: Bytes, index: u64) -> Self {
        let mark = index == 0 && body.starts_with(BYTE_ORDER_MARK);
        Self::read_as(Shape::Lines, if mark { body.slice(BYTE_ORDER_MARK.len()..) } else { body }, index)
    }

    fn read_as(shape: Shape, body: Bytes, index: u64) -> Self {
        let (mut at, mut broken) = (0, None);
        if shape == Shape::Array {
            match lakehead_json::validate(&body) {
                Ok(()) => at = body.iter().position(|byte| *byte == b'[').map_or(0, |open| open + 1),
                Err(error) => broken = Some(format!("this array is not JSON, so nothing of it was taken: {error}")),
            }
        }
        Self { body, at, index, shape, broken }
    }

    /// Why the whole body is refused, if it is; said once, and there is nothing in it then.
    pub(crate) fn broken(&mut self) -> Option<String> {
        let reason = self.broken.take()?;
        self.at = self.body.len();
        Some(reason)
    }

    /// The next document and its number, not checked yet.
    pub(crate) fn document(&mut self) -> Option<(u64, Bytes)> {
        let (start, end) = self.next()?;
        self.index += 1;
        Some((self.index - 1, self.body.slice(start..end)))
    }

    /// How many documents there were so far.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// How many bytes are still to be read.
    pub(crate) fn bytes_left(&self) -> usize {
        self.body.len() - self.at
    }

    /// Takes the next events, at most [`APPEND_EVENTS_MAX`], which have to conform to `schema` if there is one. What is none goes
    /// to `refusals`, and not its neighbours.
    pub(crate) fn part(&mut self, schema: Option<&JsonSchema>, refusals: &mut Refusals) -> Part {
        if let Some(reason) = self.broken() {
            refusals.add(0, || Reject { reason, position: place(0), payload: self.body.clone() });
            self.index += 1;
            return Part::default();
        }
        let mut events = EventBatch::with_capacity(16, self.bytes_left().min(APPEND_EVENTS_MAX * 64));
        while events.len() < APPEND_EVENTS_MAX {
            let Some((start, end)) = self.next() else { return Part { events, more: false } };
            let (document, index) = (&self.body[start..end], self.index);
            self.index += 1;
            let mut refuse = |reason: &dyn Fn() -> String| {
                let payload = || self.body.slice(start..end);
                refusals.add(index, || Reject { reason: reason(), position: place(index), payload: payload() });
            };
            match check_event(document) {
                Ok(()) => match schema.map_or(Ok(()), |schema| schema.check(document)) {
                    Ok(()) => events.push(&on_one_line(document), None),
                    Err(reason) => refuse(&|| reason.clone()),
                },
                Err(refusal) => refuse(&|| refusal.to_string()),
            }
        }
        Part { events, more: self.bytes_left() > 0 }
    }

    /// Where the next document stands, without the white space around it.
    fn next(&mut self) -> Option<(usize, usize)> {
        while self.at < self.body.len() {
            let start = self.at;
            let rest = &self.body[start..];
            let (length, used) = match self.shape {
                Shape::One => (rest.len(), rest.len()),
                Shape::Lines => memchr::memchr(b'\n', rest).map_or((rest.len(), rest.len()), |end| (end, end + 1)),
                Shape::Array => element(rest),
            };
            self.at = start + used;
            let document = rest[..length].trim_ascii();
            if !document.is_empty() {
                let before = length - rest[..length].trim_ascii_start().len();
                return Some((start + before, start + before + document.len()));
            }
        }
        None
    }
}

/// The place of a document, for people.
pub(crate) fn place(index: u64) -> String {
    format!("event {index} of a push")
}

/// Whether a body that begins so, and goes on, is one of lines.
#[must_use]
pub fn is_lines(beginning: &[u8], content_type: Option<&str>) -> bool {
    let beginning = beginning.strip_prefix(BYTE_ORDER_MARK).unwrap_or(beginning);
    names_lines(content_type)
        || first_line(beginning).is_some_and(|line| line.starts_with(b"{") && line.ends_with(b"}"))
}

/// The first line that holds anything, if its end has come.
fn first_line(body: &[u8]) -> Option<&[u8]> {
    let body = body.trim_ascii_start();
    memchr::memchr(b'\n', body).map(|end| body[..end].trim_ascii())
}

fn names_lines(content_type: Option<&str>) -> bool {
    let named = content_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    matches!(named.as_deref(), Some("application/x-ndjson" | "application/ndjson" | "application/jsonl"))
}

fn shape(body: &[u8], content_type: Option<&str>) -> Shape {
    if names_lines(content_type) {
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

/// The length of the first of the elements that `rest` begins with, and how much of it is read with what ends it. `rest` is
/// what is left of a valid array.
fn element(rest: &[u8]) -> (usize, usize) {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in rest.iter().enumerate() {
        if in_text {
            in_text = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b',' if depth == 0 => return (at, at + 1),
            // Behind the array's end there is nothing but white space.
            b']' if depth == 0 => return (at, rest.len()),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    (rest.len(), rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakehead_model::EVENT_BYTES_MAX;

    fn read(body: &[u8], content_type: Option<&str>) -> (Part, Vec<Reject>) {
        let mut refusals = Refusals::default();
        let part = Documents::of(&Bytes::copy_from_slice(body), content_type).part(None, &mut refusals);
        (part, refusals.kept.into_iter().map(|(_, reject)| reject).collect())
    }

    fn check(body: &str, content_type: Option<&str>, events: &[&str], refused: &[(usize, &str)]) {
        let (read, found) = read(body.as_bytes(), content_type);
        assert!(!read.more);
        let refused: Vec<_> = refused.iter().map(|(index, reason)| (place(*index as u64), *reason)).collect();
        let found: Vec<_> = found.iter().map(|reject| (reject.position.clone(), reject.reason.as_str())).collect();
        assert_eq!(found, refused, "{body}");
        let found: Vec<_> = read.events.events().map(|event| String::from_utf8_lossy(event).into_owned()).collect();
        assert_eq!(found, events, "{body}");
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
        let (read, refused) = read(b"[{\"a\":1},{\"b\":}]", None);
        assert!(read.events.is_empty());
        assert_eq!(refused.len(), 1);
        assert!(refused[0].reason.starts_with("this array is not JSON"), "{}", refused[0].reason);
    }

    #[test]
    fn a_bad_line_refuses_itself_and_not_its_neighbours() {
        let (read, refused) = read(b"{\"a\":1}\n{\"a\":\n\n{\"a\":3}\r\n", None);
        assert_eq!(read.events.events().collect::<Vec<_>>(), [b"{\"a\":1}", b"{\"a\":3}"]);
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].position, "event 1 of a push");
        assert_eq!(&refused[0].payload[..], b"{\"a\":");
    }

    #[test]
    fn the_content_type_settles_what_one_line_means() {
        check("[1]\n2", Some("application/x-ndjson; charset=utf-8"), &["[1]", "2"], &[]);
        check("[1]", Some("application/json"), &["1"], &[]);
    }

    #[test]
    fn a_giant_event_is_refused_with_its_size() {
        let giant = format!("{{\"a\":\"{}\"}}", "x".repeat(EVENT_BYTES_MAX));
        let (_, refused) = read(giant.as_bytes(), None);
        assert!(refused[0].reason.contains("at most 4 MiB"), "{}", refused[0].reason);
    }

    #[test]
    fn an_empty_body_holds_nothing() {
        check("\n\n", Some("application/x-ndjson"), &[], &[]);
        check(" ", None, &[], &[]);
    }

    #[test]
    fn a_byte_order_mark_before_the_body_is_passed_over() {
        check("\u{feff}{\"a\":1}", None, &["{\"a\":1}"], &[]);
        check("\u{feff}[1, 2]", None, &["1", "2"], &[]);
        check("\u{feff}{\"a\":1}\n{\"a\":2}\n", None, &["{\"a\":1}", "{\"a\":2}"], &[]);
    }

    #[test]
    fn tiny_events_come_in_parts_and_none_is_lost_at_a_seam() {
        let count = APPEND_EVENTS_MAX * 2 + 7;
        let lines = ("1\n".repeat(count), Some("application/x-ndjson"));
        let array = (format!("[{}1]", "1,".repeat(count - 1)), None);
        for (body, content_type) in [lines, array] {
            let mut documents = Documents::of(&Bytes::from(body), content_type);
            let (mut taken, mut parts, mut refusals) = (0, 0, Refusals::default());
            loop {
                let part = documents.part(None, &mut refusals);
                assert!(part.events.events().all(|event| event == b"1"));
                (taken, parts) = (taken + part.events.len(), parts + 1);
                if !part.more {
                    break;
                }
            }
            assert_eq!((taken, parts, refusals.count), (count, 3, 0));
            assert_eq!(documents.index(), count as u64);
        }
    }

    #[test]
    fn lines_are_known_by_their_type_or_by_a_first_line_that_is_an_object() {
        assert!(is_lines(b"", Some("application/x-ndjson")));
        assert!(is_lines(b"{\"a\":1}\n{\"a", None));
        for other in [&b""[..], b"{\"a\":1}", b"{\n", b"[1,\n", b"1\n2\n"] {
            assert!(!is_lines(other, Some("application/json")), "{other:?}");
        }
    }
}
