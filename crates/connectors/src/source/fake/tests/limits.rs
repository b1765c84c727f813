//! What cannot be is refused in one line that names the key, and what is just within a limit works.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use lakehead_connector_api::SourceSpec;
use serde_json::{Value, json};

use super::{super::Fake, events};

fn refused(settings: &Value) -> String {
    let said = (SourceSpec::of::<Fake>().check)(settings).expect_err(&format!("it cannot work: {settings}"));
    assert!(!said.contains('\n') && said.len() < 1_500, "one line: {said}");
    said
}

fn of(x: Value) -> Value {
    json!({ "fields": { "x": x } })
}

/// A value that lies `deep` deep.
fn nested(deep: usize) -> Value {
    (1..deep).fold(json!({ "int": [0, 1] }), |within, _| json!({ "object": { "y": within } }))
}

#[test]
fn what_cannot_work_is_named() {
    let many: BTreeMap<String, _> = (0..1_001).map(|n| (format!("f{n}"), json!({ "int": [0, 1] }))).collect();
    let choices: Vec<u32> = (0..10_001).collect();
    for (settings, what) in [
        (json!({ "rate": 0, "template": "people" }), "rate: expected more than 0"),
        (json!({ "rate": 100_001, "template": "people" }), "at most 100000 events a second, found 100001"),
        (
            json!({}),
            "fields: expected what an event has, as in { face = { int = [1, 6] } }, or `template`, found neither",
        ),
        (json!({ "fields": {} }), "found neither"),
        (
            json!({ "template": "person" }),
            "`template`: unknown variant `person`, expected one of `people`, `weather`, `recentchange`",
        ),
        (
            json!({ "template": "people", "start": "yesterday" }),
            "start: expected a time of the years 1678 to 2261, as in",
        ),
        (json!({ "template": "people", "start": "9999-01-01T00:00:00Z" }), "start: expected a time"),
        (json!({ "template": "people", "event_time": "year" }), "`fields.year`: this key has the time of the event"),
        (json!({ "fields": many }), "fields: expected at most 1000 fields, found 1001"),
        (
            of(json!({ "array": { "length": [1, 1], "of": { "object": many } } })),
            "fields: expected at most 1000 fields, found 1003, those within",
        ),
        (of(json!("nam")), "`fields.x`: unknown variant `nam`, expected one of `int`, `float`"),
        (
            of(json!({ "int": [6, 1] })),
            "`fields.x`: in int, expected the lesser number first, as in [1, 6], found [6, 1]",
        ),
        (of(json!({ "object": { "y": { "int": [2, 1] } } })), "`fields.x.object.y`: in int, expected the lesser"),
        (of(json!({ "object": { "y": { "ints": [2, 1] } } })), "`fields.x.object.y`: unknown variant `ints`"),
        (of(json!({ "choice": choices })), "`fields.x`: in choice, expected 1 to 10000 values, found 10001"),
        (
            of(json!({ "choice": ["é".repeat(1_000)] })),
            "in choice, expected values of at most 1024 bytes as JSON, found \"é",
        ),
        (of(json!({ "weighted": [] })), "in weighted, expected 1 to 10000 values, found 0"),
        (of(json!({ "weighted": [["a", 0]] })), "in weighted, expected a weight above 0"),
        (of(json!({ "weighted": [["a", -1]] })), "`fields.x.weighted[0][1]`: invalid value: integer `-1`"),
        (of(json!({ "one_of": [] })), "in one_of, expected 1 to 10000 generators"),
        (
            of(json!({ "one_of": [["name", 1], [{ "choice": [] }, 1]] })),
            "`fields.x.one_of[1]`: in choice, expected 1 to",
        ),
        (of(json!({ "normal": { "mean": 0, "deviation": -1 } })), "in normal.deviation, expected 0 or more, found -1"),
        (
            of(json!({ "normal": { "mean": 1e300, "deviation": 1 } })),
            "in normal.mean, expected a number from -1e15 to 1e15",
        ),
        (
            of(json!({ "normal": { "mean": 0, "deviation": 1, "decimals": 10 } })),
            "in normal.decimals, expected 0 to 9, found 10",
        ),
        (of(json!({ "normal": { "mean": 0 } })), "`fields.x.normal`: missing field `deviation`"),
        (of(json!({ "zipf": {} })), "in zipf, expected either `count` or `choice`"),
        (of(json!({ "zipf": { "count": 1, "choice": [1] } })), "in zipf, expected either"),
        (of(json!({ "zipf": { "count": 0 } })), "in zipf.count, expected 1 to 100000, found 0"),
        (of(json!({ "zipf": { "count": 9, "exponent": 21 } })), "in zipf.exponent, expected 0 to 20, found 21"),
        (
            of(json!({ "walk": { "min": 1, "max": 1, "step": 1 } })),
            "in walk, expected `min` below `max`, found 1 and 1",
        ),
        (of(json!({ "walk": { "min": 0, "max": 1, "step": 0 } })), "in walk.step, expected 0.000001 to 1, found 0"),
        (of(json!({ "walk": { "min": 0, "max": 1, "step": 2 } })), "in walk.step, expected 0.000001 to 1, found 2"),
        (of(json!({ "text": [3, 2] })), "in text, expected the lesser number first and at most 1000"),
        (
            of(json!({ "array": { "of": "word", "length": [0, 1_001] } })),
            "in array.length, expected the lesser number first and at most 1000",
        ),
        (of(json!({ "date_time": { "from": "2026-01-01" } })), "in date_time.from, expected a time"),
        (
            of(json!({ "date_time": { "from": "2026-01-01T00:00:00Z" } })),
            "in date_time, expected `from` before `to`, found 2026-01-01T00:00:00Z and 2026",
        ),
        (
            of(json!({ "now": { "format": "unix" } })),
            "`fields.x.now.format`: unknown variant `unix`, expected one of `rfc3339`",
        ),
        (of(json!({ "now": { "floor": "1 fortnight" } })), "is not a span of time"),
        (
            of(json!({ "join": [{ "constant": "a" }, { "object": {} }] })),
            "in join, expected texts, numbers and booleans, found an object, an array or null at 1",
        ),
        (of(json!({ "join": [{ "one_of": [[{ "constant": null }, 1]] }] })), "in join, expected texts"),
        (
            of(json!({ "shared": { "draw": "d".repeat(300), "of": "name" } })),
            "in shared.draw, expected at most 256 bytes, found 300",
        ),
        (
            of(nested(9)),
            "`fields.x.object.y.object.y.object.y.object.y.object.y.object.y.object.y.object.y`: expected values at most 8 deep, found one at 9",
        ),
        (
            of(json!({ "constant": "c".repeat(2 << 20) })),
            "fields: expected events of at most 1048576 bytes, found that one may have 2097",
        ),
        (
            of(
                json!({ "array": { "length": [0, 1_000], "of": { "array": { "length": [0, 1_000], "of": { "join": [] } } } } }),
            ),
            "fields: expected events of at most 1048576 bytes",
        ),
    ] {
        let said = refused(&settings);
        assert!(said.contains(what), "{said}\n  lacks {what}");
    }
}

#[test]
fn hostile_settings_are_refused_and_cost_nothing() {
    let began = Instant::now();
    let deep = |levels: usize, key: &str| {
        (0..levels)
            .fold(json!("name"), |within, _| json!({ key: { "of": within, "length": [1_000, 1_000], "draw": "d" } }))
    };
    for settings in [
        of(nested(100)),
        of(deep(100, "array")),
        of((0..100).fold(json!("name"), |within, _| json!({ "join": [within] }))),
        of((0..100).fold(json!("name"), |within, _| json!({ "one_of": [[within, 1]] }))),
        of(
            json!({ "array": { "length": [0, 1_000], "of": { "array": { "length": [0, 1_000], "of": { "array": { "length": [0, 1_000], "of": "uuid" } } } } } }),
        ),
        json!({ "fields": (0..900).map(|n| (format!("f{n}"), json!({ "zipf": { "count": 100_000 } }))).collect::<BTreeMap<_, _>>() }),
        json!({ "fields": { "x\u{0}\n\"".repeat(100): "name" } }),
        json!({ "fields": ["name"] }),
        json!({ "fields": { "x": null } }),
        json!({ "fields": { "x": { "int": [0.5, 1] } } }),
        json!({ "fields": { "x": { "int": [0, u64::MAX] } } }),
        json!({ "fields": { "x": { "object": { "x": "name" }, "array": 1 } } }),
    ] {
        refused(&settings);
    }
    assert!(began.elapsed() < Duration::from_secs(60), "a hang is noticed");
}

#[test]
fn what_is_just_within_the_limits_works() {
    let choices: Vec<u32> = (0..10_000).collect();
    let fields: BTreeMap<String, _> = (0..995).map(|n| (format!("f{n}"), json!("name"))).collect();
    for (settings, bytes) in [
        (json!({ "fields": fields }), 20_000),
        (of(nested(8)), 20),
        (of(json!({ "choice": choices })), 7),
        (of(json!({ "array": { "length": [1_000, 1_000], "of": { "text": [40, 40] } } })), 100_000),
        (of(json!({ "constant": "c".repeat(1 << 20).split_at(100).1 })), (1 << 20) - 100),
        (of(json!({ "zipf": { "count": 100_000, "exponent": 20 } })), 8),
        (of(json!({ "walk": { "min": -1e15, "max": 1e15, "step": 2e9, "decimals": 9 } })), 8),
        (json!({ "event_time": "", "fields": { "": { "constant": {} }, "\"": "word" } }), 8),
        (
            json!({ "start": "2261-12-31T23:59:59Z", "rate": 1e-300, "fields": { "t": { "now": { "plus": "9999999999d" } } } }),
            8,
        ),
    ] {
        (SourceSpec::of::<Fake>().check)(&settings).unwrap_or_else(|error| panic!("{error}"));
        for event in events(settings, [0, 1, 1 << 40, u64::MAX].into_iter()) {
            assert!(event.len() >= bytes && event.len() <= 1 << 20, "{} of {bytes}", event.len());
            serde_json::from_slice::<Value>(&event)
                .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&event)));
        }
    }
}

#[test]
fn no_event_has_more_bytes_than_was_foretold() {
    for template in ["people", "weather", "recentchange"] {
        let settings = json!({ "template": template, "event_time": "made", "seed": 2 });
        let foretold = super::generator(settings.clone()).bytes_max();
        let greatest = events(settings, 0..3_000).iter().map(Vec::len).max().expect("events") as u64;
        assert!(greatest <= foretold && foretold < 10 * greatest, "{template}: {greatest} of {foretold}");
    }
}
