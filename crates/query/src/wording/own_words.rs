//! Locates in a statement what one of our own messages is about.

use super::{
    pattern::captures,
    place::{Clue, Place},
    rules::call,
};

/// Where in `text` that lies which the sentence `what` is about.
pub(crate) fn place_of(what: &str, text: &str) -> Option<Place> {
    clue_in(what).find(text)
}

/// Where in `text` that lies which cannot be kept up to date as a view: `what`.
pub(crate) fn place_of_refusal(what: &str, text: &str) -> Option<Place> {
    clue_of_refusal(what).find(text)
}

/// What one of our own sentences is about: what stands in it in quotes, or the function that it begins with.
fn clue_in(what: &str) -> Clue {
    if let Some((name, _)) = what.split_once('(')
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return call(name);
    }
    if let Some(found) = captures("the column {}(", what) {
        return Clue::Call(found[0].to_owned());
    }
    match captures("\"{}\"", what) {
        Some(found) => Clue::Word(found[0].to_owned()),
        None => Clue::Nowhere,
    }
}

/// Where what a view cannot have stands.
fn clue_of_refusal(what: &str) -> Clue {
    Clue::Keyword(match what {
        "this statement" | "a query without a table" => return Clue::Start,
        "a query without a window" | "a group by two windows" => &["GROUP"],
        "a join" => &["JOIN"],
        "an aggregation of an aggregation" => &["GROUP"],
        "LIMIT" => &["LIMIT", "OFFSET", "FETCH"],
        "ORDER BY" => &["ORDER"],
        "DISTINCT" => &["DISTINCT"],
        "UNION" => &["UNION"],
        "OVER (…)" => &["OVER"],
        "GROUPING SETS, ROLLUP or CUBE" => &["GROUPING", "ROLLUP", "CUBE"],
        "the time of the query (now and its kin)" => {
            &["now", "current_timestamp", "current_date", "current_time", "today", "to_timestamp"]
        }
        "a function that gives another answer each time" => &["random", "uuid"],
        "an aggregate that depends on the order of events and does not say it" => {
            &["first_value", "last_value", "nth_value", "array_agg", "string_agg"]
        }
        _ => return Clue::Nowhere,
    })
}
