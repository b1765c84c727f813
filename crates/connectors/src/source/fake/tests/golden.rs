//! What each template makes, event by event, is known: a change of it, here or in the crate `fake`, is noticed and told.
//!
//! Where a test of this file fails the events of a running pipeline are others from its next start on: say so in the changelog,
//! and put in the new numbers.

use serde_json::json;

use super::{super::draws::hash, events};

/// The checksum of the first 1,000 events.
fn checksum(settings: serde_json::Value) -> u64 {
    let all: Vec<u8> = events(settings, 0..1_000).join(&b'\n');
    hash(&all)
}

#[test]
fn the_first_thousand_events_of_each_template_are_what_they_always_were() {
    let of = |template: &str| {
        checksum(json!({ "template": template, "seed": 1, "rate": 10, "start": "2026-01-01T00:00:00Z" }))
    };
    let found = ["people", "weather", "recentchange"].map(of);
    assert_eq!(found, [18_370_489_944_332_741_789, 14_017_970_388_881_525_687, 12_252_217_338_648_612_775]);
}

#[test]
fn the_first_thousand_events_of_every_generator_are_what_they_always_were() {
    let fields = json!({
        "a": { "int": [-5, 5] }, "b": { "float": [0, 1] }, "c": { "choice": [1, "x", true, 0.5] }, "d": { "sequence": 7 },
        "e": { "weighted": [["x", 3], ["y", 1]] }, "f": { "one_of": [["word", 1], [{ "int": [0, 9] }, 2]] },
        "g": { "normal": { "mean": 5, "deviation": 2 } }, "h": { "zipf": { "count": 1_000, "exponent": 1.1 } },
        "i": { "walk": { "min": 0, "max": 10, "step": 0.5 } }, "j": { "constant": [null, { "k": 1 }] }, "k": { "text": [0, 5] },
        "l": { "date_time": {} }, "m": { "now": { "format": "unix_ms" } }, "n": { "object": { "x": "city", "y": "boolean" } },
        "o": { "array": { "of": { "int": [0, 9] }, "length": [0, 3] } }, "p": { "join": ["first_name", { "constant": "-" }, "year"] },
        "q": { "shared": { "draw": "a", "of": { "int": [0, 10] } } }, "r": "username", "s": "state", "t": "street",
        "u": "country_code", "v": "postcode", "w": "ipv4", "x": "sentence", "y": "last_name",
    });
    let found = checksum(json!({ "fields": fields, "seed": 1, "start": "2026-01-01T00:00:00Z" }));
    assert_eq!(found, 17_174_564_680_360_499_261);
}

#[test]
fn the_first_person_is_who_it_always_was() {
    let settings = json!({ "template": "people", "seed": 1 });
    let first = String::from_utf8(events(settings, 0..1).remove(0)).expect("text");
    let expected = r#"{"name":"Teagan Keeling","gender":"Female","address":"458 Effie Row, Rogahnborough, Oklahoma, 19170-0913","year":1949,"email":"kayli.monahan@example.org","phone_number":"+17965550125","job":"Chief Legal Assistant","company":"Metz and Dietrich Inc","country":"Central African Republic","city":"Generalmouth","date_time":"2025-03-23 06:38:56","credit_card_number":"0958-3321-5241-6011"}"#;
    assert_eq!(first, expected);
}
