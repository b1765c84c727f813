//! A JSON Schema in words: what a setting may be.

use serde_json::Value;

/// What a value may be, in a word.
pub(crate) fn kind(schema: &Value, value: &Value) -> String {
    if let Some(name) = value["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return match name {
            "Span" => "a span of time, as in \"30s\"".to_owned(),
            "ByteSize" => "a size, as in \"64 MiB\"".to_owned(),
            _ => kind(schema, &schema["$defs"][name]),
        };
    }
    if let Some(options) = value["anyOf"].as_array().or(value["oneOf"].as_array()) {
        let kinds: Vec<_> = options.iter().filter(|option| option["type"] != "null").map(|o| kind(schema, o)).collect();
        return kinds.join(" or ");
    }
    if let Some(text) = value["const"].as_str() {
        return format!("{text:?}");
    }
    let plain = |name: &str| {
        match name {
            "string" => "text",
            "integer" => "whole number",
            "boolean" => "true or false",
            "object" => "table",
            other => return other.to_owned(),
        }
        .to_owned()
    };
    match (&value["enum"], &value["type"]) {
        (Value::Array(values), _) => values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or "),
        (_, Value::String(name)) if name == "array" => format!("array of {}", kind(schema, &value["items"])),
        (_, Value::String(name)) => plain(name),
        (_, Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null").map(plain);
            names.collect::<Vec<_>>().join(" or ")
        }
        _ => value["const"].as_str().map_or_else(|| "any".to_owned(), |text| format!("{text:?}")),
    }
}
