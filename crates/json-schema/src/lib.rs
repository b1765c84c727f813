//! JSON Schema: whether an event is what its stream's schema says.
//!
//! Pure, and compiled once. A schema is its operator's, events are strangers': so what a check may cost is bounded before an event
//! comes. No `$ref` leaves the document or leads back into itself: a schema is a tree of at most [`PARTS_MAX`] parts, each of
//! which looks at a value of the event once. Patterns are matched in linear time.
//!
//! It knows the keywords of drafts 4 to 2020-12 that say something of a value by itself, and refuses a schema with one that it
//! does not check, rather than to pass over it: `unevaluatedProperties` and `unevaluatedItems`, dynamic references, a format
//! that is none of [`FORMATS`].
//!
//! Why not the crate `jsonschema` (0.61): it turns on `serde_json/float_roundtrip` and `ahash/serde` for the whole program, so all
//! of Arrow and DataFusion is compiled otherwise and every number is read more slowly; it brings 22 crates; it cannot refuse
//! what it would pass over; and what a check of it costs has to be bounded by a walk over the schema that is as long as this.
//!
//! - `node`: a compiled schema; `compile`: from a document to it; `check`: an event held to it
//! - `format`: texts of a form; `first_wins`: an event as a tree, in which of a key that stands twice the first counts

mod check;
mod compile;
mod first_wins;
mod format;
mod node;

use std::fmt;

use serde_json::Value;

pub use crate::{
    compile::{DOCUMENT_BYTES_MAX, PARTS_MAX},
    format::FORMATS,
};
use crate::{first_wins::FirstWins, node::Node};

/// A schema, compiled. Two are equal when their documents are.
pub struct JsonSchema {
    document: Value,
    root: Node,
}

impl JsonSchema {
    /// Compiles the schema that `text` is.
    ///
    /// # Errors
    /// What is wrong with it, and where, in words for who wrote it.
    pub fn new(text: &[u8]) -> Result<Self, String> {
        let (document, root) = compile::compile(text)?;
        Ok(Self { document, root })
    }

    /// Checks an event, which is valid JSON. Of a key that stands twice in an object the first counts.
    ///
    /// # Errors
    /// Where it does not conform, and why; of several such places the first that is found.
    pub fn check(&self, event: &[u8]) -> Result<(), String> {
        let FirstWins(event) = serde_json::from_slice(event).map_err(|error| format!("not JSON: {error}"))?;
        check::check(&self.root, &event)
            .map_err(|wrong| format!("it does not conform to the stream's JSON Schema: {wrong}"))
    }
}

impl PartialEq for JsonSchema {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for JsonSchema {}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonSchema")
    }
}

#[cfg(test)]
mod tests;
