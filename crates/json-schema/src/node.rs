//! A compiled schema: a tree of nodes, each with what it asks of one value. References are replaced by what they refer to.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Number, Value};

use crate::format::Format;

/// A schema, or a part of one.
pub(crate) enum Node {
    /// `true`: any value conforms.
    Anything,
    /// `false`: none does.
    Nothing,
    /// What all of these say.
    Keywords(Box<Keywords>),
}

/// What a schema asks of a value. What stands under a type asks it only of values of that type.
#[derive(Default)]
pub(crate) struct Keywords {
    pub(crate) types: Option<Vec<Type>>,
    pub(crate) one_of_values: Option<Vec<Value>>,
    pub(crate) exactly: Option<Value>,
    pub(crate) number: NumberKeywords,
    pub(crate) text: TextKeywords,
    pub(crate) array: ArrayKeywords,
    pub(crate) object: ObjectKeywords,
    /// `$ref` and `allOf`.
    pub(crate) all: Vec<Node>,
    /// Each `anyOf`.
    pub(crate) any: Vec<Node>,
    /// Each `oneOf`.
    pub(crate) one: Vec<Node>,
    pub(crate) not: Option<Node>,
    pub(crate) conditional: Option<Conditional>,
}

/// The types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// A number.
#[derive(Default)]
pub(crate) struct NumberKeywords {
    /// The least, and whether it is out itself.
    pub(crate) minimum: Option<(Number, bool)>,
    /// The greatest, and whether it is out itself.
    pub(crate) maximum: Option<(Number, bool)>,
    pub(crate) multiple_of: Option<f64>,
}

/// A text; lengths are in characters.
#[derive(Default)]
pub(crate) struct TextKeywords {
    pub(crate) length_min: u64,
    pub(crate) length_max: Option<u64>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) format: Option<Format>,
}

/// An array.
#[derive(Default)]
pub(crate) struct ArrayKeywords {
    /// The schemas of the first elements.
    pub(crate) first: Vec<Node>,
    /// That of the others.
    pub(crate) rest: Option<Node>,
    pub(crate) contains: Option<Contains>,
    pub(crate) count_min: u64,
    pub(crate) count_max: Option<u64>,
    pub(crate) unique: bool,
}

/// How many elements have to conform to a schema.
pub(crate) struct Contains {
    pub(crate) node: Node,
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
}

/// An object.
#[derive(Default)]
pub(crate) struct ObjectKeywords {
    pub(crate) required: Vec<String>,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) patterns: Vec<(Regex, Node)>,
    /// The schema of what is named by neither of these.
    pub(crate) others: Option<Node>,
    pub(crate) names: Option<Node>,
    pub(crate) count_min: u64,
    pub(crate) count_max: Option<u64>,
    /// Where this key is there, so must those be.
    pub(crate) needs: Vec<(String, Vec<String>)>,
    /// Where this key is there, the object has to conform to that.
    pub(crate) implies: Vec<(String, Node)>,
}

/// `if`, `then` and `else`.
pub(crate) struct Conditional {
    pub(crate) condition: Node,
    pub(crate) then: Option<Node>,
    pub(crate) otherwise: Option<Node>,
}

impl Type {
    /// By its name in a schema.
    pub(crate) const NAMED: [(&str, Self); 7] = [
        ("null", Self::Null),
        ("boolean", Self::Boolean),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("string", Self::String),
        ("array", Self::Array),
        ("object", Self::Object),
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, of)| *of == self).map_or("", |(name, _)| name)
    }
}
