//! What an event says of itself in `meta`, as Wikimedia's events do: the stream that it belongs to, its id, its time.
//!
//! Pure. An event is kept byte for byte but for one thing: an id or a time that is left out, or is null, is written in, as the
//! first members of `meta` or in the place of the null. Whatever else stands there is the client's own, be it no id and no time.
//!
//! ```text
//! {"meta":{"stream":"a","dt":null},"x":1.50}
//! {"meta":{"id":"…","stream":"a","dt":"…"},"x":1.50}
//! ```

use std::borrow::Cow;

use lakehead_json::{Paths, Raw};

/// How much longer an event becomes at most: `"id":"",` with an id of 36 characters, and `"dt":"",` with a time of 24.
pub(crate) const ADDED_BYTES_MAX: usize = 8 + 36 + 8 + 24;

/// Reads what events say of themselves.
pub(crate) struct Envelope {
    paths: Paths,
}

/// What one event says of itself.
pub(crate) struct Enveloped<'d> {
    document: &'d [u8],
    stream: Cow<'d, str>,
    meta: Raw<'d>,
    id: Option<Raw<'d>>,
    dt: Option<Raw<'d>>,
}

impl Envelope {
    pub(crate) fn new() -> Self {
        let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Self {
            paths: Paths::new(&[
                path(&["meta"]),
                path(&["meta", "stream"]),
                path(&["meta", "id"]),
                path(&["meta", "dt"]),
            ]),
        }
    }

    /// Reads a `document` that is valid. `None` when it names no stream.
    pub(crate) fn read<'d>(&self, document: &'d [u8]) -> Option<Enveloped<'d>> {
        let mut found = [None; 4];
        self.paths.extract(document, &mut found);
        let [meta, stream, id, dt] = found;
        Some(Enveloped { document, stream: stream?.as_str()?, meta: meta?, id, dt })
    }
}

impl<'d> Enveloped<'d> {
    /// The stream that it names.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// Whether it has no id.
    pub(crate) fn lacks_id(&self) -> bool {
        self.id.is_none_or(Raw::is_null)
    }

    /// The event with `id` and `dt` where it has none.
    pub(crate) fn completed(&self, id: &str, dt: &str) -> Cow<'d, [u8]> {
        let mut edits: Vec<(usize, usize, String)> = Vec::new();
        for (key, has, value) in [("id", self.id, id), ("dt", self.dt, dt)] {
            match has {
                None => edits.push((self.place(self.meta) + 1, 0, format!("\"{key}\":\"{value}\","))),
                Some(null) if null.is_null() => {
                    edits.push((self.place(null), null.bytes().len(), format!("\"{value}\"")))
                }
                Some(_) => {}
            }
        }
        if edits.is_empty() {
            return Cow::Borrowed(self.document);
        }
        edits.sort_by_key(|(at, ..)| *at);
        let mut whole = Vec::with_capacity(self.document.len() + ADDED_BYTES_MAX);
        let mut from = 0;
        for (at, removed, text) in edits {
            whole.extend_from_slice(&self.document[from..at]);
            whole.extend_from_slice(text.as_bytes());
            from = at + removed;
        }
        whole.extend_from_slice(&self.document[from..]);
        Cow::Owned(whole)
    }

    /// Where a value begins in the document, of which it is a part.
    fn place(&self, value: Raw<'_>) -> usize {
        value.bytes().as_ptr().addr() - self.document.as_ptr().addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(document: &str) -> String {
        let envelope = Envelope::new();
        let event = envelope.read(document.as_bytes()).unwrap_or_else(|| panic!("{document} names a stream"));
        String::from_utf8(event.completed("ID", "DT").into_owned()).expect("text")
    }

    #[test]
    fn what_the_client_left_out_is_written_in_and_nothing_else_changes() {
        for (event, expected) in [
            (r#"{"meta":{"stream":"a"}}"#, r#"{"meta":{"id":"ID","dt":"DT","stream":"a"}}"#),
            (
                r#"{ "x" : 1.50, "meta" : { "stream":"a" } }"#,
                r#"{ "x" : 1.50, "meta" : {"id":"ID","dt":"DT", "stream":"a" } }"#,
            ),
            (r#"{"meta":{"id":"7","stream":"a"}}"#, r#"{"meta":{"dt":"DT","id":"7","stream":"a"}}"#),
            (r#"{"meta":{"stream":"a","dt":null,"id": null}}"#, r#"{"meta":{"stream":"a","dt":"DT","id": "ID"}}"#),
            (r#"{"meta":{"id":null,"stream":"a"}}"#, r#"{"meta":{"dt":"DT","id":"ID","stream":"a"}}"#),
            // Of a key that stands twice the first counts, here as in every column.
            (r#"{"meta":{"stream":"a","id":1},"meta":{}}"#, r#"{"meta":{"dt":"DT","stream":"a","id":1},"meta":{}}"#),
        ] {
            assert_eq!(completed(event), expected);
            assert_eq!(completed(expected), expected, "what is whole stays byte for byte");
        }
    }

    #[test]
    fn an_id_or_a_time_of_the_client_s_own_stays_whatever_it_is() {
        for event in [
            r#"{"meta":{"stream":"a","id":"","dt":"yesterday"}}"#,
            r#"{"meta":{"stream":"a","id":{},"dt":[]}}"#,
            r#"{"meta":{"stream":"a","dt":0,"id":false}}"#,
        ] {
            assert_eq!(completed(event), event);
        }
    }

    #[test]
    fn an_event_that_names_no_stream_has_none() {
        let envelope = Envelope::new();
        for event in
            ["1", "[]", "{}", r#"{"meta":1}"#, r#"{"meta":{}}"#, r#"{"meta":{"stream":7}}"#, r#"{"meta.stream":"a"}"#]
        {
            assert!(envelope.read(event.as_bytes()).is_none(), "{event}");
        }
        let escaped = envelope.read(br#"{"meta":{"stre\u0061m":"\u0061"}}"#).expect("escapes are read");
        assert_eq!(escaped.stream(), "a");
        assert!(escaped.lacks_id());
    }
}
