//! A TOML text as a tree of values, with the line of every key, and with `${NAME}` taken from the environment.
//!
//! The tree is JSON, so that serde and the sources' own settings read it alike; the lines stand beside it, by path. What
//! came from the environment is remembered, so that no message ever shows it.

use std::{collections::BTreeMap, ops::Range};

use lakehead_model::{
    Name,
    hint::{instead, marked},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    environment::{Environment, substitute},
    explain::in_words,
    problem::Problem,
    repair::{STAND_INS, put, stand_in, take},
    written,
};

/// Mistakes of TOML that are told: a quote that is not closed makes one of every line behind it.
const MISTAKES_SHOWN: usize = 10;

/// Tries to read a table whose mistakes are left out one by one.
const TRIES_MAX: usize = 200;

/// Where a value stands: the keys that lead to it.
pub(super) type Place<'a> = &'a [&'a str];

/// A parsed pipeline file.
pub(super) struct Document {
    tree: Value,
    /// The file as it is written.
    text: String,
    /// Byte position of each key.
    places: BTreeMap<Vec<String>, usize>,
    /// Where the text of each value stands, with its quotes.
    texts: BTreeMap<Vec<String>, Range<usize>>,
    /// Byte position of each line's start.
    lines: Vec<usize>,
    /// Values from the environment, with their names.
    secrets: Vec<(String, String)>,
    /// What stands twice in the file; of each only the first is here.
    pub(super) twice: Vec<Problem>,
}

impl Document {
    /// Parses `text`; `environment` gives the value of a `${NAME}`.
    pub(super) fn parse(text: &str, environment: &Environment<'_>) -> Result<Self, Vec<Problem>> {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut document = Self {
            tree: Value::Null,
            text: text.to_owned(),
            places: BTreeMap::new(),
            texts: BTreeMap::new(),
            lines,
            secrets: Vec::new(),
            twice: Vec::new(),
        };
        let (table, mistakes) = DeTable::parse_recoverable(text);
        let mut told: Vec<Problem> =
            mistakes.iter().take(MISTAKES_SHOWN).map(|mistake| document.not_toml(mistake)).collect();
        // What follows from the first mistake of a line is none of its own.
        told.dedup_by_key(|mistake| mistake.line);
        // A table that stands twice leaves the rest readable; after another mistake who knows what is meant.
        if mistakes.iter().any(|mistake| mistake.message() != TWICE) {
            return Err(told);
        }
        document.twice = told;
        let mut problems = Vec::new();
        let tree = document.table(table.get_ref(), &mut Vec::new(), environment, &mut problems);
        document.tree = tree;
        if problems.is_empty() { Ok(document) } else { Err(problems) }
    }

    /// What is no TOML, with its place.
    fn not_toml(&self, mistake: &toml::de::Error) -> Problem {
        let at = mistake.span().unwrap_or(0..0);
        let at = at.start.min(self.text.len())..at.end.min(self.text.len());
        let line = self.line_at(at.start);
        let (column, length) = (self.column_at(at.start), self.text[at.clone()].chars().count());
        let marked = marked(self.line(line), column, length);
        if mistake.message() == TWICE {
            let (key, first) = self.standing_twice(line);
            let before = first.map_or(String::new(), |first| format!(", first in line {first}"));
            let what = format!("this stands twice in the file{before}; keep one, or give one another name");
            return Problem { line, column, key, what, marked };
        }
        let no_value = ["mantissa", "float", "fraction", "exponent", "integer", "datetime", "value", "unquoted"];
        let what = match mistake.message() {
            message
                if message.starts_with("invalid ") && no_value.iter().any(|word| message[8..].starts_with(word)) =>
            {
                "not TOML: this is no value; a text stands in quotes, as in \"text\"".to_owned()
            }
            message => format!("not TOML: {message}"),
        };
        Problem { line, column, key: String::new(), what, marked }
    }

    /// The key or table of a line that has one a second time, and the line of the first.
    fn standing_twice(&self, line: usize) -> (String, Option<usize>) {
        let lines: Vec<&str> = self.text.lines().collect();
        let header = |index: usize| (0..=index).rev().find(|above| lines[*above].trim_start().starts_with('['));
        let name = |line: &str| {
            let line = line.split('#').next().unwrap_or(line);
            line.split('=').next().unwrap_or(line).trim().trim_matches(['[', ']']).trim().to_owned()
        };
        let index = line.saturating_sub(1).min(lines.len().saturating_sub(1));
        let own = name(lines.get(index).copied().unwrap_or_default());
        let is_header = header(index) == Some(index);
        let table = header(index).filter(|_| !is_header);
        let first = (table.map_or(0, |table| table + 1)..index)
            .find(|above| name(lines[*above]) == own && lines[*above].trim_start().starts_with('[') == is_header);
        let key = table.map_or(own.clone(), |table| format!("{}.{own}", name(lines[table])));
        (key, first.map(|first| first + 1))
    }

    /// The text of a line, from 1.
    fn line(&self, line: usize) -> &str {
        self.text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default()
    }

    /// A mistake in the text at `path`, at a line and column of that text (from 1), told with its place in the file.
    pub(super) fn problem_in_text(
        &self,
        path: Place<'_>,
        (line, column, length): (usize, usize, usize),
        what: impl Into<String>,
    ) -> Problem {
        let whole: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        let value = |name: &str| {
            let secret = self.secrets.iter().find(|(secret, _)| secret == name);
            secret.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let found = self.texts.get(&whole).and_then(|span| {
            let shown = self.get(path)?.as_str()?;
            let at = written::place(&self.text[span.clone()], &value, shown, (line, column))?;
            Some(span.start + at)
        });
        let problem = self.at(whole, what.into());
        let Some(at) = found else { return problem };
        let (line, column) = (self.line_at(at), self.column_at(at));
        Problem { line, column, marked: marked(self.line(line), column, length), ..problem }
    }

    /// The value at `path`; an array's items are its indices.
    pub(super) fn get(&self, path: Place<'_>) -> Option<&Value> {
        path.iter().try_fold(&self.tree, |value, key| match value {
            Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => value.get(key),
        })
    }

    /// The keys of the table at `path`, in the order in which they stand in the file.
    pub(super) fn keys(&self, path: Place<'_>) -> Vec<&str> {
        let Some(Value::Object(table)) = self.get(path) else { return Vec::new() };
        let mut keys: Vec<_> = table.keys().map(String::as_str).collect();
        keys.sort_by_key(|key| self.places.get(&joined(path, key)));
        keys
    }

    /// The value at `path`, if there is one and it is right; what is wrong with it is a problem.
    pub(super) fn optional<T: DeserializeOwned>(&self, path: Place<'_>, problems: &mut Vec<Problem>) -> Option<T> {
        self.get(path)?;
        self.read(path).map_err(|problem| problems.push(problem)).ok()
    }

    /// The table at `path`, if there is one and it is right; everything that is wrong with it is a problem.
    pub(super) fn optional_table<T: DeserializeOwned>(
        &self,
        path: Place<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        self.get(path)?;
        self.read_all(path, problems)
    }

    /// The names of the tables `[kind.NAME]`; what is no name, or no table, is a problem.
    pub(super) fn tables<'d>(&'d self, kind: &'d str, problems: &mut Vec<Problem>) -> Vec<(Name, &'d str)> {
        if let Some(found) = self.get(&[kind]).filter(|found| !found.is_object()) {
            let what = format!("write a table, [{kind}.NAME], not {}", article(found));
            problems.push(self.problem(&[kind], what));
        }
        let mut names = Vec::new();
        for text in self.keys(&[kind]) {
            match Name::new(text) {
                Err(error) => problems.push(self.problem(&[kind, text], error.to_string())),
                Ok(_) if !self.get(&[kind, text]).is_some_and(Value::is_object) => {
                    problems.push(self.problem(&[kind, text], format!("write a table, [{kind}.NAME]")));
                }
                Ok(name) => names.push((name, text)),
            }
        }
        names
    }

    /// Reads the value at `path` as a `T`; what is wrong with it becomes a problem with its own line and key.
    pub(super) fn read<T: DeserializeOwned>(&self, path: Place<'_>) -> Result<T, Problem> {
        let (at, what) = match self.deserialize(path, self.get(path).unwrap_or(&Value::Null)) {
            Ok(read) => return Ok(read),
            Err(wrong) => wrong,
        };
        Err(self.at(at, what))
    }

    fn deserialize<T: DeserializeOwned>(&self, path: Place<'_>, value: &Value) -> Result<T, Wrong> {
        serde_path_to_error::deserialize(value).map_err(|error| {
            let mut at: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
            for segment in error.path() {
                match segment {
                    serde_path_to_error::Segment::Map { key } => at.push(key.clone()),
                    serde_path_to_error::Segment::Seq { index } => at.push(index.to_string()),
                    _ => {}
                }
            }
            self.explained(at, &error.inner().to_string())
        })
    }

    /// Reads the value at `path` as [`read`](Self::read) does, and finds everything that is wrong with it.
    pub(super) fn read_all<T: DeserializeOwned>(&self, path: Place<'_>, problems: &mut Vec<Problem>) -> Option<T> {
        let value = self.get(path).cloned().unwrap_or_default();
        self.all(path, value, |value| self.deserialize(path, value), problems)
    }

    /// Checks `value`, which stands at `path`, and finds everything that `check` has against it.
    pub(super) fn check_all(
        &self,
        path: Place<'_>,
        value: Value,
        check: impl Fn(&Value) -> Result<(), String>,
        problems: &mut Vec<Problem>,
    ) {
        let whole = || path.iter().map(|&key| key.to_owned()).collect();
        let check = |value: &Value| check(value).map_err(|message| self.explained(whole(), &message));
        let _: Option<()> = self.all(path, value, check, problems);
    }

    /// Reads `value`; what is wrong is told, left out or put right, and it is read again, until nothing more is found.
    fn all<T>(
        &self,
        path: Place<'_>,
        mut value: Value,
        read: impl Fn(&Value) -> Result<T, Wrong>,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let mut told: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        for _ in 0..TRIES_MAX {
            let (at, what) = match read(&value) {
                Ok(read) => return told.is_empty().then_some(read),
                Err(wrong) => wrong,
            };
            let below = at.get(path.len()..).unwrap_or_default().to_vec();
            if below.is_empty() {
                if told.is_empty() {
                    problems.push(self.at(at, what));
                }
                return None;
            }
            match told.get(&below).copied() {
                None => {
                    let is_there = take(&mut value, &below).is_some();
                    problems.push(self.at(at, what));
                    told.insert(below.clone(), 0);
                    if !is_there && !put(&mut value, &below, stand_in(0)) {
                        return None;
                    }
                }
                // Without it, or with what was put in its place, the rest cannot be read yet.
                Some(tried) => {
                    if tried >= STAND_INS || !put(&mut value, &below, stand_in(tried)) {
                        return None;
                    }
                    told.insert(below, tried + 1);
                }
            }
        }
        None
    }

    /// A problem with the value at `path`. The line is that of the nearest key that is there.
    pub(super) fn problem(&self, path: Place<'_>, what: impl Into<String>) -> Problem {
        self.at(path.iter().map(|&key| key.to_owned()).collect(), what.into())
    }

    /// Turns serde's `message` about the value at `at` into one with the key and what would be valid.
    pub(super) fn explain(&self, at: Vec<String>, message: &str) -> Problem {
        let (at, what) = self.explained(at, message);
        self.at(at, what)
    }

    fn explained(&self, mut at: Vec<String>, message: &str) -> Wrong {
        // "`a.b`: …": where below the settings, as a source's spec says it.
        if let Some((path, message)) = message.strip_prefix('`').and_then(|rest| rest.split_once("`: ")) {
            at.extend(path.split('.').map(str::to_owned));
            return self.explained(at, message);
        }
        let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        if let Some(key) = message.starts_with("unknown field").then(|| words.first()).flatten() {
            if at.last().is_none_or(|last| last != key) {
                at.push((*key).to_owned());
            }
            return (at, format!("unknown key; {}", instead(key, words[1..].iter().copied())));
        }
        if let Some(key) = message.starts_with("missing field").then(|| words.first()).flatten() {
            at.push((*key).to_owned());
            return (at, "this key is missing".to_owned());
        }
        if let Some(found) = message.starts_with("unknown variant").then(|| words.first()).flatten() {
            return (at, format!("{found:?} is unknown; {}", instead(found, words[1..].iter().copied())));
        }
        // A sentence of a source's own check names its key in backticks or as its first word.
        let named = words.first().copied().or_else(|| message.split([' ', ':']).next());
        // A number in backticks is a value, as serde says it, and no place in a list.
        if let Some(key) = named.filter(|key| key.parse::<u64>().is_err()) {
            let below = [at.as_slice(), &[key.to_owned()]].concat();
            if self.places.contains_key(&below) {
                at = below;
                // The key is said already.
                return (at, in_words(message.strip_prefix(&format!("{key}: ")).unwrap_or(message)));
            }
        }
        (at, in_words(message))
    }

    fn at(&self, path: Vec<String>, what: String) -> Problem {
        let known = (1..=path.len()).rev().find_map(|length| self.places.get(&path[..length]));
        let line = known.map_or(0, |at| self.line_at(*at));
        Problem { line, key: path.join("."), what: self.hide(what), ..Problem::default() }
    }

    /// Puts names back where values of the environment would show.
    pub(super) fn hide(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, (name, value)| text.replace(value.as_str(), &format!("${{{name}}}")))
    }

    fn line_at(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte)
    }

    /// The character of its line that begins at `byte`, from 1.
    fn column_at(&self, byte: usize) -> usize {
        let start = self.lines[self.line_at(byte).saturating_sub(1)];
        self.text.get(start..byte).map_or(1, |before| before.chars().count() + 1)
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
            DeValue::String(text) => match substitute(text, environment) {
                Ok((text, secrets)) => {
                    self.secrets.extend(secrets);
                    self.texts.insert(path.clone(), value.span());
                    Value::String(text)
                }
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
}

fn article(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

fn joined(path: Place<'_>, key: &str) -> Vec<String> {
    path.iter().copied().chain([key]).map(str::to_owned).collect()
}

/// What the parser of TOML says of a key that stands twice.
const TWICE: &str = "duplicate key";

/// Where, and what.
type Wrong = (Vec<String>, String);
