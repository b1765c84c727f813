//! An event held to a compiled schema. Each part of the schema looks at a value once; the first thing that is wrong is told.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashSet},
    fmt,
};

use serde_json::{Map, Number, Value};

use crate::node::{ArrayKeywords, Keywords, Node, NumberKeywords, ObjectKeywords, TextKeywords, Type};

/// How much of a key or a value is told again, and of a path.
const SHOWN_CHARS_MAX: usize = 80;
const PATH_CHARS_MAX: usize = 200;

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// The keys and places that lead there, the innermost first.
    path: Vec<String>,
    what: String,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Self {
        Self { path: Vec::new(), what: what.into() }
    }

    fn below(mut self, key: impl fmt::Display) -> Self {
        self.path.push(key.to_string());
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: String = self.path.iter().rev().map(|key| format!("/{}", short(key))).collect();
        let path: String = path.chars().take(PATH_CHARS_MAX).collect();
        write!(f, "{}: {}", if path.is_empty() { "the event" } else { &path }, self.what)
    }
}

/// Checks `value`.
pub(crate) fn check(node: &Node, value: &Value) -> Result<(), Wrong> {
    let keywords = match node {
        Node::Anything => return Ok(()),
        Node::Nothing => return Err(Wrong::new("nothing may stand here")),
        Node::Keywords(keywords) => keywords,
    };
    types(keywords, value)?;
    if keywords.exactly.as_ref().is_some_and(|exactly| !same(exactly, value)) {
        return Err(Wrong::new("it is not the one value that may stand here"));
    }
    if keywords.one_of_values.as_ref().is_some_and(|values| !values.iter().any(|one| same(one, value))) {
        return Err(Wrong::new(format!("{} is not one of the values that may stand here", short(&value.to_string()))));
    }
    match value {
        Value::Number(number) => check_number(&keywords.number, number)?,
        Value::String(text) => check_text(&keywords.text, text)?,
        Value::Array(elements) => check_array(&keywords.array, elements)?,
        Value::Object(object) => check_object(&keywords.object, object, value)?,
        Value::Null | Value::Bool(_) => {}
    }
    combined(keywords, value)
}

fn types(keywords: &Keywords, value: &Value) -> Result<(), Wrong> {
    let Some(types) = &keywords.types else { return Ok(()) };
    let is = |of: &Type| match (of, value) {
        (Type::Null, Value::Null)
        | (Type::Boolean, Value::Bool(_))
        | (Type::Number, Value::Number(_))
        | (Type::String, Value::String(_))
        | (Type::Array, Value::Array(_))
        | (Type::Object, Value::Object(_)) => true,
        (Type::Integer, Value::Number(number)) => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    };
    if types.iter().any(is) {
        return Ok(());
    }
    let wanted: Vec<&str> = types.iter().map(|of| of.name()).collect();
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Err(Wrong::new(format!("expected {}, found {found}", wanted.join(" or "))))
}

fn combined(keywords: &Keywords, value: &Value) -> Result<(), Wrong> {
    keywords.all.iter().try_for_each(|node| check(node, value))?;
    if !keywords.any.is_empty() {
        let mut first = None;
        let found =
            keywords.any.iter().any(|node| check(node, value).map_err(|wrong| first.get_or_insert(wrong)).is_ok());
        if let Some(wrong) = first.filter(|_| !found) {
            let Wrong { path, what } = wrong;
            return Err(Wrong { path, what: format!("none of several alternatives fits; of the first: {what}") });
        }
    }
    if !keywords.one.is_empty() {
        let fitting = keywords.one.iter().filter(|node| check(node, value).is_ok()).count();
        if fitting != 1 {
            return Err(Wrong::new(format!(
                "{fitting} of {} alternatives fit, and exactly one has to",
                keywords.one.len()
            )));
        }
    }
    if keywords.not.as_ref().is_some_and(|node| check(node, value).is_ok()) {
        return Err(Wrong::new("it is what may not stand here"));
    }
    if let Some(conditional) = &keywords.conditional {
        let branch = match check(&conditional.condition, value) {
            Ok(()) => &conditional.then,
            Err(_) => &conditional.otherwise,
        };
        branch.as_ref().map_or(Ok(()), |node| check(node, value))?;
    }
    Ok(())
}

fn check_number(keywords: &NumberKeywords, number: &Number) -> Result<(), Wrong> {
    for (bound, out, sign) in [(&keywords.minimum, Ordering::Less, ">"), (&keywords.maximum, Ordering::Greater, "<")] {
        let Some((bound, is_out_itself)) = bound else { continue };
        let order = compare(number, bound);
        if order == out || *is_out_itself && order == Ordering::Equal {
            let equal = if *is_out_itself { "" } else { "=" };
            return Err(Wrong::new(format!("{number} is not {sign}{equal} {bound}")));
        }
    }
    if let Some(step) = keywords.multiple_of {
        let times = number.as_f64().unwrap_or(0.0) / step;
        // A quotient of decimals is seldom exact in binary: 0.3 / 0.1 is 2.9999999999999996.
        if !times.is_finite() || (times - times.round()).abs() > 1e-9 * times.abs().max(1.0) {
            return Err(Wrong::new(format!("{number} is not a multiple of {step}")));
        }
    }
    Ok(())
}

/// Whole numbers exactly; else as floating point numbers.
fn compare(a: &Number, b: &Number) -> Ordering {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
    }
}

fn check_text(keywords: &TextKeywords, text: &str) -> Result<(), Wrong> {
    let TextKeywords { length_min, length_max, pattern, format } = keywords;
    if *length_min > 0 || length_max.is_some() {
        counted(text.chars().count(), *length_min, *length_max, "characters")?;
    }
    if let Some(pattern) = pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        return Err(Wrong::new(format!("{:?} does not match {:?}", short(text), short(pattern.as_str()))));
    }
    if let Some(format) = format.as_ref().filter(|format| !format.fits(text)) {
        return Err(Wrong::new(format!("{:?} is no {}", short(text), format.name)));
    }
    Ok(())
}

fn counted(count: usize, min: u64, max: Option<u64>, what: &str) -> Result<(), Wrong> {
    let count = count as u64;
    if count < min {
        return Err(Wrong::new(format!("it has {count} {what}, and at least {min} are wanted")));
    }
    match max.filter(|max| count > *max) {
        Some(max) => Err(Wrong::new(format!("it has {count} {what}, and at most {max} are taken"))),
        None => Ok(()),
    }
}

fn check_array(keywords: &ArrayKeywords, elements: &[Value]) -> Result<(), Wrong> {
    let ArrayKeywords { first, rest, contains, count_min, count_max, unique } = keywords;
    counted(elements.len(), *count_min, *count_max, "elements")?;
    for (at, element) in elements.iter().enumerate() {
        match first.get(at).or(rest.as_ref()) {
            Some(node) => check(node, element).map_err(|wrong| wrong.below(at))?,
            None => break,
        }
    }
    if let Some(contains) = contains {
        let fitting = elements.iter().filter(|element| check(&contains.node, element).is_ok()).count() as u64;
        if fitting < contains.min || contains.max.is_some_and(|max| fitting > max) {
            return Err(Wrong::new(format!("{fitting} of its elements are of the kind that it has to contain")));
        }
    }
    if *unique {
        let mut seen = HashSet::with_capacity(elements.len());
        if let Some(at) = elements.iter().position(|element| !seen.insert(canonical(element))) {
            return Err(Wrong::new("it stands before already, and each may stand once").below(at));
        }
    }
    Ok(())
}

fn check_object(keywords: &ObjectKeywords, object: &Map<String, Value>, value: &Value) -> Result<(), Wrong> {
    if let Some(key) = keywords.required.iter().find(|key| !object.contains_key(*key)) {
        return Err(Wrong::new(format!("{:?} is missing", short(key))));
    }
    counted(object.len(), keywords.count_min, keywords.count_max, "members")?;
    let looks = !keywords.properties.is_empty()
        || !keywords.patterns.is_empty()
        || keywords.others.is_some()
        || keywords.names.is_some();
    for (key, member) in object.iter().filter(|_| looks) {
        let inside = |wrong: Wrong| wrong.below(key);
        if let Some(names) = &keywords.names {
            check(names, &Value::String(key.clone())).map_err(inside)?;
        }
        let declared = keywords.properties.get(key);
        let matching = keywords.patterns.iter().filter(|(pattern, _)| pattern.is_match(key)).map(|(_, node)| node);
        let mut is_known = false;
        for node in declared.into_iter().chain(matching) {
            is_known = true;
            check(node, member).map_err(inside)?;
        }
        match keywords.others.as_ref().filter(|_| !is_known) {
            Some(Node::Nothing) => return Err(Wrong::new("no key of this name may stand here").below(key)),
            Some(node) => check(node, member).map_err(inside)?,
            None => {}
        }
    }
    for (key, needed) in keywords.needs.iter().filter(|(key, _)| object.contains_key(key)) {
        if let Some(missing) = needed.iter().find(|needed| !object.contains_key(*needed)) {
            return Err(Wrong::new(format!("{:?} is missing, and {:?} is there", short(missing), short(key))));
        }
    }
    let implied = keywords.implies.iter().filter(|(key, _)| object.contains_key(key));
    implied.map(|(_, node)| node).try_for_each(|node| check(node, value))
}

/// Whether two values are the same to JSON Schema, to which 1 and 1.0 are one number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(a, b) == Ordering::Equal,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// A text that two values have in common if they are the same.
fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[allow(clippy::cast_possible_truncation)]
            Some(float) if !number.is_i64() && !number.is_u64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                (float as i64).to_string()
            }
            _ => number.to_string(),
        },
        Value::Array(elements) => format!("[{}]", elements.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(object) => {
            let members: BTreeSet<(&String, String)> = object.iter().map(|(key, of)| (key, canonical(of))).collect();
            let members: Vec<String> = members.into_iter().map(|(key, of)| format!("{key:?}:{of}")).collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

fn short(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
