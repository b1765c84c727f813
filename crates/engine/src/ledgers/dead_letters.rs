//! Dead letters: what a sink's target has refused for good, as entries of the stream `rejects`.
//!
//! An entry holds a reference and no copy: the row stands in its stream or view. It is committed before the sink's position
//! passes the row, so a crash between the two brings it again but never loses one.

use lakehead_model::{EventBatch, Name, Position};
use serde::Serialize;

/// The longest reason that is kept, in bytes: targets quote what they refuse.
const REASON_BYTES_MAX: usize = 1_000;

/// The longest key that is kept, in bytes; a reference, so a longer one is cut rather than copied.
const KEY_BYTES_MAX: usize = 4 << 10;

/// A row that was refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    /// Where its batch stands: of a stream, with the row's own offset as `number`; of a view its commit.
    pub(crate) at: Position,
    /// The row's number: an offset, or its place in the commit.
    pub(crate) number: u64,
    /// The row's key, of a view.
    pub(crate) key: Option<bytes::Bytes>,
    pub(crate) reason: String,
    /// How often it was written.
    pub(crate) attempts: u32,
}

/// Which sink refused it, and what that delivers.
#[derive(Clone, Debug)]
pub(crate) struct Refuser {
    pub(crate) sink: Name,
    /// The stream at the root of what it delivers.
    pub(crate) stream: Name,
    /// The view, if it delivers one.
    pub(crate) view: Option<Name>,
}

#[derive(Serialize)]
struct DeadLetterRecord<'a> {
    stream: &'a str,
    source: &'static str,
    sink: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    reason: &'a str,
    position: String,
    attempts: u32,
    payload: &'static str,
    payload_bytes: usize,
}

/// The events that stand for `letters`.
pub(crate) fn batch(letters: &[DeadLetter], refuser: &Refuser) -> EventBatch {
    let mut events = EventBatch::default();
    for letter in letters {
        let key = letter.key.as_deref().map(String::from_utf8_lossy);
        let (refused_offset, position) = match letter.at {
            Position::Log { epoch, .. } => (Some(letter.number), format!("log.{epoch}.{}", letter.number)),
            view @ Position::View { .. } => (None, view.to_string()),
        };
        let record = DeadLetterRecord {
            stream: refuser.stream.as_str(),
            source: "sink",
            sink: refuser.sink.as_str(),
            view: refuser.view.as_ref().map(Name::as_str),
            refused_offset,
            key: key.as_deref().map(|key| cut(key, KEY_BYTES_MAX)),
            reason: cut(&letter.reason, REASON_BYTES_MAX),
            position,
            attempts: letter.attempts,
            payload: "",
            payload_bytes: 0,
        };
        events.push(&serde_json::to_vec(&record).expect("strings and numbers are always JSON"), None);
    }
    events
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use lakehead_model::Offset;

    use super::*;

    #[test]
    fn an_entry_refers_to_its_row_and_holds_no_copy() {
        let name = |text| Name::new(text).expect("a name");
        let letter = |at, key| DeadLetter { at, number: 7, key, reason: "é".repeat(1_000), attempts: 2 };
        let log = letter(Position::Log { epoch: 1, next: Offset(5) }, None);
        let view = letter(Position::View { incarnation: 3, commit: 9 }, Some("[\"a\"]".into()));
        let of_stream = Refuser { sink: name("out"), stream: name("s"), view: None };
        let of_view = Refuser { view: Some(name("v")), ..of_stream.clone() };
        let entries: Vec<serde_json::Value> = [batch(&[log], &of_stream), batch(&[view], &of_view)]
            .iter()
            .flat_map(|batch| {
                batch.events().map(|event| serde_json::from_slice(event).expect("JSON")).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!((&entries[0]["position"], &entries[0]["refused_offset"]), (&"log.1.7".into(), &7.into()));
        assert_eq!((&entries[1]["position"], &entries[1]["key"]), (&"view.3.9".into(), &"[\"a\"]".into()));
        assert_eq!((&entries[1]["view"], &entries[1]["sink"]), (&"v".into(), &"out".into()));
        assert_eq!(entries[0]["reason"].as_str().map(str::len), Some(REASON_BYTES_MAX));
        assert_eq!(entries[0]["attempts"], 2);
    }
}
