//! What of an answer goes to the page: few bytes, texts cut, numbers of a table as text, so that none is rounded on its way.

use lakehead_query::{
    Answer,
    format::{self, Format},
};
use serde_json::{Value, json};

use super::{
    panel::{Panel, Shows},
    query::{CELL_CHARS_MAX, columns_of},
};

/// Most bytes of one panel's answer. The largest chart there is takes about a fifth of a mebibyte.
const FRAME_BYTES_MAX: usize = 512 << 10;
/// Longest message of what went wrong, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// The document of a panel whose question was answered; what it says of itself comes from `about`.
pub(crate) fn answered(panel: &Panel, answer: &Answer, part: u32) -> Value {
    let mut text = Vec::new();
    if let Err(error) = format::write(answer, Format::Json, &mut text) {
        return failed(panel, &error.to_string());
    }
    let rows = match serde_json::from_slice(&text) {
        Ok(Value::Array(rows)) => rows,
        _ => return failed(panel, "its rows are no JSON"),
    };
    let rows = match &panel.shows {
        Shows::Table(table) => {
            let names: Vec<String> = match &table.newest_by {
                Some(_) => (0..table.columns.len()).map(|at| format!("c{at}")).collect(),
                None => table.columns.iter().map(|head| head.name.clone()).collect(),
            };
            let mut rows: Vec<Value> = rows.iter().map(|row| cells(row, &names)).collect();
            if table.newest_by.is_none() {
                // They came in the order of the log.
                rows.reverse();
            }
            rows
        }
        Shows::Events(events) => {
            let names: Vec<String> = (0..events.columns.len().max(1)).map(|at| format!("c{at}")).collect();
            let links = links(events.link.as_deref());
            rows.iter().map(|row| event(row, &names, &links)).collect()
        }
        Shows::Ranks(ranks) => {
            let names: Vec<String> = (0..=ranks.aside.len()).map(|at| format!("c{at}")).collect();
            let links = links(ranks.link.as_deref());
            let rank = |row: &Value| json!({ "c": cells(row, &names), "l": cells(row, &links), "v": row["v0"], "x": row["x"] });
            rows.iter().map(rank).collect()
        }
        Shows::Chart(_) | Shows::Rate => rows,
    };
    let document = json!({ "panel": panel.name, "part": part, "rows": rows });
    if text.len() > FRAME_BYTES_MAX && document.to_string().len() > FRAME_BYTES_MAX {
        return failed(
            panel,
            &format!("its rows take more than {} KiB; ask for fewer with a [panel]", FRAME_BYTES_MAX >> 10),
        );
    }
    document
}

/// The document of a stream's rate: its events in each second up to `to_ms`.
pub(crate) fn rates(panel: &Panel, rates: &[u64], to_ms: i64) -> Value {
    json!({ "panel": panel.name, "to": to_ms, "rows": rates })
}

/// The document of a panel that could not be answered.
pub(crate) fn failed(panel: &Panel, why: &str) -> Value {
    json!({ "panel": panel.name, "error": cut(why, MESSAGE_CHARS_MAX) })
}

fn links(link: Option<&str>) -> Vec<String> {
    (0..columns_of(link).len()).map(|at| format!("l{at}")).collect()
}

fn event(row: &Value, names: &[String], links: &[String]) -> Value {
    let change = row["v1"].as_f64().map(|to| to - row["v0"].as_f64().unwrap_or(0.0));
    json!({ "o": row["o"], "t": row["t"], "c": cells(row, names), "l": cells(row, links), "d": change })
}

/// The cells of these names: texts, or null. Truths stay what they are.
fn cells(row: &Value, names: &[String]) -> Value {
    let cell = |name: &String| match row.get(name) {
        None | Some(Value::Null) => Value::Null,
        Some(Value::Bool(truth)) => Value::Bool(*truth),
        Some(Value::String(text)) => Value::String(cut(text, CELL_CHARS_MAX)),
        Some(other) => Value::String(cut(&other.to_string(), CELL_CHARS_MAX)),
    };
    names.iter().map(cell).collect()
}

/// The beginning of a text that is too long.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_whatever_it_was_and_a_great_number_keeps_its_digits() {
        let row =
            json!({"a": 9_223_372_036_854_775_807_i64, "b": {"x": [1, 2]}, "c": "é".repeat(500), "d": null, "e": true});
        let names = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
        let cells = cells(&row, &names);
        assert_eq!(cells[0], "9223372036854775807");
        assert_eq!(cells[1], r#"{"x":[1,2]}"#);
        assert_eq!(cells[2].as_str().map(|text| text.chars().count()), Some(CELL_CHARS_MAX + 1));
        assert_eq!((&cells[3], &cells[4], &cells[5]), (&Value::Null, &Value::Bool(true), &Value::Null));
    }
}
