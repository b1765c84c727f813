//! Which event it is: by what stands at a path of it, or by its SSE id and its data.
//!
//! An SSE id alone does not say it: a server that starts again may begin with id 1 once more, and what has it then is another
//! event. With the data it does. An event that has neither has no key, and nothing is ever taken for the same.

use lakehead_connector_api::{Error, TailReader};
use lakehead_json::{Paths, Raw};
use lakehead_model::Offset;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    event_key::Key,
    recent_keys::{GENERATION_KEYS, Recent, each_event},
};

/// Most keys of a path, and bytes of one: deeper than JSON is taken nothing can stand.
const KEYS_MAX: usize = 64;
const KEY_BYTES_MAX: usize = 256;

/// Where an event says which one it is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a path is text as in \"meta.id\", or its keys as in [\"meta\", \"id\"]")]
pub(super) enum IdentityPath {
    /// Keys with dots between them.
    Dotted(String),
    /// Keys that may have dots in them.
    Keys(Vec<String>),
}

impl IdentityPath {
    fn keys(&self) -> Vec<String> {
        match self {
            Self::Dotted(text) => text.split('.').map(str::to_owned).collect(),
            Self::Keys(keys) => keys.clone(),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let keys = self.keys();
        if (1..=KEYS_MAX).contains(&keys.len()) && keys.iter().all(|key| (1..=KEY_BYTES_MAX).contains(&key.len())) {
            return Ok(());
        }
        Err(format!(
            "identity: expected a path of 1 to {KEYS_MAX} keys of 1 to {KEY_BYTES_MAX} bytes each, as in \"meta.id\""
        ))
    }
}

/// Reads which event it is.
#[derive(Debug)]
pub(super) struct KeyReader {
    paths: Option<Paths>,
}

/// A key, and what it was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventName {
    /// What stands at the path: the log says it, too.
    InEvent(Key),
    /// SSE id and data: only the cursor says it.
    ById(Key),
    /// Nothing says which event it is.
    Nameless,
}

impl KeyReader {
    pub(super) fn new(path: Option<&IdentityPath>) -> Self {
        Self { paths: path.map(|path| Paths::new(&[path.keys()])) }
    }

    /// Which event this is: a valid document, and its own SSE id.
    pub(super) fn read(&self, document: &[u8], id: Option<&[u8]>) -> EventName {
        match self.in_event(document) {
            Some(key) => EventName::InEvent(key),
            None => by_id(document, id),
        }
    }

    /// What stands at the path, if it is a text, a number or a truth value.
    fn in_event(&self, document: &[u8]) -> Option<Key> {
        let mut found = [None];
        self.paths.as_ref()?.extract(document, &mut found);
        let raw: Raw<'_> = found[0]?;
        match raw.bytes().first()? {
            b'"' => raw.as_str().map(|text| Key::of_id(text.as_bytes())),
            b'{' | b'[' | b'n' => None,
            // A number is never the same as a text.
            _ => Some(Key::hash([b"\0".as_slice(), raw.bytes()])),
        }
    }

    /// Fills `recent` from the end of the log, so far as it says which events they are.
    pub(super) async fn recall(&self, tail: &mut dyn TailReader, recent: &mut Recent) -> Result<(), Error> {
        if self.paths.is_none() {
            return Ok(());
        }
        let end = tail.end();
        let from = Offset(end.0.saturating_sub(GENERATION_KEYS as u64));
        each_event(tail, from, end, |event| {
            if let Some(key) = self.in_event(event) {
                recent.insert(key);
            }
        })
        .await
    }
}

/// Which one an event, or what was refused, is by its SSE id.
pub(super) fn by_id(data: &[u8], id: Option<&[u8]>) -> EventName {
    match id {
        // An id has no NUL: no other id and data are the same bytes.
        Some(id) if !id.is_empty() => EventName::ById(Key::hash([id, b"\0", data])),
        _ => EventName::Nameless,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str, document: &str, id: Option<&str>) -> EventName {
        let path = IdentityPath::Dotted(path.to_owned());
        KeyReader::new(Some(&path)).read(document.as_bytes(), id.map(str::as_bytes))
    }

    #[test]
    fn a_text_is_the_same_however_it_is_written_and_a_number_is_no_text() {
        let plain = name("a.b", r#"{"a":{"b":"x7"}}"#, None);
        assert!(matches!(plain, EventName::InEvent(_)));
        assert_eq!(plain, name("a.b", r#"{"z":1, "a" : { "b" : "\u00787" }}"#, Some("5")));
        assert_ne!(name("a", r#"{"a":7}"#, None), name("a", r#"{"a":"7"}"#, None));
        assert_eq!(name("a", r#"{"a":7}"#, None), name("a", r#"{"b":0,"a":7}"#, None));
    }

    #[test]
    fn without_a_value_the_id_says_it_and_without_an_id_nothing() {
        for document in [r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":[1]}"#, "{}", "7", r#"{"b":1}"#] {
            assert_eq!(name("a", document, None), EventName::Nameless, "{document}");
            assert_eq!(name("a", document, Some("")), EventName::Nameless, "{document}");
            assert!(matches!(name("a", document, Some("5")), EventName::ById(_)), "{document}");
        }
        assert_ne!(by_id(b"1", Some(b"5")), by_id(b"2", Some(b"5")), "an id may begin again");
        assert_ne!(by_id(b"1", Some(b"5")), by_id(b"1", Some(b"6")));
    }
}
