//! From a document to a compiled schema: every keyword read, every reference replaced by what it refers to, everything counted.

use std::{collections::BTreeMap, fmt::Display};

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Number, Value};

use crate::{
    format::{FORMATS, Format},
    node::{ArrayKeywords, Conditional, Contains, Keywords, Node, NumberKeywords, ObjectKeywords, TextKeywords, Type},
};

/// The largest document: 1 MiB. The largest of Wikimedia's has some 40 KiB.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Most parts that a schema has, those under a reference counted as often as they are referred to. Wikimedia's have hundreds.
pub const PARTS_MAX: usize = 4_096;

/// Most patterns, counted likewise: each takes memory of its own.
const PATTERNS_MAX: usize = 64;

/// The most memory of a compiled pattern, and of the states that it is matched by: 1 MiB each.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// How much of a word that is wrong is told again.
const SHOWN_CHARS_MAX: usize = 80;

/// What says something of a value and is not checked: a schema with one of these would be passed over in part.
const NOT_CHECKED: [&str; 4] = ["unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"];

/// The drafts that are known. Wikimedia's schemas name theirs with `https`, which nobody else does.
const DRAFTS: [(&str, bool); 5] = [
    ("json-schema.org/draft-04/schema", true),
    ("json-schema.org/draft-06/schema", true),
    ("json-schema.org/draft-07/schema", true),
    ("json-schema.org/draft/2019-09/schema", false),
    ("json-schema.org/draft/2020-12/schema", false),
];

/// Compiles the document that `text` is.
pub(crate) fn compile(text: &[u8]) -> Result<(Value, Node), String> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(format!("the schema has {} bytes; at most {DOCUMENT_BYTES_MAX} are taken", text.len()));
    }
    let document: Value = serde_json::from_slice(text)
        .map_err(|error| format!("the schema is not JSON: {error} (one in YAML has to be written as JSON first)"))?;
    if !document.is_object() {
        return Err("a schema is a JSON object, as in {\"type\": \"object\"}".to_owned());
    }
    let named = document.get("$schema").map(|named| named.as_str().unwrap_or_default());
    let ref_stands_alone = match named {
        None => false,
        Some(named) => {
            let bare = named.trim_end_matches('#').trim_start_matches("https://").trim_start_matches("http://");
            let draft = DRAFTS.iter().find(|(draft, _)| *draft == bare);
            let known = "drafts 4, 6, 7, 2019-09 and 2020-12 of json-schema.org are known";
            draft.ok_or_else(|| format!("`$schema` is {:?}: {known}", short(named)))?.1
        }
    };
    let mut compiler = Compiler {
        root: &document,
        ref_stands_alone,
        open: vec!["#"],
        at: Vec::new(),
        parts: 0,
        patterns: 0,
        names_parts: false,
        refers: false,
    };
    let node = compiler.node(&document)?;
    Ok((document, node))
}

struct Compiler<'s> {
    root: &'s Value,
    /// Up to draft 7 nothing that stands beside `$ref` counts.
    ref_stands_alone: bool,
    /// The references that lead to where it is.
    open: Vec<&'s str>,
    /// The keys that lead there, of the document or of what a reference leads to.
    at: Vec<String>,
    parts: usize,
    patterns: usize,
    /// Whether a part below the top names itself, and whether anything is referred to. Each of these parts would be the beginning of
    /// the references in it; where there are none, as in Wikimedia's schemas, the names say nothing.
    names_parts: bool,
    refers: bool,
}

impl<'s> Compiler<'s> {
    fn node(&mut self, schema: &'s Value) -> Result<Node, String> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(format!(
                "the schema has more than {PARTS_MAX} parts, counted as often as they are referred to"
            ));
        }
        let keys = match schema {
            Value::Bool(true) => return Ok(Node::Anything),
            Value::Bool(false) => return Ok(Node::Nothing),
            Value::Object(keys) => keys,
            other => {
                return Err(
                    self.wrong(format!("a schema is an object, true or false, not {}", short(&other.to_string())))
                );
            }
        };
        if let Some(key) = NOT_CHECKED.iter().find(|key| keys.contains_key(**key)) {
            return Err(self.wrong(format!("`{key}` is not checked here, so a schema with it is not taken")));
        }
        self.names_parts |= !self.at.is_empty() && keys.get("$id").is_some_and(Value::is_string);
        self.refers |= keys.contains_key("$ref");
        if self.names_parts && self.refers {
            return Err(self
                .wrong("a schema with `$ref` has no `$id` below its top, where it would change what these refer to"));
        }
        let mut keywords = Keywords::default();
        if let Some(reference) = keys.get("$ref") {
            keywords.all.push(self.follow(reference)?);
            if self.ref_stands_alone {
                return Ok(Node::Keywords(Box::new(keywords)));
            }
        }
        keywords.types = self.types(keys)?;
        keywords.one_of_values = self.array(keys, "enum")?.map(<[Value]>::to_vec);
        keywords.exactly = keys.get("const").cloned();
        keywords.number = self.number(keys)?;
        keywords.text = self.text(keys)?;
        keywords.array = self.array_keywords(keys)?;
        keywords.object = self.object(keys)?;
        keywords.all.extend(self.list(keys, "allOf")?);
        keywords.any = self.list(keys, "anyOf")?;
        keywords.one = self.list(keys, "oneOf")?;
        keywords.not = self.below(keys, "not")?;
        if let Some(condition) = self.below(keys, "if")? {
            let (then, otherwise) = (self.below(keys, "then")?, self.below(keys, "else")?);
            keywords.conditional = Some(Conditional { condition, then, otherwise });
        }
        Ok(Node::Keywords(Box::new(keywords)))
    }

    fn follow(&mut self, reference: &'s Value) -> Result<Node, String> {
        let reference = reference.as_str().ok_or_else(|| self.wrong("`$ref` is a text"))?;
        let shown = short(reference);
        // What is written with a percent sign could be one place here and another one to who reads the schema.
        let is_place = |pointer: &&str| (pointer.is_empty() || pointer.starts_with('/')) && !pointer.contains('%');
        let Some(pointer) = reference.strip_prefix('#').filter(is_place) else {
            let what = format!("`$ref` is {shown:?}: write a place in the same document, as in \"#/definitions/name\"");
            return Err(self.wrong(what));
        };
        if self.open.contains(&reference) {
            let what =
                format!("`$ref` {shown:?} leads back into itself: how deep an event is looked at has to be bounded");
            return Err(self.wrong(what));
        }
        let root = self.root;
        let target = root.pointer(pointer);
        let target =
            target.ok_or_else(|| self.wrong(format!("`$ref` is {shown:?}: there is nothing at that place")))?;
        self.open.push(reference);
        self.at.push("$ref".to_owned());
        let node = self.node(target);
        self.at.pop();
        self.open.pop();
        node
    }

    /// The schema under `key`.
    fn below(&mut self, keys: &'s Map<String, Value>, key: &str) -> Result<Option<Node>, String> {
        let Some(schema) = keys.get(key) else { return Ok(None) };
        self.inside(key, |compiler| compiler.node(schema)).map(Some)
    }

    /// The schemas of the array under `key`.
    fn list(&mut self, keys: &'s Map<String, Value>, key: &str) -> Result<Vec<Node>, String> {
        let Some(schemas) = self.array(keys, key)? else { return Ok(Vec::new()) };
        let nodes = |compiler: &mut Self| {
            let of = |(at, schema): (usize, &'s Value)| compiler.inside(at, |compiler| compiler.node(schema));
            schemas.iter().enumerate().map(of).collect()
        };
        self.inside(key, nodes)
    }

    /// The schemas by name under `key`.
    fn named(&mut self, keys: &'s Map<String, Value>, key: &str) -> Result<Vec<(&'s str, Node)>, String> {
        let Some(schemas) = self.table(keys, key)? else { return Ok(Vec::new()) };
        let nodes = |compiler: &mut Self| {
            let of = |(name, schema): (&'s String, &'s Value)| {
                Ok((name.as_str(), compiler.inside(name, |compiler| compiler.node(schema))?))
            };
            schemas.iter().map(of).collect()
        };
        self.inside(key, nodes)
    }

    fn types(&self, keys: &Map<String, Value>) -> Result<Option<Vec<Type>>, String> {
        let named = match keys.get("type") {
            None => return Ok(None),
            Some(Value::Array(names)) => names.iter().collect(),
            Some(name) => vec![name],
        };
        let of = |name: &Value| {
            let known = Type::NAMED.iter().find(|(known, _)| name == known);
            let all = Type::NAMED.map(|(name, _)| name).join(", ");
            known
                .map(|(_, of)| *of)
                .ok_or_else(|| self.wrong(format!("`type` is {}: valid are {all}", short(&name.to_string()))))
        };
        named.into_iter().map(of).collect::<Result<_, _>>().map(Some)
    }

    fn number(&self, keys: &Map<String, Value>) -> Result<NumberKeywords, String> {
        let bound = |key: &str, exclusive: &str| -> Result<Option<(Number, bool)>, String> {
            let number = |key: &str| match keys.get(key) {
                None | Some(Value::Bool(_)) => Ok(None),
                Some(Value::Number(number)) => Ok(Some(number.clone())),
                Some(_) => Err(self.wrong(format!("`{key}` is a number"))),
            };
            // In draft 4 it is true or false, and says so of the other.
            let is_out = keys.get(exclusive) == Some(&Value::Bool(true));
            match (number(key)?, number(exclusive)?) {
                (Some(_), Some(_)) => Err(self.wrong(format!("write one of `{key}` and `{exclusive}`"))),
                (Some(inclusive), None) => Ok(Some((inclusive, is_out))),
                (None, exclusive) => Ok(exclusive.map(|number| (number, true))),
            }
        };
        let multiple_of = match keys.get("multipleOf").map(Value::as_f64) {
            None => None,
            Some(Some(number)) if number > 0.0 => Some(number),
            Some(_) => return Err(self.wrong("`multipleOf` is a number above zero")),
        };
        let (minimum, maximum) = (bound("minimum", "exclusiveMinimum")?, bound("maximum", "exclusiveMaximum")?);
        Ok(NumberKeywords { minimum, maximum, multiple_of })
    }

    fn text(&mut self, keys: &Map<String, Value>) -> Result<TextKeywords, String> {
        let pattern = match keys.get("pattern") {
            None => None,
            Some(Value::String(pattern)) => Some(self.pattern(pattern)?),
            Some(_) => return Err(self.wrong("`pattern` is a text")),
        };
        let format = match keys.get("format") {
            None => None,
            Some(name) => {
                let format = name.as_str().and_then(Format::named);
                let known = FORMATS.join(", ");
                Some(format.ok_or_else(|| {
                    self.wrong(format!("`format` is {}: checked are {known}", short(&name.to_string())))
                })?)
            }
        };
        let (length_min, length_max) = (self.count(keys, "minLength")?.unwrap_or(0), self.count(keys, "maxLength")?);
        Ok(TextKeywords { length_min, length_max, pattern, format })
    }

    fn array_keywords(&mut self, keys: &'s Map<String, Value>) -> Result<ArrayKeywords, String> {
        // Up to 2019-09 `items` may be an array, and `additionalItems` is about the rest; from 2020-12 these are `prefixItems` and `items`.
        let (first, rest) = match keys.get("items") {
            Some(Value::Array(_)) => (self.list(keys, "items")?, self.below(keys, "additionalItems")?),
            _ => (self.list(keys, "prefixItems")?, self.below(keys, "items")?),
        };
        let contains = match self.below(keys, "contains")? {
            None => None,
            Some(node) => {
                let (min, max) = (self.count(keys, "minContains")?.unwrap_or(1), self.count(keys, "maxContains")?);
                Some(Contains { node, min, max })
            }
        };
        Ok(ArrayKeywords {
            first,
            rest,
            contains,
            count_min: self.count(keys, "minItems")?.unwrap_or(0),
            count_max: self.count(keys, "maxItems")?,
            unique: keys.get("uniqueItems") == Some(&Value::Bool(true)),
        })
    }

    fn object(&mut self, keys: &'s Map<String, Value>) -> Result<ObjectKeywords, String> {
        // In draft 3 and in slips of the pen it is true or false; it says nothing then that could be checked.
        let required = self.texts(keys.get("required"), "required")?;
        let properties: BTreeMap<String, Node> =
            self.named(keys, "properties")?.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
        let mut patterns = Vec::new();
        for (pattern, node) in self.named(keys, "patternProperties")? {
            patterns.push((self.pattern(pattern)?, node));
        }
        let (others, names) = (self.below(keys, "additionalProperties")?, self.below(keys, "propertyNames")?);
        let (mut needs, mut implies) = (Vec::new(), Vec::new());
        for (name, node) in self.named(keys, "dependentSchemas")? {
            implies.push((name.to_owned(), node));
        }
        for key in ["dependencies", "dependentRequired"] {
            for (name, value) in self.table(keys, key)?.into_iter().flatten() {
                match value {
                    Value::Array(_) => needs.push((name.clone(), self.texts(Some(value), key)?)),
                    schema => implies.push((name.clone(), self.inside(name, |compiler| compiler.node(schema))?)),
                }
            }
        }
        let (count_min, count_max) =
            (self.count(keys, "minProperties")?.unwrap_or(0), self.count(keys, "maxProperties")?);
        Ok(ObjectKeywords { required, properties, patterns, others, names, count_min, count_max, needs, implies })
    }

    /// Matched in time that grows with the text alone, and within bounds on memory.
    fn pattern(&mut self, pattern: &str) -> Result<Regex, String> {
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            return Err(format!(
                "the schema has more than {PATTERNS_MAX} patterns, counted as often as they are referred to"
            ));
        }
        let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build();
        built.map_err(|error| {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
            self.wrong(format!(
                "the pattern {:?} is not taken: {why} (no lookaround and no backreference)",
                short(pattern)
            ))
        })
    }

    fn count(&self, keys: &Map<String, Value>, key: &str) -> Result<Option<u64>, String> {
        let Some(value) = keys.get(key) else { return Ok(None) };
        // From draft 6 on 2.0 is a whole number, too.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = |number: f64| (number >= 0.0 && number.fract() == 0.0 && number < 1e15).then_some(number as u64);
        let count = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        count.map(Some).ok_or_else(|| self.wrong(format!("`{key}` is a whole number from 0 on")))
    }

    fn texts(&self, value: Option<&Value>, key: &str) -> Result<Vec<String>, String> {
        let wrong = || self.wrong(format!("`{key}` is an array of texts"));
        let values = match value {
            None => return Ok(Vec::new()),
            Some(value) => value.as_array().ok_or_else(wrong)?,
        };
        values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    fn array<'k>(&self, keys: &'k Map<String, Value>, key: &str) -> Result<Option<&'k [Value]>, String> {
        match keys.get(key) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(_) => Err(self.wrong(format!("`{key}` is an array"))),
        }
    }

    fn table<'k>(&self, keys: &'k Map<String, Value>, key: &str) -> Result<Option<&'k Map<String, Value>>, String> {
        match keys.get(key) {
            None => Ok(None),
            Some(Value::Object(table)) => Ok(Some(table)),
            Some(_) => Err(self.wrong(format!("`{key}` is an object"))),
        }
    }

    fn inside<T>(&mut self, key: impl Display, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.at.push(key.to_string());
        let read = read(self)?;
        self.at.pop();
        Ok(read)
    }

    /// `what` with the place where it stands.
    fn wrong(&self, what: impl Display) -> String {
        match self.at.is_empty() {
            true => format!("the schema, at its top: {what}"),
            false => format!("the schema, at /{}: {what}", short(&self.at.join("/"))),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
