//! The name of a row's own file, made of what the row has. Pure; whatever a row has in it, the name stays one name.

use std::str::FromStr;

use lakehead_json::{Paths, Raw};
use schemars::JsonSchema;
use serde::Deserialize;

/// The longest name, in bytes: file systems take 255, and endings and temporary names need some.
pub(super) const NAME_BYTES_MAX: usize = 200;

/// The most places in a template.
const PLACES_MAX: usize = 16;

/// A name with places to be filled, as in `change_{wiki}_{id}.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Position,
    Path(Vec<String>),
}

impl Default for Template {
    fn default() -> Self {
        Self(vec![Piece::Position, Piece::Text(".json".to_owned())])
    }
}

impl Template {
    /// Made ready to name many rows.
    pub(super) fn naming(&self) -> Naming {
        let paths = self.0.iter().filter_map(|piece| match piece {
            Piece::Path(path) => Some(path.clone()),
            _ => None,
        });
        Naming { pieces: self.0.clone(), paths: Paths::new(&paths.collect::<Vec<_>>()) }
    }
}

/// Names rows.
pub(super) struct Naming {
    pieces: Vec<Piece>,
    paths: Paths,
}

impl Naming {
    /// The name of the file of a row with this JSON and position.
    ///
    /// # Errors
    /// When the name is too long, for a person.
    pub(super) fn name(&self, json: &[u8], position: &str) -> Result<String, String> {
        let paths = self.pieces.iter().filter(|piece| matches!(piece, Piece::Path(_))).count();
        let mut found = vec![None; paths];
        self.paths.extract(json, &mut found);
        let mut found = found.into_iter();
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Position => name.push_str(position),
                Piece::Path(_) => match found.next().flatten().and_then(value) {
                    Some(value) => name.extend(value.chars().take(NAME_BYTES_MAX + 1).map(safe)),
                    None => name.push_str(position),
                },
            }
        }
        if name.len() > NAME_BYTES_MAX {
            let head: String = name.chars().take(60).collect();
            return Err(format!("its file's name, {head}…, has more than {NAME_BYTES_MAX} bytes"));
        }
        if name.starts_with('.') {
            name.replace_range(..1, "_");
        }
        Ok(name)
    }
}

/// A value as text, where it is a text with something in it, a number or a boolean.
fn value(raw: Raw<'_>) -> Option<String> {
    match raw.as_str() {
        Some(text) => Some(text.into_owned()).filter(|text| !text.is_empty()),
        None => match raw.bytes().first()? {
            b'{' | b'[' | b'n' | b'"' => None,
            _ => String::from_utf8(raw.bytes().to_vec()).ok(),
        },
    }
}

fn safe(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is no name of a file: {why}, as in \"change_{{id}}.json\""));
        let (mut pieces, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let Some((before, after)) = rest.split_once('{') else {
                pieces.push(Piece::Text(rest.to_owned()));
                break;
            };
            let Some((path, after)) = after.split_once('}') else { return wrong("a { has no }") };
            pieces.extend(Some(Piece::Text(before.to_owned())).filter(|_| !before.is_empty()));
            pieces.push(match path {
                "position" => Piece::Position,
                path if path.split('.').any(str::is_empty) => {
                    return wrong("between { and } stands a key, or keys with dots");
                }
                path => Piece::Path(path.split('.').map(str::to_owned).collect()),
            });
            rest = after;
        }
        let places = pieces.iter().filter(|piece| !matches!(piece, Piece::Text(_))).count();
        let texts = || pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None });
        if places == 0 || places > PLACES_MAX {
            return wrong("it needs a {position} or a {key}, 16 at most, or all rows would have one name");
        }
        if texts().any(|text| text.chars().any(|c| safe(c) != c)) {
            return wrong("beside { and } it takes letters, digits, `.`, `_` and `-` alone");
        }
        if text.starts_with('.') || texts().map(String::len).sum::<usize>() > NAME_BYTES_MAX / 2 {
            return wrong("it does not begin with a dot and has at most 100 bytes");
        }
        Ok(Self(pieces))
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl JsonSchema for Template {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, json: &str) -> String {
        let template: Template = template.parse().expect("a template");
        template.naming().name(json.as_bytes(), "s-0-7").unwrap_or_else(|error| error)
    }

    #[test]
    fn a_name_is_made_of_what_the_row_has() {
        let event = r#"{"id":5,"wiki":"enwiki","meta":{"id":"a-b","dt":null},"bot":false,"x":{}}"#;
        for (template, wanted) in [
            ("change_{id}.json", "change_5.json"),
            ("{wiki}-{meta.id}-{bot}", "enwiki-a-b-false"),
            ("{position}.json", "s-0-7.json"),
            ("{meta.dt}", "s-0-7"),
            ("{none.at.all}_{x}", "s-0-7_s-0-7"),
        ] {
            assert_eq!(name(template, event), wanted, "{template}");
        }
    }

    #[test]
    fn nothing_in_a_row_leads_out_of_the_folder() {
        for (value, wanted) in [
            ("../../etc/passwd", "_._.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("..", "_."),
            (".hidden", "_hidden"),
            ("a\\u0000b\\nc ä", "a_b_c__"),
            ("", "s-0-7"),
        ] {
            assert_eq!(name("{v}", &format!(r#"{{"v":"{value}"}}"#)), wanted, "{value:?}");
        }
        assert!(name("{v}", &format!(r#"{{"v":"{}"}}"#, "x".repeat(1 << 20))).contains("more than 200 bytes"));
    }

    #[test]
    fn a_template_that_cannot_work_is_refused() {
        for wrong in ["", "all.json", "../{id}", "a/{id}", ".{id}", "{}", "{a..b}", "{id", "a b{id}", &"{a}".repeat(17)]
        {
            assert!(wrong.parse::<Template>().is_err(), "{wrong:?}");
        }
    }
}
