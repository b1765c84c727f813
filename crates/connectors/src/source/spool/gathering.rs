//! What becomes a chunk: the events of several small files, or a part of a large one, and what was refused.

use std::sync::Arc;

use bytes::Bytes;
use lakehead_json::{CheckedLines, EventLines, EventTimes, Refusal, check_event, on_one_line};
use lakehead_model::{EventBatch, Reject};

use crate::json_lines::{DocumentText, Run};

/// A chunk is full with so many bytes read. A piece of 64 KiB more is within the 256 KiB that a chunk may have.
const BYTES_FULL: usize = 192 << 10;

/// A chunk is full with so many files: half of what the ledger has room for, and as many events as close a block early.
pub(super) const FILES_FULL: usize = 64;

/// A chunk is full with so many rejects, or bytes of what they keep.
const REJECTS_FULL: usize = 1_000;
const REJECT_BYTES_FULL: usize = 1 << 20;

/// What was read and not handed over.
pub(super) struct SpoolGathering {
    times: Arc<EventTimes>,
    pub(super) events: EventBatch,
    pub(super) rejects: Vec<Reject>,
    pub(super) refused_more: u64,
    /// Files that came to their end.
    pub(super) files: usize,
    bytes: usize,
    reject_bytes: usize,
}

impl SpoolGathering {
    pub(super) fn new(times: Arc<EventTimes>) -> Self {
        let mut events = EventBatch::default();
        events.set_time_rule(times.rule());
        Self { times, events, rejects: Vec::new(), refused_more: 0, files: 0, bytes: 0, reject_bytes: 0 }
    }

    /// Whether nothing was read.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.rejects.is_empty() && self.files == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES_FULL
            || self.files >= FILES_FULL
            || self.rejects.len() >= REJECTS_FULL
            || self.reject_bytes >= REJECT_BYTES_FULL
    }

    /// Takes lines, each of which is an event or is refused. Answers whether one was refused.
    pub(super) fn lines(&mut self, run: &Run, from: &str) -> bool {
        let lines = EventLines { text: &run.text, from, first_line: run.first_line, cut: run.cut };
        let CheckedLines { events, rejects, refused_more } = lines.check(&self.times);
        let has_refusals = !rejects.is_empty();
        self.bytes += run.text.len();
        self.reject_bytes += rejects.iter().map(|reject| reject.payload.len()).sum::<usize>();
        self.rejects.extend(rejects);
        self.refused_more += refused_more;
        if self.events.is_empty() {
            self.events = events;
        } else {
            for (event, time) in events.events().zip(events.event_times()) {
                self.events.push(event, *time);
            }
        }
        has_refusals
    }

    /// Takes a document, which is an event or is refused; one of nothing is neither. Answers whether it was refused.
    pub(super) fn document(&mut self, document: DocumentText, from: &str) -> bool {
        let DocumentText { text, is_cut } = document;
        self.bytes += text.len();
        if text.is_empty() {
            return false;
        }
        let reason = match check_event(&text) {
            _ if is_cut => Refusal::TooLarge(text.len()).to_string().replace("the event has", "the event has at least"),
            Ok(()) => {
                let event = on_one_line(&text);
                self.events.push(&event, self.times.of(&event));
                return false;
            }
            Err(refusal) if begins_with_a_line(&text) => {
                format!("{refusal}; its first line is: if each line is an event, set content = \"lines\"")
            }
            Err(refusal) => refusal.to_string(),
        };
        let mut payload = text;
        // The rest is in the file, which is set aside.
        payload.truncate(Reject::PAYLOAD_BYTES_MAX);
        self.refuse(from, reason, payload.into());
        true
    }

    /// Takes what has to be told of a file.
    pub(super) fn refuse(&mut self, from: &str, reason: String, payload: Bytes) {
        self.reject_bytes += payload.len();
        self.rejects.push(Reject { reason, position: from.to_owned(), payload });
    }
}

/// Whether there are several lines, and the first is a document by itself.
fn begins_with_a_line(text: &[u8]) -> bool {
    memchr::memchr(b'\n', text).is_some_and(|end| check_event(text[..end].trim_ascii()).is_ok())
}

#[cfg(test)]
mod tests {
    use lakehead_model::StreamSchema;

    use super::*;

    fn gathered(text: &str, is_cut: bool) -> (Vec<String>, Vec<String>) {
        let mut gathering = SpoolGathering::new(Arc::new(EventTimes::new(&StreamSchema::default())));
        let text = text.as_bytes().to_vec();
        let was_refused = gathering.document(DocumentText { text, is_cut }, "a.json");
        assert_eq!(was_refused, !gathering.rejects.is_empty());
        let events = gathering.events.events().map(|event| String::from_utf8_lossy(event).into_owned()).collect();
        (
            events,
            gathering.rejects.into_iter().map(|reject| format!("{}: {}", reject.position, reject.reason)).collect(),
        )
    }

    #[test]
    fn a_document_is_one_event_on_one_line_or_is_refused() {
        assert_eq!(gathered("{\n  \"a\": 1,\r\n  \"b\": \"x  y\"\n}", false).0, ["{\"a\":1,\"b\":\"x  y\"}"]);
        assert_eq!(gathered("{ \"a\":  1 }", false).0, ["{ \"a\":  1 }"], "byte for byte where it is one line");
        assert_eq!(gathered("", false), (vec![], vec![]));
        for (text, is_cut, wanted) in [
            ("{\"a\":", false, "a.json: not JSON"),
            ("{}\n{}", false, "set content = \"lines\""),
            ("[1", true, "the event has at least 2 bytes; at most 4 MiB"),
        ] {
            let (events, rejects) = gathered(text, is_cut);
            assert!(events.is_empty() && rejects.len() == 1 && rejects[0].contains(wanted), "{text}: {rejects:?}");
        }
    }
}
