//! What the values of a field may be: the language of templates, as a user writes it.

use lakehead_model::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use super::fields::Fields;

/// What the values of a field are: a table with one of these keys, or one of these words where nothing is to be said.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Values {
    /// Whole numbers from the first to the second, both included.
    Int([i64; 2]),
    /// Numbers from the first up to the second, which is not among them.
    Float([f64; 2]),
    /// One of these, each as likely.
    Choice(Vec<Scalar>),
    /// This number plus the event's.
    Sequence(i64),
    /// One of these, each as often as its weight says: `[["edit", 70], ["new", 30]]`.
    Weighted(Vec<(Scalar, u32)>),
    /// A value of one of these generators, each as often as its weight says.
    OneOf(Vec<(Values, u32)>),
    /// Numbers around a mean.
    Normal(NormalNumbers),
    /// Ranks, or choices, of which few come often and many seldom.
    Zipf(ZipfRanks),
    /// Numbers that go up and down by small steps.
    Walk(WalkNumbers),
    /// This value, whatever it is.
    Constant(serde_json::Value),
    /// So many words, from the first number to the second.
    Text([u32; 2]),
    /// Times, each as likely.
    DateTime(TimesBetween),
    /// The time of the event.
    Now(TimeOfEvent),
    /// An object.
    Object(Fields),
    /// An array.
    Array(ArrayOf),
    /// A text out of parts.
    Join(Vec<Values>),
    /// What is drawn as another field of the event is.
    Shared(SharedDraw),
    /// `true` or `false`.
    Boolean,
    /// `Male`, `Female` or, seldom, `Non-binary`.
    Gender,
    /// A year from 1940 to 2010.
    Year,
    /// A first name and a last name.
    Name,
    /// A first name.
    FirstName,
    /// A last name.
    LastName,
    /// Number and street, city, state and post code.
    Address,
    /// Number and street.
    Street,
    /// A city.
    City,
    /// A state.
    State,
    /// A country.
    Country,
    /// A country's two letters.
    CountryCode,
    /// A post code.
    Postcode,
    /// A mail address at `example.com`, `.net` or `.org`.
    Email,
    /// A name to log in with.
    Username,
    /// A telephone number that is nobody's.
    Phone,
    /// A job.
    Job,
    /// A company.
    Company,
    /// Sixteen digits that no card has.
    CardNumber,
    /// A UUID of version 4.
    Uuid,
    /// An address of version 4 that is nobody's.
    Ipv4,
    /// A word.
    Word,
    /// A sentence.
    Sentence,
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

/// An array.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ArrayOf {
    /// What its elements are.
    pub(super) of: Box<Values>,
    /// How many there are, from the first number to the second.
    pub(super) length: [u32; 2],
}

/// A draw that several fields share.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SharedDraw {
    /// The name of the draw.
    pub(super) draw: String,
    /// What is made of it.
    pub(super) of: Box<Values>,
}
