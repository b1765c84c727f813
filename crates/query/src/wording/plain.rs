//! The engine's texts in plain words: without its prefixes, with the names of types that a person knows.

use datafusion::arrow::datatypes::DataType;

use crate::interval;

/// A text of the engine with the names that a person knows: of types, tables and constants; without its prefixes.
pub(crate) fn plainly(text: &str) -> String {
    let mut text = text.to_owned();
    for (from, to) in [("lakehead.public.", ""), ("datafusion.public.", ""), ("\"lakehead\".\"public\".", "")] {
        text = text.replace(from, to);
    }
    for prefix in PREFIXES {
        text = text.replace(prefix, "");
    }
    if let Some(cut) = BUG.iter().filter_map(|bug| text.find(bug)).min() {
        text.truncate(cut);
    }
    plain_types(&interval::plain(&text))
}

const PREFIXES: [&str; 14] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "Execution error: ",
    "Arrow error: ",
    "Internal error: ",
    "External error: ",
    "Parquet error: ",
    "Invalid or Unsupported Configuration: ",
    "This feature is not implemented: ",
    "Compute error: ",
    "Invalid argument error: ",
    "Cast error: ",
    "Parser error: ",
];

const BUG: [&str; 3] = ["This issue was likely caused by a bug", "This was likely caused by a bug", "\n\nbacktrace: "];

/// The engine's names of types, and ours. Those with parts in parentheses lose them.
const TYPES: [(&str, &str); 46] = [
    ("Utf8View", "text"),
    ("LargeUtf8", "text"),
    ("Utf8", "text"),
    ("BinaryView", "bytes"),
    ("LargeBinary", "bytes"),
    ("FixedSizeBinary", "bytes"),
    ("Binary", "bytes"),
    ("Boolean", "bool"),
    ("Int8", "int8"),
    ("Int16", "int16"),
    ("Int32", "int32"),
    ("Int64", "int64"),
    ("UInt8", "uint8"),
    ("UInt16", "uint16"),
    ("UInt32", "uint32"),
    ("UInt64", "uint64"),
    ("Float16", "float16"),
    ("Float32", "float32"),
    ("Float64", "float64"),
    ("Decimal32", "decimal"),
    ("Decimal64", "decimal"),
    ("Decimal128", "decimal"),
    ("Decimal256", "decimal"),
    ("TimestampSecond", "timestamp"),
    ("TimestampMillisecond", "timestamp"),
    ("TimestampMicrosecond", "timestamp"),
    ("TimestampNanosecond", "timestamp"),
    ("Timestamp", "timestamp"),
    ("IntervalMonthDayNano", "interval"),
    ("IntervalDayTime", "interval"),
    ("IntervalYearMonth", "interval"),
    ("Interval", "interval"),
    ("Duration", "duration"),
    ("Date32", "date"),
    ("Date64", "date"),
    ("Time32", "time"),
    ("Time64", "time"),
    ("Null", "NULL"),
    ("LargeListView", "list"),
    ("ListView", "list"),
    ("LargeList", "list"),
    ("FixedSizeList", "list"),
    ("List", "list"),
    ("Struct", "record"),
    ("Dictionary", "text"),
    ("Map", "map"),
];

/// Names whose parentheses hold the value of a constant, which stays: `Int64(5)` is 5.
fn is_constant(name: &str, inside: &str) -> bool {
    let scalar = name.starts_with("Int") && !name.starts_with("Interval")
        || name.starts_with("UInt")
        || name.starts_with("Float")
        || ["Utf8View", "Utf8", "LargeUtf8", "Boolean"].contains(&name);
    scalar && !inside.is_empty()
}

/// The name of a type of an answer's column, as Lakehead writes it: `text`, `int64`, `timestamp`.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    plain_types(&data_type.to_string())
}

/// `text` with the names that a person knows in place of the engine's names of types.
fn plain_types(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let Some((_, ours)) = TYPES.iter().find(|(engine, _)| *engine == word) else {
            plain.push_str(word);
            rest = after;
            continue;
        };
        match parenthesized(after) {
            Some((inside, after)) => {
                match word {
                    _ if is_constant(word, inside) => {
                        let is_text = word.contains("Utf8");
                        let value = inside.trim_matches('"');
                        plain.push_str(&if is_text { format!("'{value}'") } else { value.to_owned() });
                    }
                    "List" | "LargeList" | "ListView" | "FixedSizeList" => {
                        let item = plain_types(inside.split(", ").next().unwrap_or(inside));
                        plain.push_str(&format!("list of {}", item.trim_start_matches("non-null ")));
                    }
                    _ => plain.push_str(ours),
                }
                rest = after;
            }
            None => {
                plain.push_str(ours);
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// What stands in the parentheses that `text` begins with, and what comes after them.
pub(super) fn parenthesized(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('(') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some((&text[1..at], &text[at + 1..])),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// As our messages are: no capital at the start, no full stop, one line.
pub(super) fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches(['.', ' ', ',', ';', ':']);
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_ascii_uppercase() && !second.is_ascii_uppercase() => {
            let first = first.to_ascii_lowercase();
            format!("{first}{}", &text[1..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_that_a_person_knows() {
        for (engine, ours) in [
            ("Utf8View", "text"),
            ("Timestamp(Microsecond, Some(\"UTC\"))", "timestamp"),
            ("Timestamp(µs, \"UTC\") and List(Utf8View)", "timestamp and list of text"),
            ("a > Int64(5) AND t = Utf8(\"x\")", "a > 5 AND t = 'x'"),
            ("Decimal128(38, 10) + Interval(MonthDayNano)", "decimal + interval"),
            ("the Map of Intervals", "the map of Intervals"),
            ("lakehead.public.s.n", "s.n"),
        ] {
            assert_eq!(plainly(engine), ours);
        }
    }

    #[test]
    fn a_sentence_is_one_line_without_a_full_stop() {
        assert_eq!(sentence("Cannot do\n  this."), "cannot do this");
        assert_eq!(sentence("SQL is fine"), "SQL is fine");
    }
}
