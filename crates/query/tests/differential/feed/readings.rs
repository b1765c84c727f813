//! Readings of made-up instruments over ten days and a change of clocks: floats, flags, a JSON column, another way to
//! write times. What recent changes do not have.

use lakehead_model::{StreamSchema, Timestamp};

use super::{
    arrival::Arrival,
    json_text::{mistyped, object, string},
};
use crate::{
    random::Random,
    table::{Column, EVERYWHERE, Kind, Table},
};

const PLACES: &[&str] = &["north", "South", "EAST", "west wing", "", "dach"];
const NOTES: &[&str] = &[
    "ok",
    "OK",
    "Fault 12",
    "fault 7",
    "line\nbreak",
    "naïve",
    "😀",
    "100%",
    "a_b",
    "it''s",
    "null",
    "NULL",
    " padded ",
];

/// The schema: what a user's pipeline would declare.
fn schema() -> StreamSchema {
    let schema = serde_json::json!({
        "event_time": [{ "path": ["at"], "format": "unix_millis" }, { "path": ["dt"], "format": "rfc3339" }],
        "columns": [
            { "name": "place", "path": ["place"], "column_type": "text" },
            { "name": "note", "path": ["note"], "column_type": "text" },
            { "name": "kelvin", "path": ["values", "kelvin"], "column_type": "float64" },
            { "name": "balance", "path": ["values", "balance"], "column_type": "float64" },
            { "name": "level", "path": ["values", "level"], "column_type": "int64" },
            { "name": "flags", "path": ["values", "flags"], "column_type": "int64" },
            { "name": "serial", "path": ["serial"], "column_type": "int64" },
            { "name": "good", "path": ["good"], "column_type": "bool" },
            { "name": "is_north", "path": ["place"], "column_type": "bool", "equals": "north" },
            { "name": "checked", "path": ["checked"], "column_type": "timestamp" },
            { "name": "extra", "path": ["extra"], "column_type": "json" },
        ],
    });
    serde_json::from_value(schema).expect("a schema")
}

const COLUMNS: &[(&str, Kind)] = &[
    ("place", Kind::Plain),
    ("note", Kind::Text),
    ("kelvin", Kind::Float),
    ("balance", Kind::Dyadic),
    ("level", Kind::Small),
    ("flags", Kind::Small),
    ("serial", Kind::Big),
    ("good", Kind::Bool),
    ("is_north", Kind::Bool),
    ("checked", Kind::Time),
    ("extra", Kind::Json),
];

const SIZES: &[(&str, i64)] = &[
    ("5 minutes", 300_000_000),
    ("45 minutes", 2_700_000_000),
    ("1 hour", 3_600_000_000),
    ("1 hour", 3_600_000_000),
    ("6 hours", 21_600_000_000),
    ("1 day", 86_400_000_000),
    ("36 hours", 129_600_000_000),
    ("7 days", 604_800_000_000),
];

/// A synthetic stream of `count` events.
pub(crate) fn readings(seed: u64, count: usize) -> Table {
    let mut random = Random::new(seed, "readings");
    let start: Timestamp = "2026-10-20T09:00:00Z".parse().expect("a time");
    let mut arrival = Arrival::new(start, 10 * 86_400_000_000 / i64::try_from(count.max(1)).expect("few"));
    for number in 0..count {
        let time = arrival.event_time(&mut random);
        let event = reading(&mut random, number, time);
        arrival.push(&mut random, event);
    }
    let columns = COLUMNS.iter().map(|(name, kind)| Column { name, kind: *kind });
    Table {
        label: "readings",
        name: "readings",
        origin: format!("{count} synthetic readings"),
        schema: schema(),
        columns: EVERYWHERE.iter().copied().chain(columns).collect(),
        sizes: SIZES,
        bursts: arrival.finish(),
    }
}

fn reading(random: &mut Random, number: usize, time: Option<i64>) -> String {
    let mut members = Vec::new();
    match time {
        Some(time) if random.chance(50) => members.push(("at", time.div_euclid(1_000).to_string())),
        Some(time) => members.push(("dt", format!("\"{}\"", Timestamp(time)))),
        None if random.chance(50) => members.push(("at", "\"soon\"".to_owned())),
        None => {}
    }
    let mut values = Vec::new();
    let mut value = |random: &mut Random, key: &'static str, value: String| {
        if !random.chance(10) {
            values.push((key, if random.chance(2) { mistyped(random) } else { value }));
        }
    };
    let kelvin = format!("{}.{:03}", random.between(180, 330), random.below(1_000));
    value(random, "kelvin", kelvin);
    let balance = random.between(-60_000_000, 60_000_000);
    #[expect(clippy::cast_precision_loss, reason = "below 2^26: exact")]
    let balance = if balance == 0 { 0.0 } else { balance as f64 / 64.0 };
    value(random, "balance", balance.to_string());
    let level = random.between(-50, 50).to_string();
    value(random, "level", level);
    let flags = random.below(16).to_string();
    value(random, "flags", flags);
    members.push(("values", object(random, values)));
    let mut member = |random: &mut Random, absent: usize, key: &'static str, value: String| {
        if !random.chance(absent) {
            members.push((key, if random.chance(2) { mistyped(random) } else { value }));
        }
    };
    let place = random.word(PLACES);
    let place = string(random, place);
    member(random, 5, "place", place);
    let note = random.word(NOTES);
    let note = string(random, note);
    member(random, 20, "note", note);
    let serial = *random.pick(&[7, 1 << 31, (1 << 53) + 1, i64::MAX, i64::MIN, 40_000_000_000 + (number % 50) as i64]);
    member(random, 10, "serial", serial.to_string());
    let good = random.chance(80).to_string();
    member(random, 10, "good", good);
    let checked = match random.below(3) {
        0 => time.unwrap_or(0).div_euclid(1_000_000).to_string(),
        _ => format!("\"{}\"", Timestamp(time.unwrap_or(86_400_000_000))),
    };
    member(random, 30, "checked", checked);
    let extra = *random.pick(&[
        "{\"a\":1}",
        "{\"a\":{\"b\":\"x\"},\"l\":[1,2,3]}",
        "[1,2]",
        "\"text\"",
        "7",
        "null",
        "{}",
        "[]",
    ]);
    member(random, 20, "extra", extra.to_owned());
    object(random, members)
}
