//! A TOML text as a tree of values, with the line of every key, and with `${NAME}` taken from the environment.
//!
//! The tree is JSON, so that serde and the sources' own settings read it alike; the lines stand beside it, by path. What
//! came from the environment is remembered, so that no message ever shows it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Environment,
    problem::{Problem, instead},
};

/// Where a value stands: the keys that lead to it.
pub(crate) type Place<'a> = &'a [&'a str];

/// A parsed pipeline file.
pub(crate) struct Document {
    tree: Value,
    /// Byte position of each key.
    places: BTreeMap<Vec<String>, usize>,
    /// Byte position of each line's start.
    lines: Vec<usize>,
    /// Values from the environment, with their names.
    secrets: Vec<(String, String)>,
}

impl Document {
    /// Parses `text`; `environment` gives the value of a `${NAME}`.
    pub(crate) fn parse(text: &str, environment: &Environment<'_>) -> Result<Self, Vec<Problem>> {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut document = Self { tree: Value::Null, places: BTreeMap::new(), lines, secrets: Vec::new() };
        let table = DeTable::parse(text).map_err(|error| {
            let line = document.line_at(error.span().map_or(0, |span| span.start));
            vec![Problem { line, key: String::new(), what: format!("not TOML: {}", error.message()) }]
        })?;
        let mut problems = Vec::new();
        let tree = document.table(table.get_ref(), &mut Vec::new(), environment, &mut problems);
        document.tree = tree;
        if problems.is_empty() { Ok(document) } else { Err(problems) }
    }

    /// The value at `path`; an array's items are its indices.
    pub(crate) fn get(&self, path: Place<'_>) -> Option<&Value> {
        path.iter().try_fold(&self.tree, |value, key| match value {
            Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => value.get(key),
        })
    }

    /// The keys of the table at `path`, in the order in which they stand in the file.
    pub(crate) fn keys(&self, path: Place<'_>) -> Vec<&str> {
        let Some(Value::Object(table)) = self.get(path) else { return Vec::new() };
        let mut keys: Vec<_> = table.keys().map(String::as_str).collect();
        keys.sort_by_key(|key| self.places.get(&joined(path, key)));
        keys
    }

    /// Reads the value at `path` as a `T`; what is wrong with it becomes a problem with its own line and key.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: Place<'_>) -> Result<T, Problem> {
        let value = self.get(path).unwrap_or(&Value::Null);
        serde_path_to_error::deserialize(value).map_err(|error| {
            let mut at: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
            for segment in error.path() {
                match segment {
                    serde_path_to_error::Segment::Map { key } => at.push(key.clone()),
                    serde_path_to_error::Segment::Seq { index } => at.push(index.to_string()),
                    _ => {}
                }
            }
            self.explain(at, &error.inner().to_string())
        })
    }

    /// A problem with the value at `path`. The line is that of the nearest key that is there.
    pub(crate) fn problem(&self, path: Place<'_>, what: impl Into<String>) -> Problem {
        self.at(path.iter().map(|&key| key.to_owned()).collect(), what.into())
    }

    /// Turns serde's `message` about the value at `at` into one with the key and what would be valid.
    pub(crate) fn explain(&self, mut at: Vec<String>, message: &str) -> Problem {
        // "`a.b`: …": where below the settings, as a source's spec says it.
        if let Some((path, message)) = message.strip_prefix('`').and_then(|rest| rest.split_once("`: ")) {
            at.extend(path.split('.').map(str::to_owned));
            return self.explain(at, message);
        }
        let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        if let Some(key) = message.starts_with("unknown field").then(|| words.first()).flatten() {
            if at.last().is_none_or(|last| last != key) {
                at.push((*key).to_owned());
            }
            return self.at(at, format!("unknown key; {}", instead(key, words[1..].iter().copied())));
        }
        if let Some(key) = message.starts_with("missing field").then(|| words.first()).flatten() {
            at.push((*key).to_owned());
            return self.at(at, "this key is missing".to_owned());
        }
        if let Some(found) = message.starts_with("unknown variant").then(|| words.first()).flatten() {
            return self.at(at, format!("{found:?} is unknown; {}", instead(found, words[1..].iter().copied())));
        }
        // A sentence of a source's own check names its key in backticks or as its first word.
        let named = words.first().copied().or_else(|| message.split([' ', ':']).next());
        if let Some(key) = named {
            let below = [at.as_slice(), &[key.to_owned()]].concat();
            if self.places.contains_key(&below) {
                at = below;
            }
        }
        self.at(at, message.to_owned())
    }

    fn at(&self, path: Vec<String>, what: String) -> Problem {
        let known = (1..=path.len()).rev().find_map(|length| self.places.get(&path[..length]));
        let line = known.map_or(0, |at| self.line_at(*at));
        Problem { line, key: path.join("."), what: self.hide(what) }
    }

    /// Puts names back where values of the environment would show.
    pub(crate) fn hide(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, (name, value)| text.replace(value.as_str(), &format!("${{{name}}}")))
    }

    fn line_at(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte)
    }

    fn table(
        &mut self,
        table: &DeTable<'_>,
        path: &mut Vec<String>,
        environment: &Environment<'_>,
        problems: &mut Vec<Problem>,
    ) -> Value {
        let mut object = serde_json::Map::new();
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            self.places.insert(path.clone(), key.span().start);
            let value = self.value(value, path, environment, problems);
            path.pop();
            object.insert(key.get_ref().to_string(), value);
        }
        Value::Object(object)
    }

    fn value(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        path: &mut Vec<String>,
        environment: &Environment<'_>,
        problems: &mut Vec<Problem>,
    ) -> Value {
        match value.get_ref() {
            DeValue::String(text) => match self.substitute(text, environment) {
                Ok(text) => Value::String(text),
                Err(what) => {
                    problems.push(self.at(path.clone(), what));
                    Value::Null
                }
            },
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                match i64::from_str_radix(&digits, number.radix()) {
                    Ok(number) => number.into(),
                    Err(_) => {
                        problems.push(self.at(path.clone(), "this number is too large".to_owned()));
                        Value::Null
                    }
                }
            }
            DeValue::Float(number) => number.as_str().replace('_', "").parse::<f64>().map_or(Value::Null, Value::from),
            DeValue::Boolean(yes) => Value::Bool(*yes),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Array(values) => {
                let mut array = Vec::with_capacity(values.len());
                for (index, value) in values.iter().enumerate() {
                    path.push(index.to_string());
                    self.places.insert(path.clone(), value.span().start);
                    array.push(self.value(value, path, environment, problems));
                    path.pop();
                }
                Value::Array(array)
            }
            DeValue::Table(table) => self.table(table, path, environment, problems),
        }
    }

    /// `text` with each `${NAME}` replaced; `$${` stands for `${` itself.
    fn substitute(&mut self, text: &str, environment: &Environment<'_>) -> Result<String, String> {
        let mut rest = text;
        let mut whole = String::with_capacity(text.len());
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(escaped) = before.strip_suffix('$') {
                whole.push_str(escaped);
                whole.push_str("${");
                rest = after;
                continue;
            }
            let Some(end) = after.find('}') else {
                return Err("`${` without a closing `}`; write `$${` for the two characters themselves".to_owned());
            };
            let name = &after[..end];
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(format!("`${{{name}}}` is not the name of an environment variable"));
            }
            let value = environment(name).ok_or_else(|| {
                format!("the environment variable {name} is not set; set it, or write the value here")
            })?;
            whole.push_str(before);
            whole.push_str(&value);
            if !value.is_empty() {
                self.secrets.push((name.to_owned(), value));
            }
            rest = &after[end + 1..];
        }
        whole.push_str(rest);
        Ok(whole)
    }
}

fn joined(path: Place<'_>, key: &str) -> Vec<String> {
    path.iter().copied().chain([key]).map(str::to_owned).collect()
}
