//! The fields of an object in their order: that of the file they come from. Settings of a pipeline arrive sorted by name.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::values::Values;

/// Keys, each with what its values are.
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
