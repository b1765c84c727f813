//! The values at some paths, against a walk with serde_json that keeps members in their order.

mod documents;

use lakehead_json::{Paths, Raw};
use lakehead_testkit::recordings;
use proptest::prelude::*;
use serde_json::value::RawValue;

/// The members of an object in their order, keys resolved. `None` for what is no object.
fn members(document: &str) -> Option<Vec<(String, &str)>> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(&'de RawValue, &'de RawValue)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    use serde::de::Deserializer;
    let members = serde_json::Deserializer::from_str(document).deserialize_map(Members).ok()?;
    Some(members.into_iter().map(|(key, value)| (text(key.get()), value.get())).collect())
}

/// The text of a string, by way of UTF-16, in which escapes are written: lone surrogates become U+FFFD.
fn text(string: &str) -> String {
    let mut units = Vec::new();
    let mut rest = string[1..string.len() - 1].chars();
    while let Some(sign) = rest.next() {
        let escape = if sign == '\\' { rest.next() } else { None };
        units.extend(match escape {
            None => String::from(sign).encode_utf16().collect(),
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                vec![u16::from_str_radix(&digits, 16).expect("four digits")]
            }
            Some(escape) => {
                let plain: char = serde_json::from_str(&format!("\"\\{escape}\"")).expect("an escape");
                vec![plain as u16]
            }
        });
    }
    String::from_utf16_lossy(&units)
}

fn oracle<'d>(document: &'d str, path: &[String]) -> Option<&'d str> {
    let Some((key, rest)) = path.split_first() else { return Some(document.trim_ascii()) };
    oracle(members(document)?.into_iter().find(|(own, _)| own == key)?.1, rest)
}

#[track_caller]
fn check(document: &str, wanted: &[Vec<String>]) {
    let mut found = vec![Some(Raw::new(b"left over")); wanted.len()];
    Paths::new(wanted).extract(document.as_bytes(), &mut found);
    for (path, found) in wanted.iter().zip(found) {
        let found = found.map(|raw| std::str::from_utf8(raw.bytes()).expect("UTF-8"));
        assert_eq!(found, oracle(document, path), "{path:?} of {document}");
    }
}

fn path(dotted: &str) -> Vec<String> {
    dotted.split('.').map(str::to_owned).collect()
}

fn paths(dotted: &[&str]) -> Vec<Vec<String>> {
    dotted.iter().map(|dotted| path(dotted)).collect()
}

#[test]
fn values_are_found_at_any_depth_in_any_order() {
    let document = r#"{"meta":{"x":[1,{"domain":"]}"}],"domain":"a"},"n":-12, "b" : true ,"s":"","o":{ } }"#;
    check(document, &paths(&["b", "n", "meta.domain", "meta", "meta.x", "o", "s", "no", "meta.no", "n.no", "o.no"]));
    check(document, &paths(&["b"]));
    check(document, &paths(&["meta.domain"]));
    check(document, &[]);
}

#[test]
fn a_path_may_be_wanted_twice_and_the_empty_path_is_the_document() {
    let mut wanted = paths(&["a", "a.b", "a", "a.b"]);
    wanted.push(Vec::new());
    check(" {\"a\":{\"b\":[2],\"c\":3}} \n", &wanted);
    check(" [1] ", &wanted);
    check("\"a\"", &wanted);
}

#[test]
fn of_equal_keys_the_first_counts_at_every_level() {
    let document = r#"{"a":{"x":1},"a":{"b":2},"c":3,"c":4,"\u0063":5,"d":{"e":1,"\u0065":2}}"#;
    let mut found = [None; 4];
    Paths::new(&paths(&["a.b", "c", "d.e", "a.x"])).extract(document.as_bytes(), &mut found);
    assert_eq!(found.map(|raw| raw.and_then(Raw::as_i64)), [None, Some(3), Some(1), Some(1)]);
}

#[test]
fn an_escaped_key_is_the_same_key() {
    check(
        r#"{"\u0062\u006f\u0074":1,"m\u0065ta":{"dom\u0061in":"x"},"a\"b":2,"\\":3}"#,
        &paths(&["bot", "meta.domain", "a\"b", "\\"]),
    );
}

#[test]
fn a_key_is_not_taken_for_another_that_begins_or_ends_like_it() {
    let keys = [
        "",
        "a",
        "ab",
        "abcdefg",
        "abcdefgh",
        "abcdefghi",
        "abcdefghj",
        "abcdefghijklmnopqrstuvwxyz",
        "abcdefghijklmnopqrstuvwxy",
    ];
    let members: Vec<_> = keys.iter().enumerate().map(|(n, key)| format!("\"{key}\":{n}")).collect();
    let document = format!("{{{}}}", members.join(","));
    for key in keys {
        check(&document, &[vec![key.to_owned()]]);
    }
    check(&document, &keys.map(|key| vec![key.to_owned()]));
    check(r#"{"a\u0000":1,"a":2}"#, &paths(&["a", "a\0"]));
    check(r#"{"abcdefg":1}"#, &paths(&["abcdefg\0"]));
}

#[test]
fn more_paths_than_one_walk_takes_are_all_found() {
    let members: Vec<_> = (0..200).map(|n| format!("\"key{n}\":{{\"x\":{n}}}")).collect();
    let document = format!("{{{}}}", members.join(","));
    check(&document, &(0..210).map(|n| path(&format!("key{n}.x"))).collect::<Vec<_>>());
}

#[test]
fn recorded_events_are_walked_as_by_serde_json() {
    let few = [
        "wiki",
        "meta.domain",
        "type",
        "bot",
        "title",
        "length.old",
        "length.new",
        "timestamp",
        "meta.dt",
        "meta",
        "log_params",
    ];
    for events in recordings::all() {
        for event in &events {
            check(event, &paths(&few));
            check(event, &paths(&["wiki"]));
        }
    }
}

#[test]
#[should_panic(expected = "a place for each of 2 paths")]
fn too_few_places_are_a_defect_of_the_caller() {
    Paths::new(&paths(&["a", "b"])).extract(b"{}", &mut [None]);
}

fn wanted() -> impl Strategy<Value = Vec<Vec<String>>> {
    let keys: Vec<String> = documents::KEYS.iter().map(|key| text(&format!("\"{key}\""))).collect();
    prop::collection::vec(prop::collection::vec(prop::sample::select(keys), 0..4), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_document_is_walked_as_by_serde_json(document in documents::valid(), wanted in wanted()) {
        check(&document, &wanted);
    }

    #[test]
    fn what_is_no_document_ends_all_the_same(document in documents::damaged(), wanted in wanted()) {
        let mut found = vec![None; wanted.len()];
        Paths::new(&wanted).extract(&document, &mut found);
        for raw in found.into_iter().flatten() {
            let _ = (raw.as_str(), raw.as_i64(), raw.as_f64(), raw.unescaped());
        }
        let _ = lakehead_json::compact(&document);
    }

    #[test]
    fn any_string_is_unescaped_as_by_serde_json(document in documents::valid()) {
        for (key, value) in members(&document).into_iter().flatten() {
            let mut found = [None];
            Paths::new(&[vec![key.clone()]]).extract(document.as_bytes(), &mut found);
            let found = found[0].expect("there is such a key");
            prop_assert_eq!(Raw::new(found.bytes()), found);
            if value.starts_with('"') && found.bytes() == value.as_bytes() {
                prop_assert_eq!(found.as_str().map(String::from), Some(text(value)));
                prop_assert_eq!(found.unescaped(), (!value.contains('\\')).then_some(&value[1..value.len() - 1]));
                prop_assert!(found.is_text(&text(value)));
                prop_assert!(!found.is_text(&value[1..]));
            }
        }
    }
}
