//! Changes to a tree of values that is wrong somewhere, so that what else is wrong with it is found.

use serde_json::{Value, json};

/// What is put in the place of a value that is missing or wrong, so that what else is wrong is found.
pub(super) fn stand_in(number: usize) -> Value {
    match number {
        0 => json!(""),
        1 => json!(0),
        2 => json!(false),
        3 => json!({}),
        4 => json!([]),
        5 => json!("1s"),
        6 => json!("1 MiB"),
        _ => json!("http://127.0.0.1/"),
    }
}

/// How many stand-ins there are.
pub(super) const STAND_INS: usize = 8;

fn below<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
        Value::Object(table) => table.get_mut(key),
        _ => None,
    })
}

/// Takes the value at `path` out.
pub(super) fn take(value: &mut Value, path: &[String]) -> Option<Value> {
    let (last, parent) = path.split_last()?;
    match below(value, parent)? {
        Value::Object(table) => table.remove(last),
        Value::Array(items) => {
            let index = last.parse::<usize>().ok().filter(|index| *index < items.len())?;
            Some(items.remove(index))
        }
        _ => None,
    }
}

/// Puts a value at `path`; false where there is no table for it.
pub(super) fn put(value: &mut Value, path: &[String], new: Value) -> bool {
    let Some((last, parent)) = path.split_last() else { return false };
    match below(value, parent) {
        Some(Value::Object(table)) => {
            table.insert(last.clone(), new);
            true
        }
        _ => false,
    }
}
