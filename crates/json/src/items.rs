//! What is inside an array or an object, one item after the other, without going into any.

use crate::{Raw, scan};

impl<'d> Raw<'d> {
    /// The elements of an array, in order; `None` for any other value.
    #[must_use]
    pub fn elements(self) -> Option<impl Iterator<Item = Raw<'d>>> {
        let mut items = Items::of(self.bytes(), b'[')?;
        Some(std::iter::from_fn(move || items.value()))
    }

    /// The members of an object, in order, each key as a string; `None` for any other value. A key that stands twice
    /// comes twice.
    #[must_use]
    pub fn members(self) -> Option<impl Iterator<Item = (Raw<'d>, Raw<'d>)>> {
        let mut items = Items::of(self.bytes(), b'{')?;
        Some(std::iter::from_fn(move || {
            let key = items.value()?;
            Some((key, items.value()?))
        }))
    }
}

/// The place in a container up to which its items were taken.
struct Items<'d> {
    container: &'d [u8],
    at: usize,
}

impl<'d> Items<'d> {
    fn of(container: &'d [u8], opening: u8) -> Option<Self> {
        (container.first() == Some(&opening)).then_some(Self { container, at: 1 })
    }

    /// The next value, be it element, key or member.
    fn value(&mut self) -> Option<Raw<'d>> {
        self.at = scan::space(self.container, self.at);
        if let Some(b',' | b':') = self.container.get(self.at) {
            self.at = scan::space(self.container, self.at + 1);
        }
        let from = self.at;
        self.at = match self.container.get(from)? {
            b']' | b'}' => return None,
            b'"' => scan::string_end(self.container, from + 1),
            b'[' | b'{' => container_end(self.container, from),
            // On text that is not valid nothing may be there; the walk goes on all the same.
            _ => scan::scalar_end(self.container, from).max(from + 1),
        };
        self.container.get(from..self.at).map(Raw::new)
    }
}

/// Just past the bracket that closes the one at `at`, or the end.
fn container_end(document: &[u8], mut at: usize) -> usize {
    let mut open = 0_usize;
    while let Some(byte) = document.get(at) {
        at += 1;
        match byte {
            b'"' => at = scan::string_end(document, at),
            b'[' | b'{' => open += 1,
            b']' | b'}' if open <= 1 => return at,
            b']' | b'}' => open -= 1,
            _ => {}
        }
    }
    document.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Option<Vec<&str>> {
        let text_of = |raw: Raw<'static>| std::str::from_utf8(raw.bytes()).expect("text");
        let text: &'static str = text.to_owned().leak();
        Some(Raw::new(text.as_bytes()).elements()?.map(text_of).collect())
    }

    #[test]
    fn elements_come_one_after_the_other_whatever_is_in_them() {
        assert_eq!(elements("[]"), Some(vec![]));
        assert_eq!(elements("[ \n ]"), Some(vec![]));
        assert_eq!(
            elements(r#"[1, "a,]\"b" ,[2,[3]],{"c":"}","d":[]} , null,-1.5e3 ]"#),
            Some(vec!["1", r#""a,]\"b""#, "[2,[3]]", r#"{"c":"}","d":[]}"#, "null", "-1.5e3"])
        );
        assert_eq!(elements(r#"{"a":1}"#), None);
        assert_eq!(elements("1"), None);
    }

    #[test]
    fn members_are_keys_and_values() {
        let object = Raw::new(br#"{"a":1, "b\"" : {"c": [2]} ,"a":"x"}"#);
        let members: Vec<_> = object.members().expect("an object").map(|(k, v)| (k.bytes(), v.bytes())).collect();
        let expected: [(&[u8], &[u8]); 3] = [(b"\"a\"", b"1"), (b"\"b\\\"\"", b"{\"c\": [2]}"), (b"\"a\"", b"\"x\"")];
        assert_eq!(members, expected);
        assert!(Raw::new(b"[1]").members().is_none());
        assert_eq!(Raw::new(b"{}").members().map(Iterator::count), Some(0));
    }

    #[test]
    fn text_that_is_not_valid_comes_to_an_end() {
        for text in ["[", "[1", "[,,,,", "[:::", "[\"", "[[[", "[1 2 3", "[}", "{\"a\":", "{,", "[\u{1}\u{2}"] {
            let raw = Raw::new(text.as_bytes());
            let (elements, members) = (raw.elements().map(Iterator::count), raw.members().map(Iterator::count));
            assert!(elements.or(members).is_some_and(|count| count <= text.len()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn elements_are_those_that_serde_json_reads(value in arbitrary(4)) {
            let text = serde_json::to_string_pretty(&serde_json::Value::Array(vec![value.clone(), value])).expect("JSON");
            let read: Vec<serde_json::Value> = Raw::new(text.as_bytes())
                .elements()
                .expect("an array")
                .map(|raw| serde_json::from_slice(raw.bytes()).expect("JSON"))
                .collect();
            proptest::prop_assert_eq!(serde_json::Value::Array(read), serde_json::from_str::<serde_json::Value>(&text).expect("JSON"));
        }
    }

    fn arbitrary(depth: u32) -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(depth, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::Array),
                prop::collection::vec((".*", inner), 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
