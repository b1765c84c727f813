//! What a generator is told: choices, borders, times, and how a time is written.

use lakehead_model::{Span, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is wrong, and under which key of the generator.
pub(super) type Wrong = (&'static str, String);

/// A value that can be chosen.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

impl Scalar {
    /// As JSON.
    pub(super) fn json(&self) -> String {
        let json = match self {
            Self::Bool(value) => serde_json::to_string(value),
            Self::Int(value) => serde_json::to_string(value),
            Self::Float(value) => serde_json::to_string(value),
            Self::Text(value) => serde_json::to_string(value),
        };
        json.expect("a scalar is always JSON")
    }
}

/// Numbers around a mean: the sum of twelve equal draws, which looks normal and lies at most six deviations away.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NormalNumbers {
    /// Their mean.
    pub(super) mean: f64,
    /// Their standard deviation.
    pub(super) deviation: f64,
    /// Digits behind the point, 0 to 9; with 0 they are whole numbers.
    #[serde(default = "decimals_default")]
    pub(super) decimals: u8,
}

/// Ranks by Zipf's law: the k-th in proportion to 1 / k^exponent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ZipfRanks {
    /// How many ranks there are; the values are their numbers, from 1.
    #[serde(default)]
    pub(super) count: Option<u32>,
    /// In place of `count`: the values, the most frequent first.
    #[serde(default)]
    pub(super) choice: Option<Vec<Scalar>>,
    /// How steep it is, 0 to 20.
    #[serde(default = "exponent_default")]
    pub(super) exponent: f64,
}

/// A bounded random walk.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WalkNumbers {
    /// The least value.
    pub(super) min: f64,
    /// The greatest.
    pub(super) max: f64,
    /// How far it goes from one event to the next, about.
    pub(super) step: f64,
    /// Digits behind the point, 0 to 9; with 0 they are whole numbers.
    #[serde(default = "decimals_default")]
    pub(super) decimals: u8,
}

fn decimals_default() -> u8 {
    2
}

fn exponent_default() -> f64 {
    1.0
}

/// Times from `from` up to `to`, which is not among them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TimesBetween {
    /// The first, RFC 3339.
    #[serde(default = "from_default")]
    pub(super) from: String,
    /// Where they end, RFC 3339.
    #[serde(default = "to_default")]
    pub(super) to: String,
    /// How they are written.
    #[serde(default)]
    pub(super) format: TimeText,
}

fn from_default() -> String {
    "2020-01-01T00:00:00Z".to_owned()
}

fn to_default() -> String {
    "2026-01-01T00:00:00Z".to_owned()
}

/// The event's own time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeOfEvent {
    /// How it is written.
    #[serde(default)]
    pub(super) format: TimeText,
    /// Rounded down to a multiple of this since 1970.
    #[serde(default)]
    pub(super) floor: Option<Span>,
    /// And so much later.
    #[serde(default)]
    pub(super) plus: Option<Span>,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TimeText {
    /// `"2026-11-30T12:00:00.5Z"`
    #[default]
    Rfc3339,
    /// `"2026-11-30 12:00:00"`
    DateTime,
    /// `"2026-11-30"`
    Date,
    /// `1796040000`
    UnixSeconds,
    /// `1796040000500`
    UnixMs,
}

impl TimesBetween {
    /// The first time, and the one behind the last.
    pub(super) fn range(&self) -> Result<(Timestamp, Timestamp), Wrong> {
        let from = read_time(&self.from).map_err(|what| ("date_time.from", what))?;
        let to = read_time(&self.to).map_err(|what| ("date_time.to", what))?;
        match from < to {
            true => Ok((from, to)),
            false => Err(("date_time", format!("expected `from` before `to`, found {from} and {to}"))),
        }
    }
}

/// A time that an event may have, of text.
pub(super) fn read_time(text: &str) -> Result<Timestamp, String> {
    let read = text.parse::<Timestamp>().ok().and_then(Timestamp::in_range);
    read.ok_or_else(|| {
        format!(
            "expected a time of the years 1678 to 2261, as in \"2026-01-01T00:00:00Z\", found {:?}",
            beginning(text)
        )
    })
}

/// The beginning of a text that may be long, for a message.
pub(super) fn beginning(text: &str) -> String {
    text.chars().take(40).collect()
}
