//! What the values of an event are, by serde_json and nothing of ours: what the decoder and the queries over it are compared
//! with.

use lakehead_model::{StreamSchema, TimeFormat, Timestamp};
use serde_json::{Value, value::RawValue};

/// When the event happened, as it says itself: by the first rule that can be read. Microseconds.
#[must_use]
pub fn event_time(schema: &StreamSchema, event: &str) -> Option<i64> {
    schema.event_time.iter().find_map(|rule| micros(&read(&at(event, &rule.path)?)?, rule.format))
}

/// The text of the value at `path`; the first one where a key stands twice.
#[must_use]
pub fn at(event: &str, path: &[String]) -> Option<String> {
    let Some((key, rest)) = path.split_first() else { return Some(event.to_owned()) };
    let members: Members = serde_json::from_str(event).ok()?;
    let (_, value) = members.0.into_iter().find(|(own, _)| own == key)?;
    at(value.get(), rest)
}

/// The members of an object in their order; a map would take the last of equal keys.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A JSON value; `None` where serde_json refuses the text.
#[must_use]
pub fn read(raw: &str) -> Option<Value> {
    serde_json::from_str(raw).ok()
}

/// A text that is a number by itself, as Unix times may be.
fn number_in(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_one = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = match digits.split_once('.') {
        Some((whole, fraction)) => is_one(whole) && is_one(fraction),
        None => is_one(digits),
    };
    plain.then(|| read(text))?
}

/// The years 1678 to 2261.
fn in_range(micros: i64) -> Option<i64> {
    (-9_214_560_000_000_000..9_214_646_400_000_000).contains(&micros).then_some(micros)
}

/// A number that is an integer, however it is written.
#[must_use]
pub fn whole(value: &Value) -> Option<i64> {
    let float = || value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
    #[allow(clippy::cast_possible_truncation)]
    value.as_i64().or_else(|| float().map(|float| float as i64))
}

/// A moment in microseconds, written as `format` says; `None` of a format that this oracle does not know.
#[must_use]
pub fn micros(value: &Value, format: TimeFormat) -> Option<i64> {
    let each = match format {
        TimeFormat::Rfc3339 => return value.as_str()?.parse::<Timestamp>().ok().and_then(|time| in_range(time.0)),
        TimeFormat::UnixSeconds => 1_000_000,
        TimeFormat::UnixMillis => 1_000,
        _ => return None,
    };
    let number = value.as_str().map_or_else(|| Some(value.clone()), number_in)?;
    match number.as_i64() {
        Some(whole) => whole.checked_mul(each).and_then(in_range),
        None => {
            #[expect(clippy::cast_precision_loss, reason = "a million")]
            let micros = (number.as_f64()? * each as f64).floor();
            // What 64 bits cannot hold is no time.
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within the bounds")]
            (micros.abs() < 9.2e18).then_some(micros as i64).and_then(in_range)
        }
    }
}
