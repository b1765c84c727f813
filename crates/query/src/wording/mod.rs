//! What is wrong with a statement, in Lakehead's words: what, where in the text, and what would be valid.
//!
//! The engine beneath speaks of its rules, types and bugs; none of that helps who wrote the statement. An error of its is
//! taken apart as soon as it comes ([`Mistake::of`]), into a sentence and a clue by which its place can be found; whoever
//! has the text then tells line and column ([`Error::in_text`](crate::Error::in_text)). No other module
//! words an error of the engine.

mod cure;
mod engine_words;
mod known;
mod mistake;
mod own_words;
mod passed_over;
mod pattern;
mod place;
mod plain;
mod rules;

pub(crate) use self::{
    engine_words::root,
    known::Known,
    own_words::{place_of, place_of_refusal},
    passed_over::parsed,
    place::names_in_quotes,
    plain::plainly,
};
pub use self::{mistake::Mistake, place::Place, plain::type_name};
