//! Each generator: its range, its spread, that no value depends on another, and that what is escaped stays JSON.

use std::collections::BTreeMap;

use lakehead_model::Timestamp;
use serde_json::{Value, json};

use super::{
    super::{draws::Draws, invented::INVENTED_BYTES_MAX},
    events, generator,
};

/// The values of one field over so many events.
fn values(of: &Value, count: u64) -> Vec<Value> {
    let settings = json!({ "event_time": "", "seed": 5, "fields": { "x": of } });
    let x = |event: &Vec<u8>| serde_json::from_slice::<Value>(event).expect("JSON")["x"].clone();
    events(settings, 0..count).iter().map(x).collect()
}

fn counts(of: &Value, count: u64) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    values(of, count).iter().for_each(|value| *counts.entry(value.to_string()).or_default() += 1);
    counts
}

fn numbers(of: &Value, count: u64) -> Vec<f64> {
    values(of, count).iter().map(|value| value.as_f64().expect("a number")).collect()
}

#[test]
fn weights_are_kept_to() {
    let counts = counts(&json!({ "weighted": [["a", 6], [2, 3], [true, 1], ["never", 0]] }), 10_000);
    for (value, expected) in [("\"a\"", 6_000), ("2", 3_000), ("true", 1_000)] {
        assert!(counts[value].abs_diff(expected) < 250, "{counts:?}");
    }
    assert_eq!(counts.len(), 3);
}

#[test]
fn one_of_several_generators_makes_a_value() {
    let kinds =
        counts(&json!({ "one_of": [[{ "constant": null }, 1], [{ "object": { "y": { "int": [0, 3] } } }, 1]] }), 2_000);
    assert_eq!(kinds.len(), 5, "null, and an object of each of four: {kinds:?}");
}

#[test]
fn normal_numbers_have_their_mean_and_deviation() {
    let numbers = numbers(&json!({ "normal": { "mean": 100, "deviation": 15, "decimals": 4 } }), 20_000);
    let mean = numbers.iter().sum::<f64>() / 20_000.0;
    let variance = numbers.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 20_000.0;
    assert!((99.5..100.5).contains(&mean) && (14.5..15.5).contains(&variance.sqrt()), "{mean} {}", variance.sqrt());
    let within = numbers.iter().filter(|n| (85.0..115.0).contains(*n)).count();
    assert!((13_300..14_000).contains(&within), "68 % lie within one deviation: {within}");
    assert!(numbers.iter().all(|n| (10.0..=190.0).contains(n)), "and none beyond six");
}

#[test]
fn numbers_have_as_many_decimals_as_are_asked_for() {
    for (decimals, digits) in [(0, 0), (1, 1), (3, 3), (9, 9)] {
        for value in values(&json!({ "walk": { "min": -1, "max": 1, "step": 0.3, "decimals": decimals } }), 500) {
            let text = value.to_string();
            let found = text.split_once('.').map_or(0, |(_, behind)| behind.len());
            assert!(
                found <= digits.max(1) && value.is_i64() == (decimals == 0) && text != "-0.0",
                "{text} of {decimals}"
            );
        }
    }
}

#[test]
fn few_ranks_come_often_and_many_seldom() {
    let ranks = numbers(&json!({ "zipf": { "count": 10_000, "exponent": 1.2 } }), 20_000);
    let of = |rank: f64| ranks.iter().filter(|r| **r == rank).count();
    assert!(of(1.0) > 3 * of(3.0) && of(3.0) > 2 * of(8.0), "{} {} {}", of(1.0), of(3.0), of(8.0));
    assert!(ranks.iter().all(|rank| (1.0..=10_000.0).contains(rank)) && ranks.iter().any(|rank| *rank > 1_000.0));
    let names = counts(&json!({ "zipf": { "choice": ["ada", "bob", "cleo"], "exponent": 2 } }), 10_000);
    assert!(names["\"ada\""] > names["\"bob\""] && names["\"bob\""] > names["\"cleo\""], "{names:?}");
    let equal = counts(&json!({ "zipf": { "choice": [1, 2], "exponent": 0 } }), 10_000);
    assert!(equal.values().all(|count| count.abs_diff(5_000) < 250), "{equal:?}");
}

#[test]
fn times_are_written_in_each_way() {
    let at = |of: Value| {
        let mut event = Vec::new();
        let settings = json!({ "event_time": "", "fields": { "x": of } });
        generator(settings).write(0, Timestamp(1_796_040_001_500_000), &mut event);
        serde_json::from_slice::<Value>(&event).expect("JSON")["x"].clone()
    };
    for (format, expected) in [
        ("rfc3339", json!("2026-11-30T12:00:01.5Z")),
        ("date_time", json!("2026-11-30 12:00:01")),
        ("date", json!("2026-11-30")),
        ("unix_seconds", json!(1_796_040_001)),
        ("unix_ms", json!(1_796_040_001_500_u64)),
    ] {
        assert_eq!(at(json!({ "now": { "format": format } })), expected);
    }
    assert_eq!(at(json!({ "now": { "floor": "1d", "plus": "90m" } })), "2026-11-30T01:30:00Z");
    let between =
        json!({ "date_time": { "from": "2024-02-28T00:00:00Z", "to": "2024-03-02T00:00:00Z", "format": "date" } });
    let days = counts(&between, 3_000);
    assert_eq!(days.keys().collect::<Vec<_>>(), ["\"2024-02-28\"", "\"2024-02-29\"", "\"2024-03-01\""]);
}

#[test]
fn objects_and_arrays_nest_and_their_parts_differ() {
    let of = json!({ "array": { "length": [0, 4], "of": { "object": { "a": { "int": [0, 1_000_000] }, "b": "first_name" } } } });
    let all = values(&of, 500);
    let lengths: BTreeMap<usize, u32> = all.iter().fold(BTreeMap::new(), |mut lengths, array| {
        *lengths.entry(array.as_array().expect("an array").len()).or_default() += 1;
        lengths
    });
    assert_eq!(lengths.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4], "{lengths:?}");
    let elements: Vec<_> = all.iter().flat_map(|array| array.as_array().expect("an array")).collect();
    let different: std::collections::BTreeSet<_> = elements.iter().map(|element| element["a"].as_i64()).collect();
    assert!(different.len() + 3 > elements.len(), "{} of {}", different.len(), elements.len());
}

#[test]
fn a_text_is_joined_of_parts_whatever_is_in_them() {
    let of = json!({ "join": [{ "constant": "a\"\\\n" }, { "int": [7, 7] }, { "choice": ["ü😀"] }, { "constant": true }, { "constant": "" }] });
    assert_eq!(values(&of, 2), ["a\"\\\n7ü😀true", "a\"\\\n7ü😀true"]);
    assert_eq!(values(&json!({ "join": [] }), 1), [""]);
    let twice = values(&json!({ "join": [{ "int": [0, 999_999] }, { "constant": "/" }, { "int": [0, 999_999] }] }), 50);
    assert!(twice.iter().all(|text| {
        let text = text.as_str().expect("text");
        text.split_once('/').is_some_and(|(a, b)| a != b)
    }));
}

#[test]
fn fields_that_share_a_draw_choose_alike() {
    let list = |values: [&str; 3]| json!({ "shared": { "draw": "place", "of": { "choice": values } } });
    let settings = json!({ "event_time": "", "fields": {
        "city": list(["Bonn", "Lyon", "Oslo"]), "deep": { "object": { "country": list(["DE", "FR", "NO"]) } }, "other": { "choice": ["DE", "FR", "NO"] },
    } });
    let mut other = 0;
    for event in events(settings, 0..300) {
        let event: Value = serde_json::from_slice(&event).expect("JSON");
        let country = event["deep"]["country"].as_str().expect("text");
        assert_eq!(
            event["city"],
            match country {
                "DE" => "Bonn",
                "FR" => "Lyon",
                _ => "Oslo",
            }
        );
        other += u32::from(event["other"] != country);
    }
    assert!((150..250).contains(&other), "a field of its own draws by itself: {other}");
}

#[test]
fn what_is_made_up_is_never_long_and_never_empty() {
    let kinds = [
        "name",
        "first_name",
        "last_name",
        "address",
        "street",
        "city",
        "state",
        "country",
        "country_code",
        "postcode",
        "email",
        "username",
        "phone",
        "job",
        "company",
        "card_number",
        "uuid",
        "ipv4",
        "word",
        "sentence",
    ];
    for kind in kinds {
        let texts = values(&json!(kind), 3_000);
        let lengths = texts.iter().map(|text| text.to_string().len());
        let (least, most) =
            lengths.fold((usize::MAX, 0), |(least, most), length| (least.min(length), most.max(length)));
        assert!(least > 2 && most <= INVENTED_BYTES_MAX / 2, "{kind}: {least} to {most}");
        assert!(texts.iter().collect::<std::collections::HashSet<_>>().len() > 40, "{kind} has several values");
    }
    assert_eq!(counts(&json!("boolean"), 200).len(), 2);
}

#[test]
fn numbers_of_cards_and_identifiers_are_well_formed() {
    for card in values(&json!("card_number"), 500) {
        let digits: Vec<u32> = card.as_str().expect("text").chars().filter_map(|c| c.to_digit(10)).collect();
        let sum: u32 = digits
            .iter()
            .rev()
            .enumerate()
            .map(|(place, digit)| match place % 2 {
                1 if *digit > 4 => digit * 2 - 9,
                1 => digit * 2,
                _ => *digit,
            })
            .sum();
        assert!(digits.len() == 16 && digits[0] == 0 && sum.is_multiple_of(10), "{card}");
    }
    for uuid in values(&json!("uuid"), 200) {
        let uuid = uuid.as_str().expect("text");
        assert!(uuid.len() == 36 && &uuid[14..15] == "4" && "89ab".contains(&uuid[19..20]), "{uuid}");
    }
}

#[test]
fn an_event_can_be_made_without_those_before_it_up_to_the_last_number() {
    let settings = || json!({ "template": "weather", "start": "2026-01-01T00:00:00Z", "fields": { "w": { "text": [0, 9] }, "s": { "sequence": i64::MAX } } });
    let run = events(settings(), 900_000..900_010);
    assert_eq!(events(settings(), 900_007..900_008)[0], run[7]);
    for n in [u64::MAX - 1, u64::MAX, 1 << 62] {
        let event = events(settings(), std::iter::once(n)).remove(0);
        assert!(serde_json::from_slice::<Value>(&event).is_ok(), "{}", String::from_utf8_lossy(&event));
    }
}

#[test]
fn draws_fill_any_number_of_bytes() {
    use rand::Rng;
    let mut bytes = [0; 13];
    Draws::new(1).fill_bytes(&mut bytes);
    assert!(bytes[8..].iter().any(|byte| *byte != 0));
    let first = Draws::new(1).next_u64();
    assert_eq!(bytes[..8], first.to_le_bytes());
}
