//! The settings of a table of the pipeline file as a table in Markdown, made of their JSON Schema: type, default, description. A
//! description may say its default in a sentence that begins with "Default", where the schema has none.

use serde_json::Value;

use crate::schema_words::kind;

/// The keys of the table that `schema` describes: a row for each with its type, its default and what it is.
pub(crate) fn settings_table(schema: &Value) -> String {
    let mut text = String::from("| key | type | default | what it is |\n|---|---|---|---|\n");
    keys(schema, schema, "", &mut text);
    text
}

/// The keys of a table; those of a table in it stand behind its own name.
fn keys(whole: &Value, table: &Value, before: &str, text: &mut String) {
    let required = |key: &str| table["required"].as_array().is_some_and(|keys| keys.iter().any(|k| k == key));
    for (key, value) in table["properties"].as_object().into_iter().flatten() {
        let described = value["description"].as_str().unwrap_or_default();
        let (what, told) = parted(described);
        let default = match &value["default"] {
            _ if required(key) => "required".to_owned(),
            Value::Null => told.unwrap_or_else(|| "none".to_owned()),
            Value::Object(_) | Value::Array(_) => told.unwrap_or_else(|| "as below".to_owned()),
            default => format!("`{default}`"),
        };
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let key = format!("{before}{key}");
        text.push_str(&format!("| `{key}` | {} | {} | {} |\n", cell(&kind(whole, value)), cell(&default), cell(&what)));
        let below = value["$ref"].as_str().and_then(|path| path.rsplit('/').next()).map(|name| &whole["$defs"][name]);
        if let Some(below) = below.filter(|below| below["properties"].is_object()) {
            keys(whole, below, &format!("{key}."), text);
        }
    }
}

/// A description without its sentence on the default, and the default.
fn parted(described: &str) -> (String, Option<String>) {
    let described = described.replace('\n', " ");
    let Some(at) = described.find("Default") else { return (described, None) };
    let rest = described[at + "Default".len()..].trim_start_matches([':', ' ']);
    let end = [". ", ": ", "; "].iter().filter_map(|stop| rest.find(stop)).min().unwrap_or(rest.len());
    let default = rest[..end].trim_end_matches('.').to_owned();
    let reason = rest[end..].trim_start_matches(['.', ':', ';', ' ']);
    let what = described[..at].trim();
    let what = if reason.is_empty() { what.to_owned() } else { format!("{what} ({})", reason.trim_end_matches('.')) };
    (what, Some(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_parted_from_what_a_key_is() {
        let told = |text: &str| parted(text);
        assert_eq!(told("A thing. Default: 1h."), ("A thing.".into(), Some("1h".into())));
        assert_eq!(told("A thing. Default 1 MiB: it is so."), ("A thing. (it is so)".into(), Some("1 MiB".into())));
        assert_eq!(told("A thing."), ("A thing.".into(), None));
    }
}
