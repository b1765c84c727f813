//! What a user may set, and its limits.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Most events a second: some 20 MB, and more than one core writes into the log beside them. A test of throughput is the
/// benchmarks' work.
const RATE_MAX: f64 = 100_000.0;

/// Most fields of an event, bytes of a field's name, and choices of a field: together they bound an event at about 1.3 MB, where
/// the greatest that is taken has 4 MiB.
const FIELDS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 256;
const CHOICES_MAX: usize = 10_000;
const CHOICE_BYTES_MAX: usize = 1_024;

/// Settings of a `fake` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Events a second, over all streams: more than 0, at most 100,000. Default: 10.
    #[serde(default = "rate_default")]
    pub(super) rate: f64,
    /// How many events there are in all; the source ends after them. Default: there is no end.
    #[serde(default)]
    pub(super) count: Option<u64>,
    /// What the values are made from: another seed gives other values. Default: 0.
    #[serde(default)]
    pub(super) seed: u64,
    /// The key under which the time of making stands in an event, as in `"2026-11-01T12:00:00.5Z"`. With `""` there is none, and
    /// an event is the same whenever it is made. Default: `dt`.
    #[serde(default = "event_time_default")]
    pub(super) event_time: String,
    /// The fields of an event: for each key what its values are, as in `{ face = { int = [1, 6] } }`.
    pub(super) fields: BTreeMap<String, Values>,
}

fn rate_default() -> f64 {
    10.0
}

fn event_time_default() -> String {
    "dt".to_owned()
}

/// What the values of a field are.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Values {
    /// Whole numbers from the first to the second, both included.
    Int([i64; 2]),
    /// Numbers from the first up to the second, which is not among them.
    Float([f64; 2]),
    /// One of these.
    Choice(Vec<Scalar>),
    /// This number plus the event's.
    Sequence(i64),
}

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

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.rate > 0.0 && self.rate <= RATE_MAX) {
            return Err(format!(
                "rate: expected more than 0 and at most {RATE_MAX} events a second, found {}",
                self.rate
            ));
        }
        if self.fields.len() > FIELDS_MAX {
            return Err(format!("fields: expected at most {FIELDS_MAX} fields, found {}", self.fields.len()));
        }
        if self.fields.contains_key(&self.event_time) {
            return Err(format!(
                "`fields.{0}`: this key has the time of the event; choose another, or set event_time",
                self.event_time
            ));
        }
        let mut names = self.fields.keys().chain([&self.event_time]);
        if let Some(name) = names.find(|name| name.len() > NAME_BYTES_MAX) {
            let shown: String = name.chars().take(40).collect();
            return Err(format!(
                "fields: expected names of at most {NAME_BYTES_MAX} bytes, found {shown:?}… of {}",
                name.len()
            ));
        }
        self.fields.iter().try_for_each(|(name, values)| {
            values.check().map_err(|(key, what)| format!("`fields.{name}`: in {key}, {what}"))
        })
    }
}

impl Values {
    /// What cannot be, and under which key.
    fn check(&self) -> Result<(), (&'static str, String)> {
        match self {
            Self::Int([from, to]) if from > to => {
                Err(("int", format!("expected the lesser number first, as in [1, 6], found [{from}, {to}]")))
            }
            Self::Float([from, to]) if !(from < to && (to - from).is_finite()) => {
                Err(("float", format!("expected the lesser number first, as in [0, 1], found [{from}, {to}]")))
            }
            Self::Choice(choices) => check_choices(choices).map_err(|what| ("choice", what)),
            Self::Int(_) | Self::Float(_) | Self::Sequence(_) => Ok(()),
        }
    }
}

fn check_choices(choices: &[Scalar]) -> Result<(), String> {
    if !(1..=CHOICES_MAX).contains(&choices.len()) {
        return Err(format!("expected 1 to {CHOICES_MAX} values, found {}", choices.len()));
    }
    for choice in choices {
        if matches!(choice, Scalar::Float(value) if !value.is_finite()) {
            return Err("expected numbers that JSON can write, found one that is not finite".to_owned());
        }
        let json = choice.json();
        if json.len() > CHOICE_BYTES_MAX {
            let shown: String = json.chars().take(40).collect();
            return Err(format!(
                "expected values of at most {CHOICE_BYTES_MAX} bytes as JSON, found {shown}… of {}",
                json.len()
            ));
        }
    }
    Ok(())
}
