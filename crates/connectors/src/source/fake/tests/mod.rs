//! The suite of sources, the values, the limits, the pace.

mod changes;
mod examples;
mod generators;
mod golden;
mod limits;
mod templates;

use std::collections::BTreeMap;

use lakehead_connector_api::SourceSpec;
use lakehead_model::{Name, StreamSchema, Timestamp};
use lakehead_testkit::{ManualClock, VecTail, conformance};
use serde_json::json;

use super::*;

fn settings(count: u64) -> serde_json::Value {
    json!({
        "rate": 100_000, "count": count, "seed": 7, "event_time": "",
        "fields": { "face": { "int": [1, 6] }, "n": { "sequence": 0 }, "of": { "choice": ["a", true, 2.5] }, "x": { "float": [0, 1] } },
    })
}

fn generator(settings: serde_json::Value) -> Generator {
    let config: Config = serde_json::from_value(settings).expect("settings");
    config.check().expect("settings that can work");
    config.generator()
}

fn events(settings: serde_json::Value, numbers: impl Iterator<Item = u64>) -> Vec<Vec<u8>> {
    let generator = generator(settings);
    let one = |n| {
        let mut event = Vec::new();
        generator.write(n, Timestamp(0), &mut event);
        event
    };
    numbers.map(one).collect()
}

#[tokio::test]
async fn keeps_the_source_contract() {
    let (every, now) = (500, Timestamp::from_seconds(1_800_000_000));
    let expected = events(settings(every), 0..every);
    conformance::source_that_ends::<Fake, _>(|| async { settings(every) }, now, &expected).await;
}

#[tokio::test]
async fn keeps_it_with_several_streams() {
    let (every, now) = (200, Timestamp::from_seconds(1_800_000_000));
    let of = |place: u64| events(settings(every), (0..every).filter(move |n| n % 3 == place));
    let expected = [("a", of(0)), ("b", of(1)), ("c", of(2))];
    conformance::source_of_streams::<Fake, _>(|| async { settings(every) }, now, &expected, true).await;
}

#[test]
fn an_event_has_its_fields_in_order_and_its_time_in_front() {
    let fields = json!({ "fields": { "b": { "int": [3, 3] }, "a": { "sequence": 5 } } });
    let mut event = Vec::new();
    generator(fields).write(2, Timestamp(0), &mut event);
    assert_eq!(String::from_utf8(event).expect("text"), r#"{"dt":"1970-01-01T00:00:00Z","a":7,"b":3}"#);
}

#[test]
fn values_are_within_their_range_and_each_comes() {
    let fields = json!({ "fields": {
        "die": { "int": [1, 6] }, "all": { "int": [i64::MIN, i64::MAX] }, "x": { "float": [-2, 3] }, "of": { "choice": [false, "a\"b"] }
    } });
    let (mut faces, mut choices, mut sum) = (BTreeMap::new(), BTreeMap::new(), 0.0);
    for event in events(fields, 0..6_000) {
        let event: serde_json::Value = serde_json::from_slice(&event).expect("JSON");
        *faces.entry(event["die"].as_i64().expect("a number")).or_insert(0) += 1;
        *choices.entry(event["of"].to_string()).or_insert(0) += 1;
        assert!(event["all"].is_i64());
        let x = event["x"].as_f64().expect("a number");
        assert!((-2.0..3.0).contains(&x), "{x}");
        sum += x;
    }
    assert_eq!(faces.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(faces.values().all(|count| (850..1_150).contains(count)), "{faces:?}");
    assert!(choices.len() == 2 && choices.values().all(|count| (2_800..3_200).contains(count)), "{choices:?}");
    assert!((0.4..0.6).contains(&(sum / 6_000.0)), "the mean of [-2, 3): {}", sum / 6_000.0);
}

#[test]
fn the_seed_changes_values_and_another_field_does_not() {
    let of = |seed: u64, more: bool| {
        let mut settings = json!({ "seed": seed, "event_time": "", "fields": { "x": { "int": [0, 1_000_000] } } });
        if more {
            settings["fields"]["y"] = json!({ "int": [0, 9] });
        }
        let x = |event: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(event).expect("JSON")["x"].clone();
        events(settings, 0..50).iter().map(x).collect::<Vec<_>>()
    };
    assert_eq!(of(1, false), of(1, true));
    assert!(of(1, false).iter().zip(of(2, false)).filter(|(a, b)| *a == b).count() < 5);
}

#[test]
fn the_first_event_is_what_it_always_was() {
    // A cursor of last year's version must go on with the same values.
    let first = &events(settings(1), 0..1)[0];
    assert_eq!(String::from_utf8_lossy(first), r#"{"face":2,"n":0,"of":2.5,"x":0.9357842045878463}"#);
}

#[test]
fn what_cannot_work_is_named() {
    let check = |mut settings: serde_json::Value| {
        if settings.get("fields").is_none() {
            settings["fields"] = json!({ "x": { "int": [1, 6] } });
        }
        (SourceSpec::of::<Fake>().check)(&settings).expect_err("it cannot work")
    };
    let many: BTreeMap<String, _> = (0..1_001).map(|n| (format!("f{n}"), json!({ "int": [0, 1] }))).collect();
    for (settings, what) in [
        (json!({ "rate": 0 }), "rate: expected more than 0"),
        (json!({ "rate": 100_001 }), "at most 100000 events a second, found 100001"),
        (json!({ "fields": many }), "fields: expected at most 1000 fields, found 1001"),
        (
            json!({ "fields": { "x": { "int": [6, 1] } } }),
            "`fields.x`: in int, expected the lesser number first, as in [1, 6], found [6, 1]",
        ),
        (json!({ "fields": { "x": { "float": [1, 1] } } }), "`fields.x`: in float, expected the lesser number first"),
        (json!({ "fields": { "x": { "choice": [] } } }), "`fields.x`: in choice, expected 1 to 10000 values, found 0"),
        (
            json!({ "fields": { "x": { "choice": ["a".repeat(2_000)] } } }),
            "`fields.x`: in choice, expected values of at most 1024 bytes",
        ),
        (json!({ "fields": { "dt": { "int": [0, 1] } } }), "`fields.dt`: this key has the time of the event"),
        (json!({ "fields": { "x".repeat(300): { "int": [0, 1] } } }), "fields: expected names of at most 256 bytes"),
        (json!({ "fields": { "x": { "ints": [0, 1] } } }), "`fields.x`: unknown variant `ints`, expected one of `int`"),
        (json!({ "fields": { "x": { "int": [0, 1, 2] } } }), "`fields.x.int`"),
        (json!({ "colour": 1 }), "unknown field `colour`"),
    ] {
        let said = check(settings.clone());
        assert!(said.contains(what), "{settings}: {said}");
    }
}

async fn opened(settings: serde_json::Value, cursors: &[Option<&str>]) -> Result<Opened, Error> {
    let stream = |(place, cursor): (usize, &Option<&str>)| StreamResume {
        stream: Name::new(&format!("s{place}")).expect("a name"),
        cursor: cursor.map(|position| Cursor { position: position.into(), progress: None }),
        event_time: StreamSchema::builtin("json").unwrap_or_default().event_time,
        tail: Box::new(VecTail::default()),
    };
    let streams = cursors.iter().enumerate().map(stream).collect();
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    (SourceSpec::of::<Fake>().open)(settings, Resume { name: "f".to_owned(), streams, clock }).await
}

#[tokio::test]
async fn a_cursor_that_is_none_of_its_own_is_refused() {
    let error = opened(settings(9), &[Some("[{\"topic\":1}]")]).await.err().expect("it cannot go on from there");
    assert!(matches!(&error, Error::Corrupt(what) if what.contains("stream s0")), "{error}");
}

#[tokio::test]
async fn a_stream_that_was_added_catches_up_before_the_others_go_on() {
    let mut opened = opened(settings(12), &[Some("8"), None]).await.expect("it opens");
    let mut got = vec![Vec::new(), Vec::new()];
    while let Some(chunk) = opened.reader.next().await.expect("no error") {
        for event in chunk.events.events() {
            let event: serde_json::Value = serde_json::from_slice(event).expect("JSON");
            got[chunk.to.0].push(event["n"].as_u64().expect("a number"));
        }
    }
    assert_eq!(got, [vec![8, 10], vec![1, 3, 5, 7, 9, 11]]);
}
