//! Where the source stands: the id to ask the feed by, and the keys of what was taken last, as the cursor has them.
//!
//! ```json
//! {"version":1,"id":"1290","recent":["59d43ae0-e4e9-4197-990d-52723364e505"]}
//! ```
//!
//! The keys are for a feed that gives the event of the id once more, or more than was asked for. How many are written is learned:
//! as many as it has ever given again on one connection, [`KEYS_KEPT_MIN`] at least.

use std::collections::VecDeque;

use lakehead_connector_api::Error;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::event_key::Key;

/// The version written, and the only one read.
const VERSION: u32 = 1;

/// The longest id that is asked by: half of the 8 KiB that servers take as one header.
const ID_BYTES_MAX: usize = 4 << 10;

/// Keys that a cursor has at least, once there are so many: 40 bytes each.
const KEYS_KEPT_MIN: usize = 16;

/// Keys that a cursor has at most: 20 KiB, which leave an id of escapes room in a cursor's 64 KiB.
const KEYS_KEPT_MAX: usize = 512;

#[derive(Serialize, Deserialize)]
struct SavedPosition {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recent: Vec<String>,
}

/// The id to ask by, and what was taken last.
#[derive(Debug, Default)]
pub(super) struct LastId {
    id: Option<String>,
    keys: VecDeque<Key>,
    /// How many keys are written.
    kept: usize,
    /// How many events came again on this connection.
    again: usize,
}

/// What an id meant for the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It stands there now.
    Yes,
    /// It stood there already.
    No,
    /// Nobody can ask by this id: the position stays where it was.
    Unsendable,
}

impl LastId {
    /// Reads a cursor.
    pub(super) fn read(position: &str) -> Result<Self, Error> {
        let unreadable = |why: String| Error::Corrupt(format!("the cursor of an sse source cannot be read: {why}"));
        let saved: SavedPosition = serde_json::from_str(position).map_err(|error| unreadable(error.to_string()))?;
        if saved.version != VERSION {
            return Err(unreadable(format!("expected version {VERSION}, found {}", saved.version)));
        }
        let keys =
            saved.recent.iter().map(|key| key.parse()).collect::<Result<VecDeque<Key>, _>>().map_err(unreadable)?;
        let kept = keys.len().min(KEYS_KEPT_MAX);
        Ok(Self { id: saved.id, keys, kept, again: 0 })
    }

    /// As a cursor has it.
    pub(super) fn text(&self) -> String {
        let kept = self.kept.max(KEYS_KEPT_MIN).min(self.keys.len());
        let recent = self.keys.iter().skip(self.keys.len() - kept).map(Key::to_string).collect();
        let saved = SavedPosition { version: VERSION, id: self.id.clone(), recent };
        serde_json::to_string(&saved).expect("strings and numbers are always JSON")
    }

    /// The id to ask by.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.id.as_deref().and_then(|id| sendable(id.as_bytes()))
    }

    /// An id came. An empty one says that there is none from here on.
    pub(super) fn set(&mut self, id: &[u8]) -> Moved {
        let Some(id) = sendable(id).and(std::str::from_utf8(id).ok()) else { return Moved::Unsendable };
        let id = Some(id).filter(|id| !id.is_empty());
        if self.id.as_deref() == id {
            return Moved::No;
        }
        self.id = id.map(str::to_owned);
        Moved::Yes
    }

    /// The keys of what was taken last, the oldest first.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.keys.iter().copied()
    }

    /// An event that is known by its SSE id was taken.
    pub(super) fn push(&mut self, key: Key) {
        if self.keys.len() == KEYS_KEPT_MAX {
            self.keys.pop_front();
        }
        self.keys.push_back(key);
    }

    /// An event came that was taken before.
    pub(super) fn came_again(&mut self) {
        self.again += 1;
        self.kept = self.kept.max(self.again).min(KEYS_KEPT_MAX);
    }

    /// There is a new connection.
    pub(super) fn connected(&mut self) {
        self.again = 0;
    }
}

/// The id as a header, if it can be one: of one line, UTF-8, and not too long.
pub(super) fn sendable(id: &[u8]) -> Option<HeaderValue> {
    let is_text = id.len() <= ID_BYTES_MAX && std::str::from_utf8(id).is_ok();
    is_text.then(|| HeaderValue::from_bytes(id).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_written_and_learns_how_much_comes_again() {
        let mut at = LastId::default();
        assert_eq!(at.text(), r#"{"version":1}"#);
        assert_eq!(at.set("1290\t ü".as_bytes()), Moved::Yes);
        (0..1_000).for_each(|n| at.push(Key(n)));
        let read = LastId::read(&at.text()).expect("a cursor");
        assert_eq!((read.text(), read.header()), (at.text(), at.header()));
        assert_eq!(read.keys().collect::<Vec<_>>(), (984..1_000).map(Key).collect::<Vec<_>>());
        (0..100).for_each(|_| at.came_again());
        let mut read = LastId::read(&at.text()).expect("a cursor");
        assert_eq!(read.keys().count(), 100);
        read.push(Key(7));
        assert_eq!(LastId::read(&read.text()).expect("a cursor").keys().count(), 100, "learned for good");
    }

    #[test]
    fn an_id_that_cannot_be_sent_leaves_the_position_where_it_was() {
        let mut at = LastId::default();
        at.set(b"7");
        for odd in [b"a\x01b".as_slice(), b"\xff", b"\x7f", &[b'x'; ID_BYTES_MAX + 1]] {
            assert_eq!(at.set(odd), Moved::Unsendable, "{odd:?}");
        }
        assert_eq!((at.set(b"7"), at.header()), (Moved::No, Some(HeaderValue::from_static("7"))));
        assert_eq!((at.set(b""), at.header()), (Moved::Yes, None));
    }

    #[test]
    fn the_fullest_cursor_stays_within_its_bound() {
        let mut at = LastId::default();
        assert_eq!(at.set(&[b'"'; ID_BYTES_MAX]), Moved::Yes);
        (0..1_000).for_each(|_| at.push(Key(u128::MAX)));
        (0..1_000).for_each(|_| at.came_again());
        assert!(at.text().len() <= 64 << 10, "{}", at.text().len());
    }

    #[test]
    fn what_is_no_cursor_is_corrupt() {
        for (text, wanted) in [
            ("5", "invalid type"),
            (r#"{"version":2}"#, "expected version 1, found 2"),
            (r#"{"version":1,"recent":["x"]}"#, "key"),
        ] {
            let error = LastId::read(text).expect_err(wanted);
            assert!(matches!(&error, Error::Corrupt(what) if what.contains(wanted)), "{error}");
        }
    }
}
