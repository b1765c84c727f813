//! What is a document and what is not, and how it is said.

mod documents;

use lakehead_json::{NESTING_MAX, compact, validate};
use lakehead_model::Kind;
use lakehead_testkit::recordings;
use proptest::prelude::*;
use serde::de::IgnoredAny;

/// Whether `document` is JSON by serde_json, which knows no limit of nesting when it only skips, and by our limit.
fn oracle(document: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(document) else { return false };
    serde_json::from_str::<IgnoredAny>(text).is_ok() && nesting(document) <= NESTING_MAX
}

fn nesting(document: &[u8]) -> u32 {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_u32, 0, false, false);
    for byte in document {
        match (in_string, byte) {
            _ if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[test]
fn what_is_no_document_is_told_where_and_why() {
    for (document, message) in [
        ("", "expected a value, found the end at byte 0"),
        (" \n", "expected a value, found the end at byte 2"),
        ("{", "expected '\"' or '}', found the end at byte 1"),
        ("[", "expected a value, found the end at byte 1"),
        ("[1,]", "expected a value, found ']' at byte 3"),
        ("[1 2]", "expected ',' or ']', found '2' at byte 3"),
        ("{\"a\":1,}", "expected '\"', found '}' at byte 7"),
        ("{\"a\" 1}", "expected ':', found '1' at byte 5"),
        ("{\"a\":1 \"b\":2}", "expected ',' or '}', found '\"' at byte 7"),
        ("{a:1}", "expected '\"' or '}', found 'a' at byte 1"),
        ("{\"a\":1]", "expected ',' or '}', found ']' at byte 6"),
        ("1 2", "expected the end of the document, found '2' at byte 2"),
        ("{}\0", "expected the end of the document, found byte 0x00 at byte 2"),
        ("01", "expected the end of the document, found '1' at byte 1"),
        ("-", "expected a digit, found the end at byte 1"),
        ("+1", "expected a value, found '+' at byte 0"),
        ("1.", "expected a digit, found the end at byte 2"),
        (".5", "expected a value, found '.' at byte 0"),
        ("1e+", "expected a digit, found the end at byte 3"),
        ("NaN", "expected a value, found 'NaN' at byte 0; a text stands in double quotes"),
        ("not json", "expected a value, found 'not' at byte 0; a text stands in double quotes"),
        ("{\"a\":Jürgen}", "expected a value, found 'Jürgen' at byte 5; a text stands in double quotes"),
        ("[nil,1]", "expected a value, found 'nil' at byte 1; a text stands in double quotes"),
        (
            "[abcdefghijklmnopqrstuvwxyz]",
            "expected a value, found 'abcdefghijklmnopqrst…' at byte 1; a text stands in double quotes",
        ),
        ("nul", "expected null, found the end at byte 3"),
        ("truE", "expected a value, found 'truE' at byte 0; a text stands in double quotes"),
        ("\"a", "expected '\"', found the end at byte 2"),
        ("\"a\nb\"", "expected an escape for a control character, found byte 0x0a at byte 2"),
        ("\"0123456789\tabcdefghi\"", "expected an escape for a control character, found byte 0x09 at byte 11"),
        ("\"\\x\"", "expected one of \"\\/bfnrtu after a backslash, found 'x' at byte 2"),
        ("\"\\u12g4\"", "expected a hexadecimal digit, found 'g' at byte 5"),
        ("'a'", "expected a value, found ''' at byte 0"),
        ("\u{feff}{}", "expected a value, found byte 0xef at byte 0"),
        ("{} // no", "expected the end of the document, found '/' at byte 3"),
    ] {
        let error = validate(document.as_bytes()).expect_err(document);
        assert_eq!(error.to_string(), message, "{document:?}");
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(!oracle(document.as_bytes()), "{document:?}");
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_found() {
    for (document, at) in [
        (&b"{\"a\":\"\xff\"}"[..], 6),
        (b"\"\xc3\"", 1),
        (b"\"\xed\xa0\x80\"", 1),
        (b"\"\xc0\xaf\"", 1),
        (b"[1]\x80", 3),
    ] {
        let error = validate(document).expect_err("not UTF-8");
        assert_eq!((error.at, error.expected), (at, "UTF-8 text"));
    }
}

#[test]
fn what_the_grammar_allows_is_a_document() {
    for document in [
        "0",
        "-0",
        "-0.0e-0",
        "1e5",
        "1E+05",
        "123456789012345678901234567890.5",
        "1e999",
        "\"\"",
        " true ",
        "null\n",
        "\"\\ud800\"",
        "\"\\uDFFF \\ud83d\\ude00\"",
        "\"\u{7f}\u{2028}😀\"",
        "[[],{}]",
        "{\"\":{\"\":[]},\"\":1}",
        "\r\n\t [ 1 , 2 ] ",
    ] {
        assert_eq!(validate(document.as_bytes()), Ok(()), "{document}");
        assert!(oracle(document.as_bytes()), "{document}");
    }
}

#[test]
fn nesting_is_bounded_where_every_reader_can_follow() {
    let limit = usize::try_from(NESTING_MAX).expect("small");
    for depth in [1, 2, 63, 64, 65, limit] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let document = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(validate(document.as_bytes()), Ok(()));
            assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
            let unclosed = format!("{}1{}", open.repeat(depth), close.repeat(depth - 1));
            assert!(validate(unclosed.as_bytes()).is_err());
        }
    }
    for depth in [limit + 1, 100_000] {
        let error = validate("[".repeat(depth).as_bytes()).expect_err("too deep");
        assert_eq!(error.to_string(), "expected at most 127 levels of nesting, found '[' at byte 127");
        let closed = "[".repeat(depth) + &"]".repeat(depth);
        assert!(serde_json::from_str::<serde_json::Value>(&closed).is_err());
    }
}

#[test]
fn recorded_events_are_documents_and_cut_ones_are_not() {
    for events in recordings::all() {
        for event in &events {
            assert_eq!(validate(event.as_bytes()), Ok(()), "{event}");
            assert_eq!(validate(&event.as_bytes()[..event.len() - 1]).map_err(|error| error.found), Err(None));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn damaged_documents_are_judged_as_by_serde_json(document in documents::damaged()) {
        let judged = validate(&document);
        prop_assert_eq!(judged.is_ok(), oracle(&document), "{:?} {}", judged, String::from_utf8_lossy(&document));
        if let Err(error) = judged {
            prop_assert!(error.at <= document.len());
            prop_assert_eq!(error.found, document.get(error.at).copied());
        }
    }

    #[test]
    fn an_error_is_where_the_document_stops_to_be_the_head_of_one(document in documents::damaged()) {
        if let Err(error) = validate(&document) && error.found.is_some() && error.expected != "UTF-8 text" {
            // Up to there it could have gone on: what is wrong with the head alone is only that it ends.
            let head = validate(&document[..error.at]);
            prop_assert!(head.is_ok() || head.is_err_and(|head| head.found.is_none()));
        }
    }

    #[test]
    fn compact_documents_say_the_same_on_one_line(document in documents::valid()) {
        let compacted = compact(document.as_bytes());
        prop_assert!(!compacted.contains(&b'\n'));
        prop_assert_eq!(validate(&compacted), Ok(()));
        prop_assert_eq!(compact(&compacted), &compacted[..]);
        let text = String::from_utf8(compacted).expect("UTF-8");
        let without_space = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        prop_assert_eq!(without_space(&text), without_space(&document));
    }
}
