//! What the values of a field may be: the language of templates, as a user writes it. What a generator is told stands in
//! `parameters`; here is what generators are made of others.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::parameters::{NormalNumbers, Scalar, TimeOfEvent, TimesBetween, WalkNumbers, ZipfRanks};

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

/// The fields of an object, each with what its values are, in the order of the file that they come from. Settings of a pipeline
/// arrive sorted by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(pub(super) Vec<(String, Values)>);

impl Fields {
    /// Whether a field has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// These, where those of `other` go before: each in the place of the one of its name, or behind all.
    pub(super) fn with(mut self, other: &Self) -> Self {
        for (name, values) in &other.0 {
            match self.0.iter_mut().find(|(field, _)| field == name) {
                Some((_, replaced)) => *replaced = values.clone(),
                None => self.0.push((name.clone(), values.clone())),
            }
        }
        self
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of fields, as in { face = { int = [1, 6] } }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

impl JsonSchema for Fields {
    fn schema_name() -> Cow<'static, str> {
        "Fields".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<Values>();
        schemars::json_schema!({ "type": "object", "additionalProperties": values })
    }
}
