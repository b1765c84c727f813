//! The messages of libraries in words for the person who wrote the file.

/// What serde and the url crate say, in words for who wrote the file.
pub(super) fn in_words(message: &str) -> String {
    let name = |found: &str| match found {
        "string" => "a text",
        "integer" => "a whole number",
        "floating point" => "a number",
        "boolean" => "true or false",
        "map" => "a table",
        "sequence" => "an array",
        "null" | "unit value" => "nothing",
        _ => "this",
    };
    let wanted = |wanted: &str| match wanted {
        "a string" => "a text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array, as in [\"a\", \"b\"]".to_owned(),
        "a map" => "a table".to_owned(),
        _ if wanted.starts_with("struct ") => "a table".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        other => other.to_owned(),
    };
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        let (kind, value) = found.split_once([' ']).unwrap_or((found, ""));
        let kind = if found.starts_with("floating point") { "floating point" } else { kind };
        let value = value.trim_start_matches("point ").trim_matches('`');
        let value = if value.is_empty() || kind == "unit" { String::new() } else { format!(", {value}") };
        return format!("this is {}{value}; write {}", name(kind), wanted(expected));
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid value: ").and_then(|rest| rest.split_once(", expected "))
    {
        let value = found.rsplit('`').nth(1).unwrap_or(found);
        return format!("{value} is out of range; write {}", wanted(expected));
    }
    if message.contains("relative URL without a base") {
        return "this address has no scheme; write it whole, as in \"https://example.org/path\"".to_owned();
    }
    message.to_owned()
}
