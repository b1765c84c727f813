//! Documents for the property tests: any JSON, written in any way, and damaged.

use proptest::prelude::*;

/// A valid document with white space, escapes, equal keys and long strings in it.
pub(crate) fn valid() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        3 => string(),
        1 => prop::sample::select(vec!["true", "false", "null", "[]", "{}", "[ ]", "{\t}"]).prop_map(str::to_owned),
        2 => number(),
    ];
    let value = scalar.prop_recursive(5, 60, 6, |inner| {
        let member =
            (key(), space(), inner.clone(), space()).prop_map(|(key, a, value, b)| format!("{key}{a}:{b}{value}{a}"));
        prop_oneof![
            1 => prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(", "))),
            3 => prop::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",\n"))),
        ]
    });
    (space(), value, space()).prop_map(|(before, value, after)| format!("{before}{value}{after}"))
}

/// A document that was valid until a few of its bytes were changed, taken out or doubled.
pub(crate) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => prop::sample::select(&b"{}[]\",:\\/ \n\t\r01-+.eEutrfnlas\x00\x1f\x7f\x80\xc3\xe2\xff"[..]),
        1 => any::<u8>(),
    ];
    let change = (any::<prop::sample::Index>(), byte, 0_u8..5);
    (valid(), prop::collection::vec(change, 0..4)).prop_map(|(document, changes)| {
        let mut bytes = document.into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len().max(1));
            match how {
                _ if bytes.is_empty() => bytes.push(byte),
                0 => bytes.truncate(at),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                3 => bytes.push(byte),
                _ => bytes[at] = byte,
            }
        }
        bytes
    })
}

/// Keys that are wanted in the tests and keys that resemble them, some with an escape.
pub(crate) fn key() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(KEYS).prop_map(|key| format!("\"{key}\""));
    prop_oneof![6 => plain, 1 => string()]
}

pub(crate) const KEYS: &[&str] = &[
    "a",
    "b",
    "meta",
    "domain",
    "length",
    "old",
    "",
    "bot",
    "bo",
    "bots",
    "b\\u006ft",
    "\\u006deta",
    "eight_by",
    "nine_byte",
    "nine_bytf",
    "nine_\\u0062yte",
    "a_key_that_is_longer_than_twenty_four_bytes",
    "a_key_that_is_longer_than_twenty_four_bytez",
    "\\\"",
    "\\\\",
    "ключ",
    "[",
    "}",
];

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[ -!#-Z^-~]{1,20}",
        1 => "[ -!#-Z^-~]{60,140}",
        2 => prop::sample::select(vec![
            "\\n", "\\\"", "\\\\", "\\/", "\\b\\f\\r\\t", "\\u0041", "\\ud83d\\ude00", "\\uD800", "\\uDc00", "\\u0000",
            "{", "}", "[", "]", ":", ",", "é", "‎", "😀", "\u{7f}", "\\ud83d\\n", "\\ud83d\\u0041",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "0",
        "-0",
        "-0.0",
        "1e5",
        "1E+5",
        "-1.25e-7",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "123456789012345678901234567890",
        "1.0",
        "1e999",
        "0.1e1",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), any::<i64>().prop_map(|n| n.to_string()), "-?[1-9][0-9]{0,20}"]
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![8 => Just(String::new()), 1 => "[ \n\r\t]{1,5}"]
}
