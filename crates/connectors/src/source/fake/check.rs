//! What of a template cannot be, each told in one line that names the key: the limits of fields, depth, choices and lengths.

use super::{
    parameters::{Scalar, Wrong, beginning},
    values::{Fields, Values},
    walk::STEPS_MAX,
};

/// Most fields of an event, those within objects and arrays included, and bytes of a field's name.
const FIELDS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 256;

/// How deep a value may lie in others: a field of the event is at 1. What is deeper is hard to query, too.
const DEPTH_MAX: usize = 8;

/// Choices of a field, and bytes of one of them as JSON.
const CHOICES_MAX: usize = 10_000;
const CHOICE_BYTES_MAX: usize = 1_024;

/// Ranks of a field by Zipf's law; 8 bytes of memory each. And ranks and choices of all fields together.
const RANKS_MAX: u32 = 100_000;
const TABLES_MAX: usize = 1_000_000;

/// Elements of an array, and words of a text.
const LENGTH_MAX: u32 = 1_000;

/// Means, deviations and borders of numbers: up to here a double still tells tenths.
const NUMBER_MAX: f64 = 1e15;

/// Digits behind the point.
const DECIMALS_MAX: u8 = 9;

/// The steepest law of Zipf: with 20 one event in a million is not of the first rank.
const EXPONENT_MAX: f64 = 20.0;

/// Checks the fields of an event.
pub(super) fn check(fields: &Fields) -> Result<(), String> {
    let count: usize = fields.0.iter().map(|(_, values)| fields_of(values)).sum();
    if count > FIELDS_MAX {
        return Err(format!(
            "fields: expected at most {FIELDS_MAX} fields, found {count}, those within objects and arrays included"
        ));
    }
    let tables: usize = fields.0.iter().map(|(_, values)| table_of(values)).sum();
    if tables > TABLES_MAX {
        return Err(format!("fields: expected at most {TABLES_MAX} choices and ranks in all, found {tables}"));
    }
    members(fields, "fields", 1)
}

/// Checks a name that a key of the event has.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.len() > NAME_BYTES_MAX {
        let (shown, bytes) = (beginning(name), name.len());
        return Err(format!("fields: expected names of at most {NAME_BYTES_MAX} bytes, found {shown:?}… of {bytes}"));
    }
    Ok(())
}

fn members(fields: &Fields, path: &str, depth: usize) -> Result<(), String> {
    for (name, values) in &fields.0 {
        check_name(name)?;
        one(values, &format!("{path}.{name}"), depth)?;
    }
    Ok(())
}

/// Checks a value that stands at `path`, and what is in it.
fn one(values: &Values, path: &str, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("`{path}`: expected values at most {DEPTH_MAX} deep, found one at {depth}"));
    }
    itself(values).map_err(|(key, what)| format!("`{path}`: in {key}, {what}"))?;
    let below = |key: &str| format!("{path}.{key}");
    match values {
        Values::Object(fields) => members(fields, &below("object"), depth + 1),
        Values::Array(array) => one(&array.of, &below("array.of"), depth + 1),
        Values::Shared(shared) => one(&shared.of, &below("shared.of"), depth + 1),
        Values::OneOf(some) => {
            some.iter().enumerate().try_for_each(|(at, (of, _))| one(of, &below(&format!("one_of[{at}]")), depth + 1))
        }
        Values::Join(parts) => {
            parts.iter().enumerate().try_for_each(|(at, of)| one(of, &below(&format!("join[{at}]")), depth + 1))
        }
        _ => Ok(()),
    }
}

/// What is wrong with a value by itself.
fn itself(values: &Values) -> Result<(), Wrong> {
    match values {
        Values::Int([from, to]) if from > to => {
            Err(("int", format!("expected the lesser number first, as in [1, 6], found [{from}, {to}]")))
        }
        Values::Float([from, to]) if !(from < to && (to - from).is_finite()) => {
            Err(("float", format!("expected the lesser number first, as in [0, 1], found [{from}, {to}]")))
        }
        Values::Choice(choices) => check_choices(choices.iter()).map_err(|what| ("choice", what)),
        Values::Weighted(choices) => {
            check_choices(choices.iter().map(|(choice, _)| choice)).map_err(|what| ("weighted", what))?;
            check_weights(choices.iter().map(|(_, weight)| *weight)).map_err(|what| ("weighted", what))
        }
        Values::OneOf(some) => {
            if !(1..=CHOICES_MAX).contains(&some.len()) {
                return Err(("one_of", format!("expected 1 to {CHOICES_MAX} generators, found {}", some.len())));
            }
            check_weights(some.iter().map(|(_, weight)| *weight)).map_err(|what| ("one_of", what))
        }
        Values::Normal(numbers) => {
            check_number(numbers.mean).map_err(|what| ("normal.mean", what))?;
            check_number(numbers.deviation).map_err(|what| ("normal.deviation", what))?;
            if numbers.deviation < 0.0 {
                return Err(("normal.deviation", format!("expected 0 or more, found {}", numbers.deviation)));
            }
            check_decimals(numbers.decimals).map_err(|what| ("normal.decimals", what))
        }
        Values::Zipf(ranks) => {
            if !(0.0..=EXPONENT_MAX).contains(&ranks.exponent) {
                let what = format!("expected 0 to {EXPONENT_MAX}, found {}", ranks.exponent);
                return Err(("zipf.exponent", what));
            }
            match (ranks.count, &ranks.choice) {
                (Some(count), None) if !(1..=RANKS_MAX).contains(&count) => {
                    Err(("zipf.count", format!("expected 1 to {RANKS_MAX}, found {count}")))
                }
                (Some(_), None) => Ok(()),
                (None, Some(choices)) => check_choices(choices.iter()).map_err(|what| ("zipf.choice", what)),
                _ => Err(("zipf", "expected either `count` or `choice`".to_owned())),
            }
        }
        Values::Walk(walk) => {
            check_number(walk.min).map_err(|what| ("walk.min", what))?;
            check_number(walk.max).map_err(|what| ("walk.max", what))?;
            let range = walk.max - walk.min;
            if range <= 0.0 {
                return Err(("walk", format!("expected `min` below `max`, found {} and {}", walk.min, walk.max)));
            }
            if !(walk.step >= range / STEPS_MAX && walk.step <= range) {
                let least = range / STEPS_MAX;
                return Err(("walk.step", format!("expected {least} to {range}, found {}", walk.step)));
            }
            check_decimals(walk.decimals).map_err(|what| ("walk.decimals", what))
        }
        Values::Text(words) => check_length(*words).map_err(|what| ("text", what)),
        Values::Array(array) => check_length(array.length).map_err(|what| ("array.length", what)),
        Values::DateTime(times) => times.range().map(drop),
        Values::Join(parts) => match parts.iter().position(|part| !is_plain(part)) {
            Some(at) => Err((
                "join",
                format!("expected texts, numbers and booleans, found an object, an array or null at {at}"),
            )),
            None => Ok(()),
        },
        Values::Shared(shared) if shared.draw.len() > NAME_BYTES_MAX => {
            let what = format!("expected at most {NAME_BYTES_MAX} bytes, found {}", shared.draw.len());
            Err(("shared.draw", what))
        }
        _ => Ok(()),
    }
}

/// Whether a value is no object, no array and not null, so that a text can have it within.
fn is_plain(values: &Values) -> bool {
    match values {
        Values::Object(_) | Values::Array(_) => false,
        Values::Constant(value) => value.is_string() || value.is_number() || value.is_boolean(),
        Values::OneOf(some) => some.iter().all(|(one, _)| is_plain(one)),
        Values::Shared(shared) => is_plain(&shared.of),
        _ => true,
    }
}

/// How many fields a value counts for.
fn fields_of(values: &Values) -> usize {
    let within: usize = match values {
        Values::Object(fields) => fields.0.iter().map(|(_, values)| fields_of(values)).sum(),
        Values::Array(array) => fields_of(&array.of),
        Values::Shared(shared) => return fields_of(&shared.of),
        Values::OneOf(some) => some.iter().map(|(one, _)| fields_of(one)).sum(),
        Values::Join(parts) => parts.iter().map(fields_of).sum(),
        _ => 0,
    };
    1 + within
}

/// How many choices and ranks are kept for a value.
fn table_of(values: &Values) -> usize {
    match values {
        Values::Choice(choices) => choices.len(),
        Values::Weighted(choices) => choices.len(),
        Values::Zipf(ranks) => ranks.count.unwrap_or(0) as usize + ranks.choice.as_ref().map_or(0, Vec::len),
        Values::Object(fields) => fields.0.iter().map(|(_, values)| table_of(values)).sum(),
        Values::Array(array) => table_of(&array.of),
        Values::Shared(shared) => table_of(&shared.of),
        Values::OneOf(some) => some.iter().map(|(one, _)| table_of(one)).sum(),
        Values::Join(parts) => parts.iter().map(table_of).sum(),
        _ => 0,
    }
}

fn check_choices<'a>(choices: impl ExactSizeIterator<Item = &'a Scalar>) -> Result<(), String> {
    if !(1..=CHOICES_MAX).contains(&choices.len()) {
        return Err(format!("expected 1 to {CHOICES_MAX} values, found {}", choices.len()));
    }
    for choice in choices {
        if matches!(choice, Scalar::Float(value) if !value.is_finite()) {
            return Err("expected numbers that JSON can write, found one that is not finite".to_owned());
        }
        let json = choice.json();
        if json.len() > CHOICE_BYTES_MAX {
            let (shown, bytes) = (beginning(&json), json.len());
            return Err(format!(
                "expected values of at most {CHOICE_BYTES_MAX} bytes as JSON, found {shown}… of {bytes}"
            ));
        }
    }
    Ok(())
}

fn check_weights(mut weights: impl Iterator<Item = u32>) -> Result<(), String> {
    match weights.any(|weight| weight > 0) {
        true => Ok(()),
        false => Err("expected a weight above 0, found none".to_owned()),
    }
}

fn check_number(number: f64) -> Result<(), String> {
    match number.abs() <= NUMBER_MAX {
        true => Ok(()),
        false => Err(format!("expected a number from -1e15 to 1e15, found {number}")),
    }
}

fn check_decimals(decimals: u8) -> Result<(), String> {
    match decimals <= DECIMALS_MAX {
        true => Ok(()),
        false => Err(format!("expected 0 to {DECIMALS_MAX}, found {decimals}")),
    }
}

fn check_length([from, to]: [u32; 2]) -> Result<(), String> {
    match from <= to && to <= LENGTH_MAX {
        true => Ok(()),
        false => Err(format!(
            "expected the lesser number first and at most {LENGTH_MAX}, as in [1, 5], found [{from}, {to}]"
        )),
    }
}
