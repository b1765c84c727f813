//! What each template makes, event by event, is known: a change of it, here or in the crate `fake`, is noticed and told.
//!
//! Where a test of this file fails the events of a running pipeline are others from its next start on: say so in the changelog,
//! and put in the new numbers.

use lakehead_model::Timestamp;
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
    assert_eq!(found, [0, 0, 0]);
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
    assert_eq!(found, 0);
}

#[test]
fn a_template_has_these_events_and_no_others() {
    let first = |template: &str| {
        let settings = json!({ "template": template, "seed": 1, "start": "2026-01-01T00:00:00Z" });
        String::from_utf8(events(settings, 0..1).remove(0)).expect("text")
    };
    println!("{}\n{}\n{}", first("people"), first("weather"), first("recentchange"));
    assert_eq!(first("people"), "");
    assert!(Timestamp(0) < Timestamp::LAST);
}
