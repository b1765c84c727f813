//! Rows by hand, of each layout: types, what is empty, what is escaped, what is refused.

use lakehead_json::check_event;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A row of this layout with these values; all else is empty but what every row has.
fn row(columns: usize, values: &[(&str, &str)]) -> String {
    let usual = [
        ("wiki_db", "dewiki"),
        ("event_entity", "revision"),
        ("event_type", "create"),
        ("event_timestamp", "2001-01-15 19:27:13.0"),
    ];
    let of = |name: &str| values.iter().chain(&usual).find(|(key, _)| *key == name).map_or("", |(_, value)| value);
    let layout = mediawiki_history::layout(columns).expect("a layout");
    layout.map(|column| of(column.name)).collect::<Vec<_>>().join("\t")
}

fn event(row: &[u8]) -> Result<String, String> {
    let mut into = Vec::new();
    event_of_row(row, &mut into).map_err(|refusal| refusal.to_string())?;
    check_event(&into).unwrap_or_else(|refusal| panic!("{refusal}: {}", String::from_utf8_lossy(&into)));
    assert!(!into.contains(&b'\n'));
    Ok(String::from_utf8(into).expect("text"))
}

fn value_of(event: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(event).expect("JSON")[name].clone()
}

#[test]
fn a_row_becomes_an_object_of_the_columns_that_are_not_empty_in_their_order() {
    let values = [
        ("event_comment", "new page"),
        ("event_user_id", "17"),
        ("event_user_groups", "sysop,bot"),
        ("event_user_is_anonymous", "false"),
        ("page_id", "908493298"),
        ("page_title", "Ägypten"),
        ("page_namespace", "0"),
        ("page_creation_timestamp", "2001-01-15 19:27:13.25"),
        ("revision_text_bytes_diff", "-26"),
        ("revision_tags", "mobile edit"),
    ];
    let expected = r#"{"wiki_db":"dewiki","event_entity":"revision","event_type":"create","event_timestamp":"2001-01-15T19:27:13Z","event_comment":"new page","event_user_id":17,"event_user_groups":["sysop","bot"],"event_user_is_anonymous":false,"page_id":908493298,"page_title":"Ägypten","page_namespace":0,"page_creation_timestamp":"2001-01-15T19:27:13.25Z","revision_text_bytes_diff":-26,"revision_tags":["mobile edit"]}"#;
    for columns in LAYOUTS {
        assert_eq!(event(row(columns, &values).as_bytes()).expect("an event"), expected, "{columns}");
    }
}

#[test]
fn columns_of_a_newer_layout_stand_between_those_of_an_older_one() {
    let values =
        [("event_log_id", "5"), ("event_user_central_id", "6"), ("user_is_temporary", "true"), ("page_id", "7")];
    let has = |columns: usize| {
        let event = event(row(columns, &values).as_bytes()).expect("an event");
        assert_eq!(value_of(&event, "page_id"), 7);
        ["event_log_id", "event_user_central_id", "user_is_temporary"].map(|name| !value_of(&event, name).is_null())
    };
    assert_eq!(LAYOUTS.map(has), [[false; 3], [false, false, true], [false, true, true], [true; 3]]);
}

#[test]
fn every_column_is_read_by_its_type() {
    let values: Vec<(&str, &str)> = mediawiki_history::COLUMNS
        .iter()
        .map(|column| {
            let written = match column.value {
                HistoryValue::Text => "a text",
                HistoryValue::List => "a,b",
                HistoryValue::Whole => "-9223372036854775808",
                HistoryValue::Truth => "true",
                HistoryValue::Time => "2026-11-30 23:59:59.999",
            };
            (column.name, written)
        })
        .collect();
    let event = event(row(78, &values).as_bytes()).expect("an event");
    for column in mediawiki_history::COLUMNS {
        let expected = match column.value {
            HistoryValue::Text => json!("a text"),
            HistoryValue::List => json!(["a", "b"]),
            HistoryValue::Whole => json!(i64::MIN),
            HistoryValue::Truth => json!(true),
            HistoryValue::Time => json!("2026-11-30T23:59:59.999Z"),
        };
        assert_eq!(value_of(&event, column.name), expected, "{}", column.name);
    }
}

#[test]
fn what_is_escaped_is_itself_again() {
    for (name, written, expected) in [
        ("event_comment", r"a\tb\nc\rd", json!("a\tb\nc\rd")),
        ("event_comment", r"C:\dir \\ \x \", json!(r"C:\dir \\ \x \")),
        ("event_comment", r#""quoted", \, comma"#, json!(r#""quoted", \, comma"#)),
        ("event_user_blocks", r"one\, two,three", json!(["one, two", "three"])),
        ("event_user_blocks", r"a,,\t,\", json!(["a", "", "\t", "\\"])),
        ("event_user_blocks", ",", json!(["", ""])),
        ("page_title", "\u{0}\u{1f}\u{2028}😀", json!("\u{0}\u{1f}\u{2028}😀")),
    ] {
        let event = event(row(74, &[(name, written)]).as_bytes()).expect("an event");
        assert_eq!(value_of(&event, name), expected, "{written}");
    }
}

#[test]
fn a_row_that_is_none_is_refused_with_what_was_expected_and_found() {
    for (row, what) in [
        ("dewiki".to_owned(), "a row of a MediaWiki history dump has 70, 74, 76 or 78 columns, this one has 1"),
        ("\t".repeat(70), "has 70, 74, 76 or 78 columns, this one has 71"),
        ("\t".repeat(100_000), "this one has 100001"),
        ("\t".repeat(77), "wiki_db is empty, and every row of a MediaWiki history dump has one"),
        (row(70, &[("event_timestamp", "")]), "event_timestamp is empty"),
        (row(70, &[("page_id", "1.5")]), "page_id: expected a whole number of 64 bits, found \"1.5\""),
        (row(70, &[("page_id", "9223372036854775808")]), "page_id: expected a whole number"),
        (row(70, &[("page_is_deleted", "True")]), "page_is_deleted: expected true or false, found \"True\""),
        (row(70, &[("page_id", "null")]), "page_id: expected a whole number of 64 bits, found \"null\""),
        (
            row(70, &[("event_timestamp", "20010115192713")]),
            "event_timestamp: expected a time as in 2001-01-15 19:27:13.0",
        ),
        (row(70, &[("event_timestamp", "2001-13-15 19:27:13.0")]), "event_timestamp: expected a time"),
        (row(70, &[("event_timestamp", "2001-01-15 24:27:13.0")]), "event_timestamp: expected a time"),
        (row(70, &[("event_timestamp", "2001-01-15 19:27:13.")]), "event_timestamp: expected a time"),
        (row(70, &[("event_timestamp", "2001-01-15 19:27:é3.0")]), "event_timestamp: expected a time"),
        (row(70, &[("event_timestamp", "2001-01-15 19:27:13.0000000000")]), "event_timestamp: expected a time"),
        (row(70, &[("page_id", &"é".repeat(1_000))]), "found \"éééééééééééééééééééééééééééééééééééééééé\""),
    ] {
        let said = event(row.as_bytes()).expect_err("refused");
        assert!(said.contains(what) && !said.contains('\n') && said.len() < 250, "{said}\n  lacks {what}");
    }
    let said = event(&[row(70, &[]).as_bytes(), b"\xff"].concat()).expect_err("refused");
    assert!(said.contains("the row is not UTF-8 from its byte "), "{said}");
    let said = event(row(70, &[("event_comment", &"\u{1}".repeat(1 << 20))]).as_bytes()).expect_err("refused");
    assert!(said.starts_with("the row's event has 62") && said.ends_with("at most 4 MiB are taken"), "{said}");
}

#[test]
fn a_row_of_a_layout_is_never_taken_for_one_of_another() {
    let full: Vec<(&str, &str)> = mediawiki_history::COLUMNS
        .iter()
        .map(|column| match column.value {
            HistoryValue::Text | HistoryValue::List => (column.name, "x"),
            HistoryValue::Whole => (column.name, "1"),
            HistoryValue::Truth => (column.name, "true"),
            HistoryValue::Time => (column.name, "2001-01-15 19:27:13.0"),
        })
        .collect();
    let row = row(78, &full);
    let columns: Vec<&str> = row.split('\t').collect();
    for kept in [70, 74, 76] {
        for lost in 0..=columns.len() - (78 - kept) {
            let rest = [&columns[..lost], &columns[lost + 78 - kept..]].concat().join("\t");
            let same = kept == 76 && event(rest.as_bytes()).is_ok();
            assert!(event(rest.as_bytes()).is_err() || same, "{kept} columns, without those from {lost} on");
        }
    }
}

/// What the dumper writes: `escape` and `formatArray` of MediawikiEvent.scala.
fn escaped(text: &str) -> String {
    text.replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

proptest! {
    #[test]
    fn what_the_dumper_escapes_is_read_back(comment in "[^\\\\]{1,40}", items in prop::collection::vec("[^\\\\]{1,9}", 1..5)) {
        let list = escaped(&items.iter().map(|item| item.replace(',', "\\,")).collect::<Vec<_>>().join(","));
        let row = row(78, &[("event_comment", &escaped(&comment)), ("revision_tags", &list)]);
        let event = event(row.as_bytes()).expect("an event");
        prop_assert_eq!(value_of(&event, "event_comment"), json!(comment));
        prop_assert_eq!(value_of(&event, "revision_tags"), json!(items));
    }

    #[test]
    fn no_row_panics_and_what_is_taken_is_json(cells in prop::collection::vec("(|true|false|-?[0-9]{1,20}|[0-9]{4}-0[0-9]-1[0-9] [0-2][0-9]:00:00(\\.[0-9]{0,10})?|\\PC{0,6}|\\\\[tnr,x])", 70..79)) {
        drop(event(cells.join("\t").as_bytes()));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), tabs in 0_usize..80) {
        drop(event(&[bytes, vec![b'\t'; tabs]].concat()));
    }
}
